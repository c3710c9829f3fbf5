package main

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

var introductions = []struct {
	name      string
	introduce registration
	client    string // its name on the consent page
}{
	{"by a document", byDocument, "Robot with a document"},
	{"by registration", dynamically("none"), "Robot that registers"},
	{"by registration, with a secret", dynamically(""), "Robot that registers"},
}

// The SDK's client, unmodified, gets from the URL to the tools.
func TestClient(t *testing.T) {
	t.Parallel()
	for _, tc := range introductions {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			b := newBrowser(t, w.ts.Client().Transport)
			session := w.connect(tc.introduce, b)

			wire, _ := w.happened()
			require.Equal(t, []string{
				"POST /mcp 401",
				"GET /.well-known/oauth-protected-resource/mcp 200",
				"GET /.well-known/oauth-authorization-server 200",
			}, wire[:3])
			require.Equal(t, strings.HasPrefix(tc.name, "by registration"), slices.Contains(wire, "POST /register 201"))
			require.Len(t, b.visits, 1)
			asked := b.visits[0]
			require.Equal(t, w.ts.URL+pathMCP, asked.Get("resource"))
			require.Equal(t, "S256", asked.Get("code_challenge_method"))
			require.ElementsMatch(t, []string{scopeRead, "offline_access"}, strings.Fields(asked.Get("scope")), "no more than it needs")
			require.Contains(t, b.pages[0], tc.client)
			require.Contains(t, b.pages[0], "127.0.0.1", "where the user is sent")

			tools, err := session.ListTools(t.Context(), nil)
			require.NoError(t, err)
			require.Len(t, tools.Tools, 2)
			require.Equal(t, "Follow the white rabbit.", w.call(session, toolList, nil))
			require.Len(t, b.visits, 1)

			// Step up: the first note needs another scope, the second has it.
			w.call(session, toolAdd, map[string]any{"text": "Drink me."})
			w.call(session, toolAdd, map[string]any{"text": "Eat me."})
			require.Len(t, b.visits, 2)
			require.ElementsMatch(t, []string{scopeRead, scopeWrite, "offline_access"}, strings.Fields(b.visits[1].Get("scope")))
			require.Equal(t, "Follow the white rabbit.\nDrink me.\nEat me.", w.call(session, toolList, nil))
			require.Equal(t, []string{"Can we fix it?"}, w.site.notes("bob"))
			wire, _ = w.happened()
			require.Contains(t, wire, "POST /mcp 403")
		})
	}
}

// Tokens of five seconds are old before the SDK uses them: it refreshes for each request,
// and nobody is asked again.
func TestRefresh(t *testing.T) {
	t.Parallel()
	for _, tc := range introductions {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *authwright.Config) { c.AccessTokenLifetime = 5 * time.Second })
			b := newBrowser(t, w.ts.Client().Transport)
			session := w.connect(tc.introduce, b)
			_, before := w.happened()
			for range 3 {
				require.Equal(t, "Follow the white rabbit.", w.call(session, toolList, nil))
			}
			_, after := w.happened()
			require.Equal(t, slices.Repeat([]authwright.EventType{authwright.EventTokenRotated}, 3), after[len(before):])
			require.Len(t, b.visits, 1)
		})
	}
}

// A user who refuses the second scope keeps the first.
func TestStepUpDeclined(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := newBrowser(t, w.ts.Client().Transport)
	b.deny = scopeWrite
	session := w.connect(byDocument, b)
	_, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: toolAdd, Arguments: map[string]any{"text": "x"}})
	require.Error(t, err)
	require.Len(t, b.visits, 2, "it asks, and does not go on asking")
	require.Equal(t, []string{"Follow the white rabbit."}, w.site.notes("alice"))
}

// Whoever is disconnected is out at once, not when the token expires.
func TestRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.token(scopeRead)
	require.Equal(t, http.StatusOK, w.post(token, call(toolList)).status)
	form := url.Values{"token": {token}, "client_id": {w.documents.URL + "/client.json"}}
	require.Equal(t, http.StatusOK, w.send("/revoke", "application/x-www-form-urlencoded", "", form.Encode()).status)
	a := w.post(token, call(toolList))
	require.Equal(t, http.StatusUnauthorized, a.status)
	require.Contains(t, a.challenge, `error="invalid_token"`)
}

func call(tool string) string {
	return `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"` + tool + `","arguments":{"text":"x"}}}`
}

// The challenge is a question to the client. What guards the notes is the tool.
func TestScopes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	read := w.token(scopeRead)
	metadata := `resource_metadata="` + w.ts.URL + `/.well-known/oauth-protected-resource/mcp"`
	t.Run("no token", func(t *testing.T) {
		a := w.post("", call(toolAdd))
		require.Equal(t, http.StatusUnauthorized, a.status)
		require.Contains(t, a.challenge, `scope="notes:read"`)
		require.Contains(t, a.challenge, metadata)
		require.NotContains(t, a.challenge, "error=")
	})
	t.Run("a token that lacks a scope", func(t *testing.T) {
		a := w.post(read, call(toolAdd))
		require.Equal(t, http.StatusForbidden, a.status)
		require.Contains(t, a.challenge, `error="insufficient_scope"`)
		require.Contains(t, a.challenge, `scope="notes:read notes:write"`)
		require.Contains(t, a.challenge, metadata)
	})
	for name, body := range map[string]string{
		"a batch":           "[" + call(toolAdd) + "]",
		"two names":         strings.Replace(call(toolAdd), `"arguments"`, `"NAME":"list_notes","arguments"`, 1),
		"two methods":       strings.Replace(call(toolAdd), `"params"`, `"METHOD":"ping","params"`, 1),
		"params in capital": strings.Replace(call(toolAdd), `"params"`, `"PARAMS":{"name":"list_notes"},"params"`, 1),
	} {
		t.Run("a body that hides the tool: "+name, func(t *testing.T) {
			w.post(read, body)
			require.Equal(t, []string{"Follow the white rabbit."}, w.site.notes("alice"))
		})
	}
	t.Run("a body that is too large", func(t *testing.T) {
		require.Equal(t, http.StatusBadRequest, w.post(read, strings.Repeat(" ", 1<<20+1)).status)
	})
	t.Run("a token for the server's own host", func(t *testing.T) {
		require.Equal(t, http.StatusUnauthorized, w.post("eyJhbGciOiJub25lIn0.e30.", call(toolList)).status)
	})
	t.Run("both scopes", func(t *testing.T) {
		require.Equal(t, http.StatusOK, w.post(w.token(scopeRead+" "+scopeWrite), call(toolAdd)).status)
		require.Equal(t, []string{"Follow the white rabbit.", "x"}, w.site.notes("alice"))
	})
}

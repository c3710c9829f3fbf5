package authwright_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// notesAndFiles are resources that understand different scopes.
func notesAndFiles(c *authwright.Config) {
	c.Resources = []authwright.Resource{
		{ID: "https://notes.example/", Scopes: []string{"read"}},
		{ID: "https://files.example/api", Scopes: []string{"read", "write"}},
		{ID: "https://write.example/", Scopes: []string{"write"}},
	}
}

func TestAccessTokenAudience(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notesAndFiles)
	for _, tc := range []struct {
		name, scope string
		resource    []string
		aud         any
		granted     string
	}{
		{"AT-06 aud is the resource that was asked for", "read", []string{"https://files.example/api"}, "https://files.example/api", "read"},
		{"AT-06 without resource, aud is the first that understands the scope", "read", nil, "https://notes.example/", "read"},
		{"AT-08 the scope leads to its resource", "write", nil, "https://files.example/api", "write"},
		{"AT-08 the scopes lead to the resource that understands all", "read write", nil, "https://files.example/api", "read write"},
		{"AT-08 a scope without a meaning for the audience is left out", "read write", []string{"https://notes.example/"}, "https://notes.example/", "read"},
		{"AT-10 each resource has its own aud", "write", []string{"https://write.example/"}, "https://write.example/", "write"},
		{"AT-06 several resources, as asked for", "read write", []string{"https://notes.example/", "https://write.example/"}, []any{"https://notes.example/", "https://write.example/"}, "read write"},
		{"AT-18 aud is one string unless several were asked for", "read", nil, "https://notes.example/", "read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			q := request("scope", tc.scope)
			q["resource"] = tc.resource
			first := w.token(codeForm(w.code(q)), "web", webSecret).json(t)
			for _, resp := range []map[string]any{first, w.refreshed(first["refresh_token"])} {
				c := claims(t, resp["access_token"])
				require.Equal(t, tc.aud, c["aud"])
				require.Equal(t, tc.granted, c["scope"])
				require.NotEqual(t, c["client_id"], c["aud"])
			}
		})
	}
	t.Run("AT-08 scopes of different resources have no common default", func(t *testing.T) {
		apart := newWorld(t, func(c *authwright.Config) {
			c.Resources = []authwright.Resource{{ID: "https://a.example", Scopes: []string{"read"}}, {ID: "https://b.example", Scopes: []string{"write"}}}
		})
		redirected(t, apart.signedIn("alice").authorize(request()), "invalid_scope")
	})
	t.Run("AT-06 without any resource, aud is the issuer", func(t *testing.T) {
		plain := newWorld(t)
		for kind, resp := range plain.everyResponse() {
			require.Equal(t, plain.issuer, claims(t, resp["access_token"])["aud"], kind)
		}
	})
	t.Run("AT-10 no two resources share an identifier", func(t *testing.T) {
		for _, twin := range []string{"https://notes.example/", "https://notes.example", "HTTPS://NOTES.example/"} {
			cfg := minimal(t)
			cfg.Resources = []authwright.Resource{{ID: "https://notes.example/"}, {ID: twin}}
			_, err := authwright.NewServer(cfg)
			require.ErrorContains(t, err, "Resources", twin)
		}
	})
}

// onlyNotes registers a client that may reach one of the resources.
func (w *world) onlyNotes() {
	w.t.Helper()
	require.NoError(w.t, w.store.AddClient(w.t.Context(), &authwright.Client{
		ID: "notes-only", RedirectURIs: []string{"https://n.example/cb"}, Scopes: []string{"read"}, Resources: []string{"https://notes.example/"},
	}))
}

func TestResourceIndicators(t *testing.T) {
	t.Parallel()
	w := newWorld(t, notesAndFiles)
	w.onlyNotes()
	alice := w.signedIn("alice")
	ask := func(client, scope string, resources ...string) answer {
		q := request("client_id", client, "scope", scope)
		if client != "web" {
			q.Set("redirect_uri", "https://n.example/cb")
		}
		q["resource"] = resources
		return alice.authorize(q)
	}
	granted := func(resources ...string) (code string) {
		q := request("scope", "read")
		q["resource"] = resources
		return w.code(q)
	}
	both := []string{"https://notes.example/", "https://files.example/api"}
	for _, tc := range []struct{ name, resource string }{
		{"RI-01 a relative reference", "/api"},
		{"RI-01 no scheme", "files.example/api"},
		{"RI-01 a fragment", "https://files.example/api#x"},
		{"RI-01 an empty fragment", "https://files.example/api#"},
		{"RI-01 not a URI", "files example"},
		{"RI-02 a resource that is not served", "https://mail.example/"},
		{"RI-02 a resource that is served, with a query", "https://files.example/api?x=1"},
		{"RI-02 a part of a resource that is served", "https://files.example/api/v1"},
		{"RI-02 what a resource is a part of", "https://files.example/"},
		{"RI-06 the path in another case", "https://files.example/API"},
		{"RI-06 the default port spelled out", "https://files.example:443/api"},
		{"RI-06 two slashes more", "https://files.example/api//"},
		{"RI-06 an escape", "https://files.example/%61pi"},
		{"RI-06 user information", "https://x@files.example/api"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			redirected(t, ask("web", "read", tc.resource), "invalid_target")
			redirected(t, ask("web", "read", both[0], tc.resource), "invalid_target")
			first := w.token(codeForm(granted(both...), "resource", both[0]), "web", webSecret).json(t)
			refused(t, w.token(codeForm(granted(both...), "resource", tc.resource), "web", webSecret), "invalid_target")
			refused(t, w.token(refreshForm(first["refresh_token"].(string), "resource", tc.resource), "web", webSecret), "invalid_target")
		})
	}
	t.Run("RI-02 it may be repeated", func(t *testing.T) {
		f := codeForm(granted(both...))
		f["resource"] = both
		require.Equal(t, []any{both[0], both[1]}, claims(t, w.token(f, "web", webSecret).json(t)["access_token"])["aud"])
	})
	t.Run("RI-02 a resource that is not for this client", func(t *testing.T) {
		redirected(t, ask("notes-only", "read", both[1]), "invalid_target")
		redirected(t, ask("notes-only", "read", both...), "invalid_target")
		require.Equal(t, http.StatusOK, ask("notes-only", "read", both[0]).status)
	})
	t.Run("RI-03 a token request names a resource that was granted", func(t *testing.T) {
		code := granted(both[0])
		refused(t, w.token(codeForm(code, "resource", both[1]), "web", webSecret), "invalid_target")
		f := codeForm(code)
		f["resource"] = both
		refused(t, w.token(f, "web", webSecret), "invalid_target")
		require.Equal(t, http.StatusOK, w.token(codeForm(code, "resource", both[0]), "web", webSecret).status, "the code is not spent by it")
	})
	t.Run("RI-04 aud is what the token request names", func(t *testing.T) {
		first := w.token(codeForm(granted(both...), "resource", both[1]), "web", webSecret).json(t)
		require.Equal(t, both[1], claims(t, first["access_token"])["aud"])
		second := w.refreshed(first["refresh_token"], "resource", both[0])
		require.Equal(t, both[0], claims(t, second["access_token"])["aud"])
	})
	t.Run("RI-05 without resource at the token endpoint, what was granted", func(t *testing.T) {
		first := w.token(codeForm(granted(both[1])), "web", webSecret).json(t)
		require.Equal(t, both[1], claims(t, first["access_token"])["aud"])
		require.Equal(t, both[1], claims(t, w.refreshed(first["refresh_token"])["access_token"])["aud"])
	})
	for _, spelling := range []string{"HTTPS://FILES.example/api", "https://files.example/api/", "https://files.example/api"} {
		t.Run("RI-06 tolerated: "+spelling, func(t *testing.T) {
			first := w.token(codeForm(granted(spelling), "resource", spelling), "web", webSecret).json(t)
			require.Equal(t, both[1], claims(t, first["access_token"])["aud"], "by its registered name")
		})
	}
	t.Run("RI-07 refreshing never widens", func(t *testing.T) {
		first := w.token(codeForm(granted(both[0])), "web", webSecret).json(t)
		token := first["refresh_token"].(string)
		refused(t, w.token(refreshForm(token, "resource", both[1]), "web", webSecret), "invalid_target")
		second := w.refreshed(token)
		require.Equal(t, both[0], claims(t, second["access_token"])["aud"])
	})
	t.Run("RT-22 a refresh for less, then for all again", func(t *testing.T) {
		first := w.token(codeForm(granted(both...)), "web", webSecret).json(t)
		second := w.refreshed(first["refresh_token"], "resource", both[1])
		require.Equal(t, both[1], claims(t, second["access_token"])["aud"])
		third := w.refreshed(second["refresh_token"])
		require.Equal(t, []any{both[0], both[1]}, claims(t, third["access_token"])["aud"])
	})
	t.Run("RI-08 with no resource configured, the issuer is the only one", func(t *testing.T) {
		plain := newWorld(t)
		redirected(t, plain.signedIn("alice").authorize(request("resource", "https://mcp.example")), "invalid_target")
		require.Equal(t, plain.issuer, claims(t, plain.tokens("resource", plain.issuer)["access_token"])["aud"])
		require.Equal(t, plain.issuer, claims(t, plain.tokens()["access_token"])["aud"])
	})
}

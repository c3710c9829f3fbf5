package main

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A world is the program, somebody who keeps client documents, and a record of what goes
// over the wire.
type world struct {
	t         *testing.T
	site      *site
	ts        *httptest.Server
	documents *httptest.Server

	mu     sync.Mutex
	wire   []string // method, path and status of each request of the client
	events []authwright.EventType
}

func newWorld(t *testing.T, changes ...func(*authwright.Config)) *world {
	t.Helper()
	w := &world{t: t, site: newSite()}
	mux := http.NewServeMux()
	w.ts = httptest.NewServer(mux)
	t.Cleanup(w.ts.Close)
	w.documents = httptest.NewTLSServer(http.HandlerFunc(w.serveDocument))
	t.Cleanup(w.documents.Close)

	cfg, err := newConfig(w.ts.URL, w.site)
	require.NoError(t, err)
	cfg.FetchRoots = x509.NewCertPool()
	cfg.FetchRoots.AddCert(w.documents.Certificate())
	cfg.InsecureFetchLoopback = true
	cfg.OnEvent = func(_ context.Context, e authwright.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e.Type)
	}
	for _, change := range changes {
		change(&cfg)
	}
	handler, err := newHandler(cfg, w.site)
	require.NoError(t, err)
	mux.Handle("/", handler)
	return w
}

// serveDocument serves the client's metadata document.
func (w *world) serveDocument(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	json.NewEncoder(rw).Encode(map[string]any{
		"client_id": w.documents.URL + r.URL.Path, "client_name": "Robot with a document",
		"redirect_uris": []string{"http://127.0.0.1/callback"}, "grant_types": []string{"authorization_code", "refresh_token"},
		"token_endpoint_auth_method": "none",
	})
}

// RoundTrip records what the client does.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.ts.Client().Transport.RoundTrip(r)
	if err == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.wire = append(w.wire, fmt.Sprint(r.Method, " ", r.URL.Path, " ", resp.StatusCode))
	}
	return resp, err
}

func (w *world) happened() ([]string, []authwright.EventType) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.wire), slices.Clone(w.events)
}

// A registration is a way for a client to introduce itself, in the SDK's words.
type registration func(w *world, c *auth.AuthorizationCodeHandlerConfig)

func byDocument(w *world, c *auth.AuthorizationCodeHandlerConfig) {
	c.ClientIDMetadataDocumentConfig = &auth.ClientIDMetadataDocumentConfig{URL: w.documents.URL + "/client.json"}
}

// dynamically registers a client that authenticates by method; empty is the default, a
// secret.
func dynamically(method string) registration {
	return func(_ *world, c *auth.AuthorizationCodeHandlerConfig) {
		c.DynamicClientRegistrationConfig = &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "Robot that registers", RedirectURIs: []string{callback},
			GrantTypes: []string{"authorization_code", "refresh_token"}, TokenEndpointAuthMethod: method,
		}}
	}
}

// connect starts a session of the SDK's client, which knows nothing but the URL.
func (w *world) connect(introduce registration, b *browser) *mcp.ClientSession {
	w.t.Helper()
	cfg := &auth.AuthorizationCodeHandlerConfig{
		RedirectURL: callback, AuthorizationCodeFetcher: b.fetch, RequestRefreshToken: true, Client: &http.Client{Transport: w},
	}
	introduce(w, cfg)
	handler, err := auth.NewAuthorizationCodeHandler(cfg)
	require.NoError(w.t, err)
	client := mcp.NewClient(&mcp.Implementation{Name: "robot", Version: "1.0.0"}, nil)
	session, err := client.Connect(w.t.Context(), &mcp.StreamableClientTransport{
		Endpoint: w.ts.URL + pathMCP, HTTPClient: &http.Client{Transport: w}, OAuthHandler: handler, DisableStandaloneSSE: true,
	}, nil)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { session.Close() })
	return session
}

func (w *world) call(s *mcp.ClientSession, tool string, args map[string]any) string {
	w.t.Helper()
	result, err := s.CallTool(w.t.Context(), &mcp.CallToolParams{Name: tool, Arguments: args})
	require.NoError(w.t, err)
	require.Len(w.t, result.Content, 1)
	text := result.Content[0].(*mcp.TextContent).Text
	require.False(w.t, result.IsError, text)
	return text
}

// token gets one by the SDK's parts but without its client, which would step up.
func (w *world) token(scope string) string {
	w.t.Helper()
	client := w.documents.URL + "/client.json"
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	q := url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {callback}, "scope": {scope}, "resource": {w.ts.URL + pathMCP},
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	back, err := newBrowser(w.t, w.ts.Client().Transport).fetch(w.t.Context(), &auth.AuthorizationArgs{URL: w.ts.URL + "/authorize?" + q.Encode()})
	require.NoError(w.t, err)
	a := w.send("/token", "application/x-www-form-urlencoded", "", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {client}, "redirect_uri": {callback}, "code": {back.Code}, "code_verifier": {verifier},
	}.Encode())
	require.Equal(w.t, http.StatusOK, a.status, a.body)
	var tokens struct {
		Access string `json:"access_token"`
	}
	require.NoError(w.t, json.Unmarshal([]byte(a.body), &tokens))
	return tokens.Access
}

func (w *world) post(token, body string) answer {
	w.t.Helper()
	return w.send(pathMCP, "application/json", token, body)
}

type answer struct {
	status          int
	challenge, body string
}

func (w *world) send(path, contentType, token, body string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.ts.URL+path, strings.NewReader(body))
	require.NoError(w.t, err)
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := w.ts.Client().Do(r)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	answered, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return answer{resp.StatusCode, resp.Header.Get("WWW-Authenticate"), string(answered)}
}

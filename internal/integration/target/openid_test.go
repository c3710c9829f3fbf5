package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

const automatic = `, "auto_login": "alice", "auto_consent": true`

// authorized runs the flow of the client web with a scope and returns the token response.
func (w *world) authorized(scope string) map[string]any {
	w.t.Helper()
	_, answer, body := w.get(w.request("web", "https://web.example/cb", "scope", scope))
	require.NotEmpty(w.t, answer.Query().Get("code"), "%s %s", answer, body)
	var token map[string]any
	require.NoError(w.t, json.Unmarshal([]byte(w.redeem("web", "https://web.example/cb", answer.Query().Get("code"))), &token))
	return token
}

func TestOpenID(t *testing.T) {
	t.Parallel()
	t.Run("the scopes decide, unless the member does", func(t *testing.T) {
		t.Parallel()
		for text, want := range map[string]bool{
			`}`:                           false,
			`, "scopes": {"read": ""}}`:   false,
			`, "scopes": {"openid": ""}}`: true,
			`, "openid": true}`:           true,
			`, "openid": true, "scopes": {"read": ""}}`:    true,
			`, "openid": false, "scopes": {"openid": ""}}`: false,
		} {
			cfg, err := readConfig(write(t, base+text))
			require.NoError(t, err)
			require.Equal(t, want, cfg.openID(), text)
		}
	})
	t.Run("claims come from the userinfo endpoint, as far as the scopes cover them", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, automatic+`, "openid": true`)
		token := w.authorized("openid email read")
		require.NotEmpty(t, token["id_token"])
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/userinfo", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+token["access_token"].(string))
		status, _, body := w.do(r, nil)
		require.Equal(t, http.StatusOK, status, body)
		require.JSONEq(t, `{"sub": "u1", "email": "alice@example.com"}`, body)
	})
	t.Run("logging out ends the session", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, automatic+`, "openid": true`)
		w.keepCookies()
		token := w.authorized("openid")
		require.Len(t, w.target.host.sessions, 1)
		status, _, body := w.get(w.issuer + "/logout")
		require.Equal(t, http.StatusOK, status)
		require.Contains(t, body, `id="logout"`)
		require.Len(t, w.target.host.sessions, 1)
		_, _, body = w.get(w.issuer + "/logout?id_token_hint=" + token["id_token"].(string))
		require.Contains(t, body, "You are signed out")
		require.Empty(t, w.target.host.sessions)
		_, answer, _ := w.get(w.request("web", "https://web.example/cb", "prompt", "none"))
		require.Equal(t, "login_required", answer.Query().Get("error"))
	})
	t.Run("a session has a name, which is not its cookie", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, automatic+`, "openid": true`)
		w.keepCookies()
		w.authorized("openid")
		for id, s := range w.target.host.sessions {
			require.NotEmpty(t, s.name)
			require.NotEqual(t, id, s.name)
		}
	})
}

func TestRegistration(t *testing.T) {
	t.Parallel()
	register := func(w *world, token string) (int, string) {
		body := strings.NewReader(`{"redirect_uris": ["https://new.example/cb"], "token_endpoint_auth_method": "none"}`)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.issuer+"/register", body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		status, _, text := w.do(r, nil)
		return status, text
	}
	t.Run("closed unless it is opened", func(t *testing.T) {
		t.Parallel()
		status, _ := register(newWorld(t, ""), "")
		require.Equal(t, http.StatusNotFound, status)
	})
	t.Run("open to all, and to documents", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, `, "registration": true`)
		status, text := register(w, "")
		require.Equal(t, http.StatusCreated, status, text)
		_, _, text = w.get(strings.TrimSuffix(w.issuer, "/as") + "/.well-known/oauth-authorization-server/as")
		require.Contains(t, text, `"client_id_metadata_document_supported":true`)
	})
	t.Run("open to those with the token, however short", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, `, "registration": true, "initial_access_token": "let me in"`)
		for token, want := range map[string]int{"": http.StatusUnauthorized, "let": http.StatusUnauthorized, "let me in": http.StatusCreated} {
			status, text := register(w, token)
			require.Equal(t, want, status, text)
		}
	})
	t.Run("mcp", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, `, "profile": "mcp", "resources": ["https://mcp.example/mcp"]`)
		_, _, text := w.get(strings.TrimSuffix(w.issuer, "/as") + "/.well-known/oauth-authorization-server/as")
		require.Contains(t, text, `"client_id_metadata_document_supported":true`)
	})
}

func TestClientMembers(t *testing.T) {
	t.Parallel()
	var c client
	require.NoError(t, json.Unmarshal([]byte(`{
		"client_id": "c", "redirect_uris": ["https://web.example/cb"], "jwks": {"keys": []}, "token_endpoint_auth_method": "private_key_jwt",
		"token_endpoint_auth_signing_alg": "ES256", "id_token_signed_response_alg": "EdDSA", "grant_types": ["authorization_code", "client_credentials"],
		"post_logout_redirect_uris": ["https://web.example/bye"], "backchannel_logout_uri": "https://web.example/backchannel",
		"client_uri": "https://web.example/", "policy_uri": "https://web.example/policy", "tos_uri": "https://web.example/terms", "insecure_without_pkce": true
	}`), &c))
	got, err := c.register([]string{"openid"})
	require.NoError(t, err)
	require.Equal(t, &authwright.Client{
		ID: "c", RedirectURIs: []string{"https://web.example/cb"}, JWKS: json.RawMessage(`{"keys": []}`), AuthMethod: authwright.AuthPrivateKeyJWT,
		AuthSigningAlg: "ES256", IDTokenAlg: "EdDSA", GrantTypes: []string{"authorization_code", "client_credentials"}, Scopes: []string{"openid"},
		PostLogoutRedirectURIs: []string{"https://web.example/bye"}, BackchannelLogoutURI: "https://web.example/backchannel",
		URI: "https://web.example/", PolicyURI: "https://web.example/policy", TermsURI: "https://web.example/terms", InsecureWithoutPKCE: true,
	}, got)
	c = client{ID: "c", RedirectURIs: []string{"https://web.example/cb"}, JWKSURI: "https://web.example/jwks"}
	got, err = c.register(nil)
	require.NoError(t, err)
	require.Equal(t, "https://web.example/jwks", got.JWKSURI)
}

func TestFetchRoots(t *testing.T) {
	t.Parallel()
	suite := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(suite.Close)
	name := filepath.Join(t.TempDir(), "suite.pem")
	for _, tt := range []struct{ name, text, want string }{
		{"no file", "", "fetch_roots: open"},
		{"no certificate", "x", "fetch_roots: there is no certificate"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.text != "" {
				require.NoError(t, os.WriteFile(name, []byte(tt.text), 0o600))
			}
			quoted, err := json.Marshal(name)
			require.NoError(t, err)
			require.ErrorContains(t, start(t, base+`, "fetch_roots": `+string(quoted)+`}`), tt.want)
		})
	}
}

// The files with which docs/openid-certification.md runs the OpenID Foundation's suite.
func TestConformanceSuiteFiles(t *testing.T) {
	t.Parallel()
	const folder = "../oidf"
	cfg, err := readConfig(filepath.Join(folder, "target.json"))
	require.NoError(t, err)
	store, err := openStorage(t.Context(), cfg.Storage)
	require.NoError(t, err)
	h, err := newHost(cfg.Issuer, cfg.Users)
	require.NoError(t, err)
	settings, err := cfg.settings(store, h, nil)
	require.NoError(t, err)
	_, err = authwright.NewServer(settings)
	require.NoError(t, err)
	secrets := map[string]string{}
	for _, c := range cfg.Clients {
		_, err := c.register(cfg.knownScopes())
		require.NoError(t, err)
		secrets[c.ID] = c.Secret
	}

	files, err := filepath.Glob(filepath.Join(folder, "suite-*.json"))
	require.NoError(t, err)
	require.Len(t, files, 4)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var plan map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(text, &plan))
			var server struct{ DiscoveryURL string }
			require.NoError(t, json.Unmarshal(plan["server"], &server))
			require.Equal(t, cfg.Issuer+"/.well-known/openid-configuration", server.DiscoveryURL)
			var alias string
			require.NoError(t, json.Unmarshal(plan["alias"], &alias))
			u, err := url.Parse(cfg.Clients[0].RedirectURIs[0])
			require.NoError(t, err)
			require.Equal(t, "/test/a/"+alias+"/callback", u.Path)
			for _, name := range []string{"client", "client2", "client_secret_post"} {
				var c struct {
					ID     string `json:"client_id"`
					Secret string `json:"client_secret"`
				}
				if plan[name] != nil {
					require.NoError(t, json.Unmarshal(plan[name], &c))
					require.Equal(t, secrets[c.ID], c.Secret)
				}
			}
		})
	}
}

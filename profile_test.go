package authwright_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

const mcpServer = "https://mcp.example/mcp"

// mcp makes a world one of the profile MCP.
func mcp(c *authwright.Config) {
	c.Profile = authwright.MCP
	c.Resources = []authwright.Resource{{ID: mcpServer, Scopes: []string{"read", "write"}}}
}

// mcpRequest is the authorization request of a client that is registered as spa is.
func mcpRequest(changes ...string) url.Values {
	return request(append([]string{"client_id", "spa", "redirect_uri", "https://spa.example/cb", "resource", mcpServer}, changes...)...)
}

func mcpTokens(t *testing.T, w *world, q url.Values) map[string]any {
	t.Helper()
	a := w.token(codeForm(w.code(q), "client_id", q.Get("client_id"), "redirect_uri", q.Get("redirect_uri"), "resource", mcpServer))
	require.Equal(t, http.StatusOK, a.status, a.body)
	return a.json(t)
}

func TestProfileConfig(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*authwright.Config)
		want   string // in the error; empty if there is none
	}{
		{"an MCP server", func(*authwright.Config) {}, ""},
		{"an MCP server on this machine", func(c *authwright.Config) { c.Resources[0].ID = "http://localhost:8080/mcp" }, ""},
		{"AT-14 access tokens of an hour", func(c *authwright.Config) { c.AccessTokenLifetime = time.Hour }, ""},

		{"no MCP server", func(c *authwright.Config) { c.Resources = nil }, "Resources is required by Profile MCP"},
		{"an MCP server by http", func(c *authwright.Config) { c.Resources[0].ID = "http://mcp.example/mcp" }, "Resources: Profile MCP"},
		{"an MCP server that is no URL", func(c *authwright.Config) { c.Resources[0].ID = "urn:example:mcp" }, "Resources: Profile MCP"},
		{"an MCP server without a scheme", func(c *authwright.Config) { c.Resources[0].ID = "mcp.example" }, "Resources: Profile MCP"},
		{"an MCP server with a password", func(c *authwright.Config) { c.Resources[0].ID = "https://a:b@mcp.example/" }, "Resources: Profile MCP"},
		{"a second resource that is no URL", func(c *authwright.Config) {
			c.Resources = append(c.Resources, authwright.Resource{ID: "urn:example:mcp"})
		}, "Resources: Profile MCP"},
		{"AT-14 access tokens of more than an hour", func(c *authwright.Config) { c.AccessTokenLifetime = time.Hour + 1 }, "AccessTokenLifetime must be at most 1h0m0s with Profile MCP"},
		{"another profile", func(c *authwright.Config) { c.Profile = "MCP" }, `Profile "MCP" is not known`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := authwright.Config{
				Issuer: "https://auth.example", Storage: new(authwright.Memory),
				Authenticator: authwright.LoginRedirect("/login", "next", nil),
				SigningKeys:   []authwright.SigningKey{{Signer: newKey(t)}},
			}
			mcp(&cfg)
			tc.change(&cfg)
			_, err := authwright.NewServer(cfg)
			if tc.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "authwright: Config."+tc.want)
			}
		})
	}
	t.Run("the host's scopes are not written to", func(t *testing.T) {
		t.Parallel()
		scopes := make([]authwright.Scope, 1, 2)
		scopes[0].Name = "read"
		newWorld(t, mcp, func(c *authwright.Config) { c.Scopes = scopes })
		require.Empty(t, scopes[:2][1].Name)
	})
}

func TestProfileMetadata(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcp)
	m := w.metadata()
	t.Run("MD-12 offline_access can be granted, and is listed", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{"read", "write", "admin", "offline_access"}, list(m["scopes_supported"]))
	})
	t.Run("MD-12 a host that describes offline_access itself has it once", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, mcp, func(c *authwright.Config) {
			c.Scopes = []authwright.Scope{{Name: "offline_access", Description: "Keep me signed in"}}
		})
		require.Equal(t, []string{"offline_access"}, list(w.metadata()["scopes_supported"]))
	})
	t.Run("MD-12 without the profile nobody promises it", func(t *testing.T) {
		t.Parallel()
		require.NotContains(t, list(newWorld(t).metadata()["scopes_supported"]), "offline_access")
	})
	t.Run("MD-13 client documents are on although nobody switched them on", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, true, m["client_id_metadata_document_supported"])
		require.NotContains(t, newWorld(t).metadata(), "client_id_metadata_document_supported")
	})
	t.Run("PK-14 clients that refuse to go on without PKCE go on", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{"S256"}, list(m["code_challenge_methods_supported"]))
	})
	t.Run("AR-04 the promise of iss is kept", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, true, m["authorization_response_iss_parameter_supported"])
		q := w.signedIn("alice").authorize(mcpRequest("scope", "nonsense")).location(t)
		require.Equal(t, "invalid_scope", q.Get("error"))
		require.Equal(t, w.issuer, q.Get("iss"))
	})
}

// The section Refresh Tokens: offline_access is a wish that clients add without knowing
// whether they may.
func TestProfileOfflineAccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, mcp)
	w.enroll(&authwright.Client{ID: "stays", RedirectURIs: []string{"https://spa.example/cb"}, Scopes: []string{"read", "offline_access"}})
	w.enroll(&authwright.Client{
		ID: "leaves", RedirectURIs: []string{"https://spa.example/cb"}, GrantTypes: []string{"authorization_code"},
		Scopes: []string{"read", "offline_access"}, DefaultScopes: []string{"read", "offline_access"},
	})
	for _, tc := range []struct {
		name, client, scope string
		shown, refreshed    bool // offline_access on the consent page, and a refresh token
	}{
		{"registered for it", "stays", "read offline_access", true, true},
		{"registered for it and not asking", "stays", "read", false, true},
		{"not registered for it", "spa", "read offline_access", false, true},
		{"without the grant type", "leaves", "read offline_access", false, false},
		{"without the grant type, by default", "leaves", "", false, false},
	} {
		t.Run("RT-20 a client "+tc.name, func(t *testing.T) {
			t.Parallel()
			q := mcpRequest("client_id", tc.client, "scope", tc.scope, "prompt", "consent")
			page := w.signedIn("alice").authorize(q)
			require.Equal(t, http.StatusOK, page.status, page.header)
			require.Equal(t, tc.shown, strings.Contains(page.body, `value="offline_access"`))
			if tc.scope == "" {
				q.Set("scope", "read")
			}
			tokens := mcpTokens(t, w, q)
			require.Equal(t, "read", tokens["scope"], "to the MCP server it means nothing")
			require.Equal(t, tc.refreshed, tokens["refresh_token"] != nil)
		})
	}
	t.Run("RT-20 a request that names no resource", func(t *testing.T) {
		t.Parallel()
		tokens := mcpTokens(t, w, mcpRequest("client_id", "stays", "scope", "read offline_access", "resource", ""))
		require.Equal(t, mcpServer, claims(t, tokens["access_token"])["aud"])
	})
	t.Run("RT-20 other scopes are refused as ever", func(t *testing.T) {
		t.Parallel()
		redirected(t, w.signedIn("alice").authorize(mcpRequest("scope", "admin offline_access")), "invalid_scope")
	})
	t.Run("RT-20 without the profile it is a scope like any other", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		redirected(t, w.signedIn("alice").authorize(mcpRequest("scope", "read offline_access", "resource", "")), "invalid_scope")
	})
}

// Communication Security: "All redirect URIs MUST be either localhost or use HTTPS."
func TestProfileRedirect(t *testing.T) {
	t.Parallel()
	uris := []string{
		"https://app.example/cb", "http://localhost/cb", "http://localhost:3000/cb", "http://127.0.0.1/cb", "http://[::1]/cb",
		"com.example.app:/cb",
	}
	client := &authwright.Client{ID: "app", RedirectURIs: uris, Scopes: []string{"read"}}
	for _, tc := range []struct {
		name, uri string
		want      bool
	}{
		{"RU-07 https", "https://app.example/cb", true},
		{"RU-07 localhost on any port", "http://localhost:49152/cb", true},
		{"RU-07 an address of this machine", "http://127.0.0.1:49152/cb", true},
		{"RU-07 the IPv6 address of this machine", "http://[::1]:49152/cb", true},
		{"RU-07 a scheme of an application", "com.example.app:/cb", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, profile := range []func(*authwright.Config){func(*authwright.Config) {}, mcp} {
				w := newWorld(t, profile)
				w.enroll(client)
				a := w.signedIn("alice").authorize(request("client_id", "app", "redirect_uri", tc.uri, "scope", "read"))
				if w.metadata()["client_id_metadata_document_supported"] == nil || tc.want {
					require.Equal(t, http.StatusOK, a.status, a.body)
				} else {
					errorPage(t, a)
					require.Contains(t, a.body, "redirect URI is not registered")
				}
			}
		})
	}
}

// What a client was registered as before the profile was chosen does not weaken it.
func TestProfilePKCE(t *testing.T) {
	t.Parallel()
	key, err := rsaKey()
	require.NoError(t, err)
	lenient := func(c *authwright.Config) {
		c.OpenID = new(authwright.OpenID)
		c.SigningKeys = append(c.SigningKeys, authwright.SigningKey{Signer: key})
	}
	for name, profile := range map[string]func(*authwright.Config){"OAuth21": func(*authwright.Config) {}, "MCP": mcp} {
		t.Run("PK-01 a client that is excused from PKCE with "+name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, lenient, profile)
			w.enroll(&authwright.Client{
				ID: "old", Secrets: []authwright.ClientSecret{stored("s")}, RedirectURIs: []string{"https://old.example/cb"},
				Scopes: []string{"openid"}, InsecureWithoutPKCE: true,
			})
			a := w.signedIn("alice").authorize(request("client_id", "old", "redirect_uri", "https://old.example/cb",
				"scope", "openid", "code_challenge", "", "code_challenge_method", ""))
			if name == "MCP" {
				redirected(t, a, "invalid_request")
			} else {
				require.Equal(t, http.StatusOK, a.status, a.body)
			}
		})
	}
}

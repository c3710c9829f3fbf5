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

// itself is a request of a client that acts for itself, with changes as in request.
func itself(changes ...string) url.Values {
	f := url.Values{"grant_type": {"client_credentials"}}
	for i := 0; i+1 < len(changes); i += 2 {
		f.Set(changes[i], changes[i+1])
	}
	return f
}

// withRobot adds a client that acts for itself, and one that also acts for users.
func withRobot(t *testing.T) func(*authwright.Config) {
	t.Helper()
	return func(cfg *authwright.Config) {
		for _, c := range []*authwright.Client{
			{ID: "robot", GrantTypes: []string{"client_credentials"}},
			{ID: "both", GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"}, RedirectURIs: []string{"https://both.example/cb"}},
		} {
			c.Secrets = []authwright.ClientSecret{stored("s")}
			c.Scopes, c.DefaultScopes = []string{"read", "write", "openid", "email", "offline_access"}, []string{"read", "openid"}
			require.NoError(t, cfg.Storage.(*authwright.Memory).AddClient(t.Context(), c))
		}
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withRobot(t))
	t.Run("CC-01 a confidential client", func(t *testing.T) {
		a := w.token(itself("scope", "read write"), "robot", "s")
		require.Equal(t, http.StatusOK, a.status, a.body)
		uncached(t, a)
		resp := a.json(t)
		require.Equal(t, "Bearer", resp["token_type"])
		require.Equal(t, 600.0, resp["expires_in"])
		got := w.verified(resp["access_token"])
		require.Equal(t, "read write", got["scope"])
		require.Equal(t, w.issuer, got["aud"])
		require.Equal(t, http.StatusOK, w.token(itself("client_id", "robot", "client_secret", "s", "scope", "read")).status)
	})
	grants := []string{"authorization_code", "refresh_token", "client_credentials"}
	redirects := []string{"https://x.example/cb"}
	secret := []authwright.ClientSecret{stored("s")}
	for _, test := range []struct {
		name   string
		client authwright.Client
		auth   bool
		code   string
	}{
		{"CC-01 a public client", authwright.Client{ID: "public", GrantTypes: grants}, false, "unauthorized_client"},
		{"CC-01 a client that is public by its method", authwright.Client{ID: "none", AuthMethod: "none", GrantTypes: grants}, false, "unauthorized_client"},
		{"CC-01 a native client, whose secret everybody has", authwright.Client{ID: "native", Native: true, Secrets: secret, GrantTypes: grants}, true, "unauthorized_client"},
		{"CC-01 a client that introduced itself", authwright.Client{ID: "stranger", Unverified: true, Secrets: secret, GrantTypes: grants}, true, "unauthorized_client"},
		{"CC-01 a client that is not registered for it", authwright.Client{ID: "users", Secrets: secret}, true, "unauthorized_client"},
		{"CC-01 a client that was disabled", authwright.Client{ID: "disabled", Disabled: true, Secrets: secret, GrantTypes: grants}, true, "invalid_grant"},
		{"CC-01 a confidential client by its name alone", authwright.Client{ID: "named", Secrets: secret, GrantTypes: grants}, false, "invalid_client"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := test.client
			c.RedirectURIs, c.Scopes, c.DefaultScopes = redirects, []string{"read"}, []string{"read"}
			w.enroll(&c)
			f, auth := itself("client_id", c.ID), []string(nil)
			if test.auth {
				auth = []string{c.ID, "s"}
			}
			refused(t, w.token(f, auth...), test.code)
			require.Empty(t, w.grants(c.ID), "nothing is written")
		})
	}
	for _, test := range []struct{ name, scope, code string }{
		{"CC-01 a scope that the client may not have", "admin", "invalid_scope"},
		{"CC-01 a scope that is none", "a\"b", "invalid_scope"},
	} {
		t.Run(test.name, func(t *testing.T) { refused(t, w.token(itself("scope", test.scope), "robot", "s"), test.code) })
	}

	for _, scope := range []string{"", "read", "read write"} {
		t.Run("CC-02 no refresh token for the scope "+scope, func(t *testing.T) {
			for _, client := range []string{"robot", "both"} {
				f := itself("scope", scope)
				if scope == "" {
					f = itself()
				}
				resp := w.token(f, client, "s").json(t)
				require.NotEmpty(t, resp["access_token"], resp)
				require.NotContains(t, resp, "refresh_token")
				require.NotContains(t, resp, "id_token")
			}
		})
	}
	t.Run("CC-02 the grant has nothing that refreshes", func(t *testing.T) {
		for _, g := range w.grants("both") {
			require.Empty(t, g.Turn)
			require.Empty(t, g.Lineage)
			require.Equal(t, w.now().Add(10*time.Minute), g.ExpiresAt)
		}
	})
}

func TestClientCredentialsSubject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withRobot(t), withIDTokens(t))
	both := request("client_id", "both", "redirect_uri", "https://both.example/cb", "scope", "read")
	t.Run("CC-03 sub is the client_id", func(t *testing.T) {
		got := claims(t, w.token(itself(), "both", "s").json(t)["access_token"])
		require.Equal(t, "both", got["sub"])
		require.Equal(t, "both", got["client_id"])
		require.NotContains(t, got, "auth_time")
	})
	t.Run("CC-03 sub is not the client_id when there is a user", func(t *testing.T) {
		resp := w.token(codeForm(w.code(both), "redirect_uri", ""), "both", "s").json(t)
		require.Equal(t, "alice", claims(t, resp["access_token"])["sub"])
	})
	t.Run("CC-03 a user of the client's name gets no token that looks like the client's", func(t *testing.T) {
		a := w.signedIn("both").authorize(both)
		redirected(t, a, "server_error")
	})
	t.Run("CC-03 a client of a user's name learns nothing about the user", func(t *testing.T) {
		w.enroll(&authwright.Client{
			ID: "alice", Secrets: []authwright.ClientSecret{stored("s")}, GrantTypes: []string{"client_credentials"},
			Scopes: []string{"read", "openid", "email"}, DefaultScopes: []string{"read", "openid", "email"}, Resources: []string{w.issuer},
		})
		refused(t, w.token(itself("scope", "openid email"), "alice", "s"), "invalid_scope")
		refused(t, w.token(itself("scope", "read email"), "alice", "s"), "invalid_scope")
		resp := w.token(itself(), "alice", "s").json(t)
		require.Equal(t, "read", resp["scope"], "the default is cut down")
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/userinfo", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+resp["access_token"].(string))
		a := w.do(http.DefaultClient, r)
		require.Equal(t, http.StatusForbidden, a.status)
		require.NotContains(t, a.body, "users.example")
	})
	t.Run("CC-03 a client cannot name itself after a user", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) {
			cfg.Registration = &authwright.Registration{Clients: cfg.Storage.(*authwright.Memory)}
		})
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.issuer+"/register", strings.NewReader(
			`{"client_id": "alice", "redirect_uris": ["https://x.example/cb"], "grant_types": ["client_credentials", "authorization_code"]}`))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		a := w.do(http.DefaultClient, r)
		require.Equal(t, http.StatusCreated, a.status, a.body)
		resp := a.json(t)
		require.Regexp(t, `^[A-Z2-7]{26}$`, resp["client_id"])
		a = w.token(itself("scope", "read"), resp["client_id"].(string), resp["client_secret"].(string))
		refused(t, a, "unauthorized_client")
	})
	t.Run("CC-04 the token is for the resource that was named", func(t *testing.T) {
		w := newWorld(t, withRobot(t), notesAndFiles)
		resp := w.token(itself("scope", "read", "resource", "https://files.example/api"), "robot", "s").json(t)
		require.Equal(t, "https://files.example/api", claims(t, resp["access_token"])["aud"])
		refused(t, w.token(itself("scope", "read", "resource", "https://evil.example/"), "robot", "s"), "invalid_target")
	})
	t.Run("CC-04 the metadata document lists the methods and their algorithms", func(t *testing.T) {
		m := w.get("/.well-known/oauth-authorization-server").json(t)
		require.Contains(t, m["grant_types_supported"], "client_credentials")
		require.Subset(t, m["token_endpoint_auth_methods_supported"], []any{"private_key_jwt", "client_secret_basic"})
		require.Contains(t, m["token_endpoint_auth_signing_alg_values_supported"], "ES256")
	})
}

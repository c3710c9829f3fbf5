package authwright_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

const openIDSuffix = "/.well-known/openid-configuration"

// discovery fetches the discovery document from below the issuer.
func (w *world) discovery() map[string]any {
	w.t.Helper()
	b := w.browser()
	a := b.get(w.issuer + openIDSuffix)
	require.Equal(w.t, http.StatusOK, a.status, a.body)
	return a.json(w.t)
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, path string }{
		{"MD-02 below an issuer without a path", ""},
		{"MD-02 below an issuer with a path", "/oauth"},
		{"MD-02 below an issuer with a longer path", "/tenants/one"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newProvider(t, func(c *authwright.Config) { c.Issuer += tc.path })
			require.Equal(t, w.issuer, w.discovery()["issuer"])
			require.Contains(t, w.srv.Paths(), tc.path+openIDSuffix)
		})
		t.Run("MD-03 at all three places, the same: "+tc.path, func(t *testing.T) {
			t.Parallel()
			w := newProvider(t, func(c *authwright.Config) { c.Issuer += tc.path })
			b := w.browser()
			want := b.get(w.issuer + openIDSuffix)
			for _, at := range []string{openIDSuffix + tc.path, wellKnown + tc.path} {
				a := b.get(w.ts.URL + at)
				require.Equal(t, http.StatusOK, a.status, at)
				require.Equal(t, "application/json", a.header.Get("Content-Type"))
				require.Equal(t, "*", a.header.Get("Access-Control-Allow-Origin"))
				require.JSONEq(t, want.body, a.body)
			}
			if tc.path != "" {
				require.Equal(t, http.StatusNotFound, b.get(w.ts.URL+openIDSuffix).status, "another issuer's")
			}
		})
	}
	w := newProvider(t)
	m := w.discovery()
	t.Run("MD-07 what OpenID Connect requires", func(t *testing.T) {
		require.Equal(t, w.issuer+"/jwks", m["jwks_uri"])
		require.Equal(t, []string{"public"}, list(m["subject_types_supported"]))
		require.ElementsMatch(t, []string{"ES256", "RS256", "PS256", "EdDSA"}, list(m["id_token_signing_alg_values_supported"]))
	})
	t.Run("MD-07 RS256 is always there, and an algorithm without a key never", func(t *testing.T) {
		w := newProvider(t, func(cfg *authwright.Config) { cfg.SigningKeys = cfg.SigningKeys[1:2] })
		require.Equal(t, []string{"RS256"}, list(w.discovery()["id_token_signing_alg_values_supported"]))
	})
	t.Run("MD-08 no member is empty", func(t *testing.T) {
		for _, m := range []map[string]any{m, newProvider(t, func(cfg *authwright.Config) {
			cfg.OpenID, cfg.Scopes, cfg.Index = new(authwright.OpenID), nil, nil
		}).discovery()} {
			for name, v := range m {
				require.NotEqual(t, []any{}, v, name)
				require.NotEqual(t, "", v, name)
				require.NotNil(t, v, name)
			}
		}
	})
	t.Run("MD-09 what has another default is said", func(t *testing.T) {
		require.Equal(t, []string{"query", "form_post"}, list(m["response_modes_supported"]))
		require.NotContains(t, list(m["grant_types_supported"]), "implicit")
		require.ElementsMatch(t, []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"}, list(m["token_endpoint_auth_methods_supported"]))
		require.Equal(t, false, m["request_uri_parameter_supported"], "true by default")
	})
	t.Run("MD-10 algorithms for the methods that sign", func(t *testing.T) {
		for _, endpoint := range []string{"token", "revocation", "introspection"} {
			algs := list(m[endpoint+"_endpoint_auth_signing_alg_values_supported"])
			require.ElementsMatch(t, []string{"ES256", "PS256", "EdDSA", "RS256"}, algs, endpoint)
		}
	})
	for _, at := range []string{openIDSuffix, wellKnown} {
		t.Run("PK-14 PKCE is announced at "+at, func(t *testing.T) {
			m := w.transmit(http.MethodGet, at, "", nil).json(t)
			require.Equal(t, []string{"S256"}, list(m["code_challenge_methods_supported"]))
		})
		t.Run("MD-11 and so is iss, at "+at, func(t *testing.T) {
			m := w.transmit(http.MethodGet, at, "", nil).json(t)
			require.Equal(t, true, m["authorization_response_iss_parameter_supported"])
		})
	}
	t.Run("MD-12 the host's scopes, and those of OpenID Connect", func(t *testing.T) {
		want := []string{"read", "write", "admin", "openid", "profile", "email", "address", "phone", "offline_access"}
		require.Equal(t, want, list(m["scopes_supported"]))
	})
	t.Run("MD-12 a host that lists none restricts none", func(t *testing.T) {
		w := newProvider(t, func(cfg *authwright.Config) { cfg.Scopes = nil })
		require.NotContains(t, list(w.discovery()["scopes_supported"]), "read")
		got := w.signedIn("alice").signsInTo(asking("scope", "openid read"))
		require.Equal(t, "openid read", got["scope"])
	})
	t.Run("MD-14 every endpoint that is named is served", func(t *testing.T) {
		named := 0
		for name, v := range m {
			address, ok := v.(string)
			if !ok || !strings.HasSuffix(name, "_endpoint") {
				continue
			}
			named++
			require.Contains(t, w.srv.Paths(), strings.TrimPrefix(address, w.issuer), name)
		}
		require.Equal(t, 6, named) // authorization, token, revocation, introspection, userinfo, end of session
	})
	t.Run("MD-14 every claim that a scope discloses is listed", func(t *testing.T) {
		for _, name := range []string{"sub", "iss", "auth_time", "acr", "name", "updated_at", "email_verified", "address", "phone_number"} {
			require.Contains(t, list(m["claims_supported"]), name)
		}
		supported := list(m["claims_supported"])
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(supported))), len(supported), "once")
	})
	t.Run("MD-14 without OpenID Connect none of it is there", func(t *testing.T) {
		w := newWorld(t)
		require.Equal(t, http.StatusNotFound, w.transmit(http.MethodGet, openIDSuffix, "", nil).status)
		for _, path := range []string{"/userinfo", "/logout"} {
			require.Equal(t, http.StatusNotFound, w.transmit(http.MethodGet, path, "", nil).status)
		}
		for _, name := range []string{"userinfo_endpoint", "end_session_endpoint", "subject_types_supported", "id_token_signing_alg_values_supported", "claims_supported", "claims_parameter_supported"} {
			require.NotContains(t, w.metadata(), name)
		}
	})
	t.Run("MD-05 the issuer's resource is spelled like the issuer", func(t *testing.T) {
		cfg := minimal(t)
		cfg.OpenID = new(authwright.OpenID)
		cfg.SigningKeys = append(cfg.SigningKeys, authwright.SigningKey{Signer: openIDKey()})
		cfg.Resources = []authwright.Resource{{ID: cfg.Issuer + "/"}}
		_, err := authwright.NewServer(cfg)
		require.ErrorContains(t, err, "Config.Resources")
	})
}

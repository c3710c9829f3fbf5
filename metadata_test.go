package authwright_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

const wellKnown = "/.well-known/oauth-authorization-server"

// metadata fetches the metadata document of an issuer that may have a path.
func (w *world) metadata() map[string]any {
	w.t.Helper()
	b := w.browser()
	a := b.get(w.ts.URL + wellKnown + strings.TrimPrefix(w.issuer, w.ts.URL))
	require.Equal(w.t, http.StatusOK, a.status, a.body)
	return a.json(w.t)
}

// list is a member of a metadata document that is an array.
func list(v any) []string {
	var s []string
	if a, ok := v.([]any); ok {
		for _, e := range a {
			s = append(s, e.(string))
		}
	}
	return s
}

func TestMetadataLocation(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, path string }{
		{"MD-01 an issuer without a path", ""},
		{"MD-01 an issuer with a path", "/oauth"},
		{"MD-01 an issuer with a longer path", "/tenants/one"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *authwright.Config) { c.Issuer += tc.path })
			require.Equal(t, w.issuer, w.metadata()["issuer"])
			b := w.browser()
			for _, elsewhere := range []string{wellKnown + "/elsewhere", wellKnown + tc.path + "/", tc.path + "/elsewhere" + wellKnown} {
				require.Equal(t, http.StatusNotFound, b.get(w.ts.URL+elsewhere).status, elsewhere)
			}
			if tc.path != "" {
				require.Equal(t, http.StatusNotFound, b.get(w.ts.URL+wellKnown).status, "another issuer's")
			}
		})
	}
	t.Run("MD-01 an issuer that ends with a slash would be two", func(t *testing.T) {
		t.Parallel()
		for _, issuer := range []string{"https://auth.example/", "https://auth.example/oauth/"} {
			cfg := minimal(t)
			cfg.Issuer = issuer
			_, err := authwright.NewServer(cfg)
			require.ErrorContains(t, err, "Issuer", issuer)
		}
	})
}

func TestMetadataDocument(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authwright.Config) {
		c.Scopes = append(c.Scopes, authwright.Scope{Name: "offline_access"})
		notesAndFiles(c)
	})
	m := w.metadata()
	t.Run("MD-04 200 and application/json, by GET and HEAD", func(t *testing.T) {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r, err := http.NewRequestWithContext(t.Context(), method, w.ts.URL+wellKnown, nil)
			require.NoError(t, err)
			a := w.do(http.DefaultClient, r)
			require.Equal(t, http.StatusOK, a.status)
			require.Equal(t, "application/json", a.header.Get("Content-Type"))
			require.Equal(t, method == http.MethodHead, a.body == "")
		}
	})
	t.Run("MD-05 issuer as configured, byte for byte", func(t *testing.T) {
		require.Equal(t, w.issuer, m["issuer"])
	})
	for _, tc := range []struct{ name, issuer string }{
		{"MD-05 no query", "https://auth.example?tenant=one"},
		{"MD-05 no empty query", "https://auth.example?"},
		{"MD-05 no fragment", "https://auth.example#one"},
		{"MD-05 no empty fragment", "https://auth.example/oauth#"},
		{"MD-05 no user information", "https://alice@auth.example"},
		{"MD-05 one spelling: the host", "https://Auth.example"},
		{"MD-05 one spelling: the scheme", "HTTPS://auth.example"},
		{"MD-05 one spelling: dot segments", "https://auth.example/a/../b"},
		{"MD-05 one spelling: escapes", "https://auth.example/%6fauth"},
		{"MD-05 one spelling: slashes", "https://auth.example//oauth"},
		{"MD-05 a host", "https:///oauth"},
		{"MD-05 something", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := minimal(t)
			cfg.Issuer = tc.issuer
			_, err := authwright.NewServer(cfg)
			require.ErrorContains(t, err, "Issuer")
		})
	}
	t.Run("MD-06 the required members", func(t *testing.T) {
		for _, name := range []string{"issuer", "authorization_endpoint", "token_endpoint", "response_types_supported"} {
			require.NotEmpty(t, m[name], name)
		}
	})
	t.Run("MD-09 no default is left to be assumed", func(t *testing.T) {
		require.ElementsMatch(t, []string{"code"}, list(m["response_types_supported"]))
		for _, name := range []string{"grant_types_supported", "token_endpoint_auth_methods_supported", "response_modes_supported"} {
			require.NotEmpty(t, m[name], name)
		}
		require.NotContains(t, list(m["grant_types_supported"]), "implicit")
		require.NotContains(t, list(m["response_modes_supported"]), "fragment")
		for _, endpoint := range []string{"revocation", "introspection"} {
			if m[endpoint+"_endpoint"] != nil {
				require.NotEmpty(t, m[endpoint+"_endpoint_auth_methods_supported"], endpoint)
			}
		}
	})
	t.Run("MD-11 PKCE and iss are announced", func(t *testing.T) {
		require.Equal(t, []string{"S256"}, list(m["code_challenge_methods_supported"]))
		require.Equal(t, true, m["authorization_response_iss_parameter_supported"])
	})
	t.Run("MD-12 scopes as configured, offline_access among them", func(t *testing.T) {
		require.Equal(t, []string{"read", "write", "admin", "offline_access"}, list(m["scopes_supported"]))
	})
	t.Run("MD-16 any origin may read it, and the key set", func(t *testing.T) {
		for _, path := range []string{wellKnown, "/jwks"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.ts.URL+path, nil)
			require.NoError(t, err)
			r.Header.Set("Origin", "https://spa.example")
			a := w.do(http.DefaultClient, r)
			require.Equal(t, "*", a.header.Get("Access-Control-Allow-Origin"), path)
			require.Empty(t, a.header.Get("Access-Control-Allow-Credentials"), path)
		}
	})
	t.Run("MD-18 the resources", func(t *testing.T) {
		require.Equal(t, []string{"https://notes.example/", "https://files.example/api", "https://write.example/"}, list(m["protected_resources"]))
	})
	t.Run("MD-08 no empty member, whatever is configured", func(t *testing.T) {
		bare := newWorld(t, func(c *authwright.Config) { c.Scopes, c.Resources = nil, nil }).metadata()
		require.NotContains(t, bare, "scopes_supported")
		for _, doc := range []map[string]any{m, bare} {
			for name, value := range doc {
				require.NotNil(t, value, name)
				require.NotEqual(t, []any{}, value, name)
				require.NotEqual(t, "", value, name)
			}
		}
	})
	t.Run("MD-15 the request has no say", func(t *testing.T) {
		srv, err := authwright.NewServer(minimal(t))
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, "http://evil.example"+wellKnown, nil)
		for _, name := range []string{"X-Forwarded-Host", "X-Original-Host", "X-Host"} {
			r.Header.Set(name, "evil.example")
		}
		r.Header.Set("Forwarded", "host=evil.example;proto=http")
		r.Header.Set("X-Forwarded-Proto", "http")
		r.Header.Set("X-Forwarded-Prefix", "/evil")
		rec := httptest.NewRecorder()
		srv.ServeHTTP(rec, r)
		require.Equal(t, http.StatusOK, rec.Code)
		require.NotContains(t, rec.Body.String(), "evil")
		var doc map[string]any
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &doc))
		for name, value := range doc {
			if text, ok := value.(string); ok {
				require.True(t, strings.HasPrefix(text, "https://auth.example"), name)
			}
		}
	})
}

// What the document says and what the server does are compared in both directions.
func TestMetadataIsTrue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := w.metadata()
	advertised := map[string]string{} // paths, with the member that names them
	for name, value := range m {
		if text, ok := value.(string); ok && name != "issuer" {
			advertised[strings.TrimPrefix(text, w.issuer)] = name
		}
	}
	t.Run("MD-14 every endpoint that is named is served", func(t *testing.T) {
		for path, name := range advertised {
			require.NotEqual(t, http.StatusNotFound, w.postForm(path, nil).status, name)
		}
	})
	t.Run("MD-14 every endpoint that is served is named", func(t *testing.T) {
		for _, path := range w.srv.Paths() {
			// The consent form is posted by our own page; the documents are
			// where the issuer says.
			if path != "/consent" && !strings.HasPrefix(path, "/.well-known/") {
				require.Contains(t, advertised, path)
			}
		}
	})
	t.Run("MD-14 grant types", func(t *testing.T) {
		for _, grant := range []string{
			"authorization_code", "refresh_token", "implicit", "password", "client_credentials",
			"urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:jwt-bearer",
			"urn:ietf:params:oauth:grant-type:token-exchange", "urn:ietf:params:oauth:grant-type:saml2-bearer",
		} {
			refused := w.token(url.Values{"grant_type": {grant}}, "web", webSecret).json(t)["error"] == "unsupported_grant_type"
			require.Equal(t, slices.Contains(list(m["grant_types_supported"]), grant), !refused, grant)
		}
	})
	t.Run("MD-14 methods of client authentication that a client can be registered with", func(t *testing.T) {
		for _, method := range []authwright.AuthMethod{
			"none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth",
		} {
			without := authwright.Client{ID: "x", RedirectURIs: []string{"https://x.example/cb"}, AuthMethod: method}
			with := without
			with.Secrets = []authwright.ClientSecret{stored(webSecret)}
			known := without.Validate() == nil || with.Validate() == nil || !strings.Contains(with.Validate().Error(), "not supported")
			require.Equal(t, slices.Contains(list(m["token_endpoint_auth_methods_supported"]), string(method)), known, method)
		}
	})
	t.Run("MD-14 methods of client authentication that work", func(t *testing.T) {
		spa := request("client_id", "spa", "redirect_uri", "https://spa.example/cb")
		for method, a := range map[string]answer{
			"client_secret_basic": w.token(codeForm(w.code(request())), "web", webSecret),
			"client_secret_post":  w.token(codeForm(w.code(request()), "client_id", "web", "client_secret", webSecret)),
			"none":                w.token(codeForm(w.code(spa), "client_id", "spa", "redirect_uri", "https://spa.example/cb")),
		} {
			require.Contains(t, list(m["token_endpoint_auth_methods_supported"]), method)
			require.Equal(t, http.StatusOK, a.status, method)
		}
	})
	for _, tc := range []struct {
		name, member, parameter string
		values                  []string
	}{
		{"MD-14 methods of PKCE", "code_challenge_methods_supported", "code_challenge_method", []string{"S256", "plain", "S512"}},
		{"MD-14 response types", "response_types_supported", "response_type", []string{"code", "token", "id_token", "code id_token", "none"}},
		{"MD-14 response modes", "response_modes_supported", "response_mode", []string{"query", "fragment", "form_post", "query.jwt", "web_message"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := w.signedIn("bob")
			for _, value := range tc.values {
				works := b.authorize(request(tc.parameter, value, "prompt", "consent")).status == http.StatusOK
				require.Equal(t, slices.Contains(list(m[tc.member]), value), works, value)
			}
		})
	}
	t.Run("MD-14 scopes that are not known are not granted", func(t *testing.T) {
		require.NoError(t, w.store.AddClient(t.Context(), &authwright.Client{
			ID: "broad", RedirectURIs: []string{"https://broad.example/cb"}, Scopes: []string{"read", "secret"},
		}))
		broad := request("client_id", "broad", "redirect_uri", "https://broad.example/cb", "scope", "secret")
		require.NotContains(t, list(m["scopes_supported"]), "secret")
		redirected(t, w.signedIn("alice").authorize(broad), "invalid_scope")
	})
	t.Run("MD-14 iss is sent, as announced", func(t *testing.T) {
		back := w.signedIn("alice").authorize(request("scope", "nonsense")).location(t)
		require.Equal(t, m["issuer"], back.Get("iss"))
	})
	for _, tc := range []struct{ name, member, parameter, value, code string }{
		{"MD-14 request objects", "request_parameter_supported", "request", "e30.e30.", "request_not_supported"},
		{"MD-14 request objects by reference", "request_uri_parameter_supported", "request_uri", "https://web.example/request", "request_uri_not_supported"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			require.Equal(t, false, m[tc.member], "which is not the default of all of them")
			redirected(t, w.signedIn("alice").authorize(request(tc.parameter, tc.value)), tc.code)
		})
	}
	t.Run("MD-14 features that are off", func(t *testing.T) {
		require.NotContains(t, m, "client_id_metadata_document_supported")
		errorPage(t, w.signedIn("alice").authorize(request("client_id", "https://client.example/about.json")))
		for member, path := range map[string]string{
			"registration_endpoint": "/register", "userinfo_endpoint": "/userinfo", "end_session_endpoint": "/logout",
			"pushed_authorization_request_endpoint": "/par", "device_authorization_endpoint": "/device",
		} {
			if !slices.Contains(w.srv.Paths(), path) {
				require.NotContains(t, m, member)
				require.Equal(t, http.StatusNotFound, w.postForm(path, nil).status, path)
			}
		}
	})
}

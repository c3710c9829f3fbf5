package authwright_test

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A profile is what a client says of itself.
type profile map[string]any

// with returns p with changes, which come in pairs. Nil removes a member.
func (p profile) with(changes ...any) profile {
	p = maps.Clone(p)
	for i := 0; i+1 < len(changes); i += 2 {
		p[changes[i].(string)] = changes[i+1]
		if changes[i+1] == nil {
			delete(p, changes[i].(string))
		}
	}
	return p
}

// newcomer is the least that a web application registers with, native one on a device.
var (
	newcomer = profile{"redirect_uris": []string{"https://new.example/cb"}}
	native   = profile{"redirect_uris": []string{"http://127.0.0.1/cb"}, "application_type": "native", "token_endpoint_auth_method": "none"}
)

// registration lets clients register themselves.
func registration(changes ...func(*authwright.Registration)) func(*authwright.Config) {
	return func(cfg *authwright.Config) {
		cfg.Registration = &authwright.Registration{Clients: cfg.Storage.(*authwright.Memory), Scopes: []string{"read", "write"}}
		for _, change := range changes {
			change(cfg.Registration)
		}
	}
}

// register registers a client. A header comes in pairs.
func (w *world) register(p profile, header ...string) answer {
	w.t.Helper()
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return w.transmit("POST", "/register", marshal(w.t, p), h)
}

// registered registers a client and returns what is registered.
func (w *world) registered(p profile) map[string]any {
	w.t.Helper()
	a := w.register(p)
	require.Equal(w.t, http.StatusCreated, a.status, a.body)
	return a.json(w.t)
}

// asRegistered is an authorization request of a client that has registered.
func asRegistered(c map[string]any, changes ...string) url.Values {
	uri := c["redirect_uris"].([]any)[0].(string)
	return request(append([]string{"client_id", c["client_id"].(string), "redirect_uri", uri}, changes...)...)
}

func TestRegister(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registration())
	t.Run("DR-01 a registration is answered with all that is registered", func(t *testing.T) {
		said := newcomer.with("client_name", "New Notes", "scope", "write read", "client_uri", "https://new.example/", "tos_uri", "https://new.example/tos",
			"policy_uri", "https://new.example/privacy", "token_endpoint_auth_method", "client_secret_post", "grant_types", []string{"authorization_code", "refresh_token"},
			"response_types", []string{"code"}, "application_type", "web", "post_logout_redirect_uris", []string{"https://new.example/bye"})
		a := w.register(said)
		require.Equal(t, http.StatusCreated, a.status, a.body)
		uncached(t, a)
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		c := a.json(t)
		for name, value := range said {
			require.JSONEq(t, marshal(t, value), marshal(t, c[name]), name)
		}
		require.EqualValues(t, w.now().Unix(), c["client_id_issued_at"])
		require.EqualValues(t, 0, c["client_secret_expires_at"], "never, but it has to be said")
		require.GreaterOrEqual(t, len(c["client_secret"].(string)), 32)
		require.GreaterOrEqual(t, len(c["registration_access_token"].(string)), 32)
		require.Equal(t, w.issuer+"/register?client_id="+c["client_id"].(string), c["registration_client_uri"])
		require.Contains(t, w.happened(), authwright.EventClientRegistered)
	})
	t.Run("DR-01 a client without a secret is told of none", func(t *testing.T) {
		c := w.registered(native)
		require.NotContains(t, c, "client_secret")
		require.NotContains(t, c, "client_secret_expires_at")
	})
	for _, method := range []string{"client_secret_basic", "client_secret_post", "none"} {
		t.Run("DR-01 what is registered works: "+method, func(t *testing.T) {
			c := w.registered(newcomer.with("token_endpoint_auth_method", method, "grant_types", []string{"authorization_code", "refresh_token"}))
			id, secret := c["client_id"].(string), ""
			f := codeForm(w.code(asRegistered(c)), "redirect_uri", "https://new.example/cb")
			var auth []string
			switch method {
			case "client_secret_basic":
				auth = []string{id, c["client_secret"].(string)}
			case "client_secret_post":
				secret = c["client_secret"].(string)
				fallthrough
			case "none":
				refused(t, w.token(maps.Clone(f), id, "wrong"), "invalid_client")
				f.Set("client_id", id)
			}
			if secret != "" {
				f.Set("client_secret", secret)
			}
			a := w.token(f, auth...)
			require.Equal(t, http.StatusOK, a.status, a.body)
			require.NotEmpty(t, a.json(t)["refresh_token"])
		})
	}
	t.Run("DR-01 there is no endpoint unless the host wants it", func(t *testing.T) {
		closed := newWorld(t)
		require.Equal(t, http.StatusNotFound, closed.register(newcomer).status)
		require.NotContains(t, closed.get(wellKnown).json(t), "registration_endpoint")
		require.Equal(t, w.issuer+"/register", w.get(wellKnown).json(t)["registration_endpoint"])
	})
	t.Run("DR-07 an ID is no URL, nobody's subject, and never the same", func(t *testing.T) {
		seen := map[any]bool{}
		for _, wish := range []any{nil, "https://new.example/client.json", "alice", "web"} {
			id := w.registered(newcomer.with("client_id", wish))["client_id"]
			require.Regexp(t, `^[A-Z2-7]{26}$`, id)
			require.False(t, seen[id])
			seen[id] = true
		}
	})
}

// Two ways to say no: RFC 7591, section 3.2.2.
func TestRegisterRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registration())
	key := newKey(t)
	public := jsonOf(t, keySetOf(t, key))
	uris := func(uris ...string) profile { return newcomer.with("redirect_uris", uris) }
	for _, tc := range []struct {
		name string
		said profile
		code string
	}{
		{"DR-02 a relative redirect URI", uris("/cb"), "invalid_redirect_uri"},
		{"DR-02 a fragment", uris("https://new.example/cb#x"), "invalid_redirect_uri"},
		{"DR-02 one bad redirect URI of two", uris("https://new.example/cb", "https://new.example/cb#"), "invalid_redirect_uri"},
		{"DR-02 no redirect URI", newcomer.with("redirect_uris", nil), "invalid_client_metadata"},
		{"DR-02 redirect URIs that are no list", newcomer.with("redirect_uris", "https://new.example/cb"), "invalid_client_metadata"},
		{"DR-02 a software statement", newcomer.with("software_statement", "eyJhbGciOiJub25lIn0.e30."), "unapproved_software_statement"},
		{"DR-02 a page that is not https", newcomer.with("client_uri", "http://new.example/"), "invalid_client_metadata"},
		{"DR-02 a page that is a script", newcomer.with("policy_uri", "javascript:alert(1)"), "invalid_client_metadata"},
		{"DR-02 keys that are not https", newcomer.with("token_endpoint_auth_method", "private_key_jwt", "jwks_uri", "http://new.example/jwks"), "invalid_client_metadata"},
		{"DR-02 keys by value and by reference", newcomer.with("token_endpoint_auth_method", "private_key_jwt", "jwks", public, "jwks_uri", "https://new.example/jwks"), "invalid_client_metadata"},
		{"DR-02 private_key_jwt without keys", newcomer.with("token_endpoint_auth_method", "private_key_jwt"), "invalid_client_metadata"},
		{"DR-02 a key set that is none", newcomer.with("jwks", []string{"x"}), "invalid_client_metadata"},
		{"DR-02 a private key", newcomer.with("jwks", map[string]any{"keys": []any{map[string]any{"kty": "EC", "d": "x"}}}), "invalid_client_metadata"},
		{"DR-02 a shared key", newcomer.with("jwks", map[string]any{"keys": []any{map[string]any{"kty": "oct", "k": "x"}}}), "invalid_client_metadata"},
		{"DR-02 a place to go after logging out that is a script", newcomer.with("post_logout_redirect_uris", []string{"javascript:alert(1)"}), "invalid_client_metadata"},
		{"DR-02 a name without end", newcomer.with("client_name", strings.Repeat("n", 257)), "invalid_client_metadata"},
		{"DR-02 redirect URIs without end", uris(strings.Split(strings.Repeat("https://new.example/cb ", 33), " ")[:33]...), "invalid_client_metadata"},
		{"DR-02 a scope that is none", newcomer.with("scope", `read "write"`), "invalid_client_metadata"},
		{"DR-03 an authentication method that is not supported", newcomer.with("token_endpoint_auth_method", "client_secret_jwt"), "invalid_client_metadata"},
		{"DR-03 an algorithm that is not supported", newcomer.with("token_endpoint_auth_signing_alg", "HS256"), "invalid_client_metadata"},
		{"DR-03 no grant type that is supported", newcomer.with("grant_types", []string{"password"}, "response_types", []string{}), "invalid_client_metadata"},
		{"DR-03 the implicit grant", newcomer.with("grant_types", []string{"implicit"}, "response_types", []string{"token"}), "invalid_client_metadata"},
		{"DR-04 a code without its grant", newcomer.with("grant_types", []string{"refresh_token"}, "response_types", []string{"code"}), "invalid_client_metadata"},
		{"DR-04 the grant of the code without a code", newcomer.with("grant_types", []string{"authorization_code"}, "response_types", []string{"token"}), "invalid_client_metadata"},
		{"DR-04 no response types at all", newcomer.with("response_types", []string{}), "invalid_client_metadata"},

		{"DR-05 a web application on the device", newcomer.with("redirect_uris", []string{"http://127.0.0.1/cb"}), "invalid_redirect_uri"},
		{"DR-05 a web application with a private-use scheme", newcomer.with("redirect_uris", []string{"com.example.app:/cb"}), "invalid_redirect_uri"},
		{"DR-05 a declared web application on the device", native.with("application_type", "web"), "invalid_redirect_uri"},
		{"DR-05 a declared web application, partly on the device", native.with("application_type", "web", "redirect_uris", []string{"https://new.example/cb", "http://localhost/cb"}), "invalid_redirect_uri"},
		{"DR-05 an application of no known type", newcomer.with("application_type", "robot"), "invalid_client_metadata"},
		{"DR-05 http on another machine", native.with("redirect_uris", []string{"http://app.example/cb"}), "invalid_redirect_uri"},
		{"DR-05 a pattern", uris("https://*.example/cb"), "invalid_redirect_uri"},
		{"DR-05 user information", uris("https://x@new.example/cb"), "invalid_redirect_uri"},
		{"DR-05 a script", native.with("redirect_uris", []string{"javascript:alert(1)"}), "invalid_redirect_uri"},
		{"DR-05 data", native.with("redirect_uris", []string{"data:text/html,x"}), "invalid_redirect_uri"},
		{"DR-05 a file", native.with("redirect_uris", []string{"file:///cb"}), "invalid_redirect_uri"},
		{"DR-05 a scheme that anybody could take", native.with("redirect_uris", []string{"app:/cb"}), "invalid_redirect_uri"},
		{"DR-05 a backslash", uris(`https://new.example\cb`), "invalid_redirect_uri"},
		{"DR-05 an empty redirect URI", uris(""), "invalid_redirect_uri"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := w.register(tc.said)
			refused(t, a, tc.code)
			uncached(t, a)
			require.NotContains(t, a.body, "client_id")
		})
	}
	for _, tc := range []struct{ name, contentType, body string }{
		{"DR-01 a form", formType, "redirect_uris=https://new.example/cb"},
		{"DR-01 JSON under another name", "text/plain", `{"redirect_uris":["https://new.example/cb"]}`},
		{"DR-01 JSON without a name", "", `{"redirect_uris":["https://new.example/cb"]}`},
		{"DR-02 no JSON", "application/json", `redirect_uris`},
		{"DR-02 JSON that ends early", "application/json", `{"redirect_uris":["https://new.example/cb"]`},
		{"DR-02 a list", "application/json", `[{"redirect_uris":["https://new.example/cb"]}]`},
		{"DR-02 null", "application/json", `null`},
		{"DR-02 a name twice", "application/json", `{"redirect_uris":["https://a.example/cb"],"redirect_uris":["https://b.example/cb"]}`},
		{"DR-02 a name in another spelling", "application/json", `{"Redirect_URIs":["https://new.example/cb"]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{"Content-Type": {tc.contentType}}
			if tc.contentType == "" {
				h = http.Header{"Content-Type": nil}
			}
			refused(t, w.transmit("POST", "/register", tc.body, h), "invalid_client_metadata")
		})
	}
	t.Run("DR-02 a body without end", func(t *testing.T) {
		a := w.register(newcomer.with("contacts", strings.Repeat("x", 8<<10)))
		require.Equal(t, http.StatusRequestEntityTooLarge, a.status)
		require.Equal(t, "invalid_client_metadata", a.json(t)["error"])
	})
	t.Run("DR-05 no application of this profile has a scheme of its own", func(t *testing.T) {
		w := newWorld(t, registration(), func(cfg *authwright.Config) {
			cfg.Profile = authwright.MCP
			cfg.Resources = []authwright.Resource{{ID: "https://mcp.example"}}
		})
		refused(t, w.register(native.with("redirect_uris", []string{"com.example.app:/cb"})), "invalid_redirect_uri")
		w.registered(native)
	})
}

func jsonOf(t *testing.T, text []byte) any {
	t.Helper()
	return answer{body: string(text)}.json(t)
}

// What is registered is not always what was asked for, and the answer says so.
func TestRegisterReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registration())
	t.Run("DR-03 what is not known is ignored", func(t *testing.T) {
		for name, value := range map[string]any{
			"logo_uri": "https://new.example/logo.png", "contacts": []string{"x@new.example"}, "software_id": "x", "client_name#de": "Neu", "colour": 7,
			"client_id_issued_at": 1, "registration_access_token": "mine", "registration_client_uri": "https://evil.example", "Scope": "admin",
			"scopes": []string{"admin"}, "unverified": false, "consent": "skip", "disabled": true, "resources": []string{"x"}, "secrets": []any{}, "insecure_without_pkce": true,
		} {
			plain, c := w.registered(newcomer), w.registered(newcomer.with(name, value))
			w.advance(time.Hour) // the places are few
			for _, own := range []string{"client_id", "client_secret", "registration_access_token", "registration_client_uri", "client_id_issued_at"} {
				require.NotEqual(t, value, c[own])
				delete(plain, own)
				delete(c, own)
			}
			require.Equal(t, plain, c, name)
		}
	})
	t.Run("DR-03 a secret is not the client's to choose", func(t *testing.T) {
		c := w.registered(newcomer.with("client_secret", "chosen", "client_secret_expires_at", 1))
		require.NotEqual(t, "chosen", c["client_secret"])
		require.EqualValues(t, 0, c["client_secret_expires_at"])
	})
	t.Run("DR-03 what is not supported is left out, and the answer says so", func(t *testing.T) {
		c := w.registered(newcomer.with(
			"grant_types", []string{"authorization_code", "implicit", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code", "client_credentials"},
			"response_types", []string{"code", "token", "code id_token"},
			"scope", "read admin unheard-of", "id_token_signed_response_alg", "ES256"))
		require.Equal(t, []any{"authorization_code", "refresh_token"}, c["grant_types"])
		require.Equal(t, []any{"code"}, c["response_types"])
		require.Equal(t, "read", c["scope"])
		require.NotContains(t, c, "id_token_signed_response_alg", "there are no ID tokens")
		require.NotEmpty(t, w.code(asRegistered(c, "scope", "read")))
		page := w.signedIn("alice").authorize(asRegistered(c, "scope", "read write"))
		errorPage(t, page)
		require.Contains(t, page.body, "write")
	})
	t.Run("DR-03 an ID token is signed as was registered", func(t *testing.T) {
		w := newProvider(t, func(cfg *authwright.Config) { registration()(cfg); cfg.Registration.Scopes = nil })
		for alg, want := range map[any]string{nil: "RS256", "RS256": "RS256", "ES256": "ES256"} {
			c := w.registered(newcomer.with("id_token_signed_response_alg", alg, "token_endpoint_auth_method", "none"))
			require.Equal(t, want, c["id_token_signed_response_alg"])
			f := codeForm(w.code(asRegistered(c, "scope", "openid")), "redirect_uri", "", "client_id", c["client_id"].(string))
			require.Equal(t, want, segment(t, w.token(f).json(t)["id_token"], 0)["alg"])
		}
		for _, alg := range []string{"none", "HS256", "RS512", "es256"} {
			refused(t, w.register(newcomer.with("id_token_signed_response_alg", alg)), "invalid_client_metadata")
		}
	})
	t.Run("DR-04 defaults", func(t *testing.T) {
		c := w.registered(newcomer)
		require.Equal(t, "client_secret_basic", c["token_endpoint_auth_method"])
		require.Equal(t, []any{"authorization_code"}, c["grant_types"])
		require.Equal(t, []any{"code"}, c["response_types"])
		require.Equal(t, "web", c["application_type"])
		require.Equal(t, "read write", c["scope"], "what is on offer")
		a := w.token(codeForm(w.code(asRegistered(c)), "redirect_uri", ""), c["client_id"].(string), c["client_secret"].(string))
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.NotContains(t, a.json(t), "refresh_token", "that grant was not registered")
	})
	for _, tc := range []struct {
		name string
		said profile
	}{
		{"DR-05 a native application on the device", native},
		{"DR-05 a native application on localhost", native.with("redirect_uris", []string{"http://localhost:8080/cb"})},
		{"DR-05 a native application with a private-use scheme", native.with("redirect_uris", []string{"com.example.app:/cb"})},
		{"DR-05 a native application with an https address", native.with("redirect_uris", []string{"https://new.example/cb"})},
		{"DR-05 a native application with a secret, which is none", native.with("token_endpoint_auth_method", "client_secret_basic")},
		{"DR-05 a public client on the device that left out the type", native.with("application_type", nil)},
		{"DR-05 a public client on localhost that left out the type", native.with("application_type", nil, "redirect_uris", []string{"http://localhost:8080/cb"})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, registration())
			c := w.registered(tc.said)
			require.Equal(t, "native", c["application_type"])
			b, q := w.signedIn("alice"), asRegistered(c)
			require.NotEmpty(t, b.decide(b.authorize(q), "approve", "read", "write").location(t).Get("code"))
			if !strings.HasPrefix(q.Get("redirect_uri"), "https:") {
				consentPage(t, b.authorize(q)) // anybody could be there
			}
			if port := regexp.MustCompile(`^http://[^/:]+`); port.MatchString(q.Get("redirect_uri")) {
				q.Set("redirect_uri", port.FindString(q.Get("redirect_uri"))+":51004/cb")
				consentPage(t, b.authorize(q))
			}
		})
	}
}

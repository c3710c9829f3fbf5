package authwright_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// from is the header of a request that a script of an origin sends.
func from(origin string, more ...string) http.Header {
	h := http.Header{"Origin": {origin}}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// readable checks that only scripts of an origin may read a, and without credentials.
func readable(t *testing.T, a answer, origin string) {
	t.Helper()
	require.Equal(t, []string{origin}, a.header.Values("Access-Control-Allow-Origin"), a.body)
	require.Contains(t, a.header.Get("Vary"), "Origin")
	require.Empty(t, a.header.Get("Access-Control-Allow-Credentials"))
	for _, name := range []string{"WWW-Authenticate", "DPoP-Nonce"} {
		require.Contains(t, a.header.Get("Access-Control-Expose-Headers"), name)
	}
}

// unreadable checks that no script may read a.
func unreadable(t *testing.T, a answer) {
	t.Helper()
	noCORS(t, a)
	require.Contains(t, a.header.Get("Vary"), "Origin", "no cache gives it to somebody else")
}

func TestCORS(t *testing.T) {
	t.Parallel()
	w := newProvider(t, registration())
	w.enroll(&authwright.Client{ID: "page", RedirectURIs: []string{"https://page.example:8443/cb"}, Scopes: []string{"openid", "read"}, Origins: []string{"https://cdn.example"}})
	w.enroll(&authwright.Client{ID: "mobile", RedirectURIs: []string{"com.example.app:/cb"}, Scopes: []string{"read"}})
	for path, methods := range map[string]string{
		"/token": "POST", "/revoke": "POST", "/introspect": "POST", "/register": "POST, GET, PUT, DELETE", "/userinfo": "GET, POST", "/jwks": "GET, HEAD", wellKnown: "GET, HEAD",
	} {
		t.Run("HT-09 a preflight needs no authentication: "+path, func(t *testing.T) {
			a := w.transmit("OPTIONS", path, "", from("https://spa.example", "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,mcp-protocol-version"))
			require.Equal(t, http.StatusNoContent, a.status, a.body)
			require.Equal(t, methods, a.header.Get("Access-Control-Allow-Methods"))
			require.NotEmpty(t, a.header.Get("Access-Control-Allow-Origin"))
			require.Empty(t, a.header.Get("Access-Control-Allow-Credentials"))
			allowed := strings.Split(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), ", ")
			require.Subset(t, allowed, []string{"authorization", "content-type", "dpop", "*"})
		})
		t.Run("HT-09 nor is an opaque origin answered: "+path, func(t *testing.T) {
			noCORS(t, w.transmit("OPTIONS", path, "", from("null", "Access-Control-Request-Method", "POST")))
		})
	}
	requests := map[string]func(client string, h http.Header) answer{
		"HT-09 a token request": func(client string, h http.Header) answer {
			return w.transmit("POST", "/token", "grant_type=authorization_code&code=x&code_verifier="+verifier+"&client_id="+client, h)
		},
		"HT-09 a revocation": func(client string, h http.Header) answer {
			return w.transmit("POST", "/revoke", "token=x&client_id="+client, h)
		},
	}
	for name, send := range requests {
		t.Run(name+" is read by scripts of the client's origins", func(t *testing.T) {
			for client, origin := range map[string][]string{
				"spa": {"https://spa.example"}, "page": {"https://page.example:8443", "https://cdn.example"}, "cli": {"http://127.0.0.1", "http://127.0.0.1:6274"}, "web": {"https://web.example"},
			} {
				for _, o := range origin {
					readable(t, send(client, from(o)), o)
				}
			}
		})
		t.Run(name+" is read by nobody else's", func(t *testing.T) {
			for client, origins := range map[string][]string{
				"spa": {
					"null", "https://evil.example", "https://page.example:8443", "http://spa.example", "https://spa.example:8443", "https://spa.example.evil.example", "https://evilspa.example",
					"https://sub.spa.example", "https://spa.example/", "https://spa.example/cb", "HTTPS://SPA.EXAMPLE", "https://spa.example@evil.example", "*", "file://", w.ts.URL,
				},
				"page":   {"https://page.example", "https://spa.example", "https://CDN.example"},
				"cli":    {"http://127.0.0.1.evil.example", "https://127.0.0.1", "http://localhost", "http://127.0.0.1:", "http://127.0.0.1:1@evil.example"},
				"mobile": {"com.example.app:", "com.example.app://", "null"},
				"nobody": {"https://spa.example", "null"},
			} {
				for _, o := range origins {
					unreadable(t, send(client, from(o)))
				}
			}
		})
		t.Run(name+" without an origin is nobody's business", func(t *testing.T) {
			noCORS(t, send("spa", http.Header{}))
			noCORS(t, send("spa", http.Header{"Origin": {""}}))
		})
	}
	t.Run("TK-14 a public client in a browser redeems its code", func(t *testing.T) {
		code := w.code(request("client_id", "page", "redirect_uri", "https://page.example:8443/cb", "scope", "read"))
		f := codeForm(code, "client_id", "page", "redirect_uri", "")
		a := w.transmit("POST", "/token", f.Encode(), from("https://page.example:8443", "Content-Type", "application/x-www-form-urlencoded"))
		require.Equal(t, http.StatusOK, a.status, a.body)
		readable(t, a, "https://page.example:8443")
	})

	t.Run("HT-09 a failed authentication is read too", func(t *testing.T) {
		a := w.transmit("POST", "/token", "grant_type=client_credentials", from("https://web.example", "Authorization", basic("web:wrong")))
		refused(t, a, "invalid_client")
		readable(t, a, "https://web.example")
	})
	t.Run("HT-09 tokens are read by the client that gets them", func(t *testing.T) {
		code := w.code(request("client_id", "page", "redirect_uri", "https://page.example:8443/cb", "scope", "openid"))
		f := codeForm(code, "client_id", "page", "redirect_uri", "").Encode()
		a := w.transmit("POST", "/token", f, from("https://page.example:8443"))
		require.Equal(t, http.StatusOK, a.status, a.body)
		readable(t, a, "https://page.example:8443")
		bearer := "Bearer " + a.json(t)["access_token"].(string)
		readable(t, w.transmit("GET", "/userinfo", "", from("https://cdn.example", "Authorization", bearer)), "https://cdn.example")
		unreadable(t, w.transmit("GET", "/userinfo", "", from("https://spa.example", "Authorization", bearer)))
		unreadable(t, w.transmit("GET", "/userinfo", "", from("null", "Authorization", bearer)))
	})
	t.Run("HT-09 a registration is read by the client that registers", func(t *testing.T) {
		c := w.register(newcomer, "Origin", "https://new.example")
		readable(t, c, "https://new.example")
		unreadable(t, w.register(newcomer, "Origin", "https://evil.example"))
		readable(t, w.register(native.with("redirect_uris", []string{"http://localhost:6274/oauth/callback"}), "Origin", "http://localhost:6274"), "http://localhost:6274")
		uri := strings.TrimPrefix(c.json(t)["registration_client_uri"].(string), w.ts.URL)
		for origin, ok := range map[string]bool{"https://new.example": true, "https://evil.example": false, "null": false} {
			a := w.transmit("GET", uri, "", from(origin, "Authorization", "Bearer "+c.json(t)["registration_access_token"].(string)))
			require.Equal(t, http.StatusOK, a.status)
			if ok {
				readable(t, a, origin)
			} else {
				unreadable(t, a)
			}
		}
	})
	for _, path := range []string{wellKnown, "/.well-known/openid-configuration", "/jwks"} {
		t.Run("HT-09 everybody reads "+path, func(t *testing.T) {
			for _, origin := range []string{"https://evil.example", "null", ""} {
				a := w.transmit("GET", path, "", from(origin))
				require.Equal(t, http.StatusOK, a.status)
				require.Equal(t, []string{"*"}, a.header.Values("Access-Control-Allow-Origin"))
				require.Empty(t, a.header.Get("Access-Control-Allow-Credentials"))
			}
		})
	}
	for _, path := range []string{"/authorize", "/consent", "/logout"} {
		t.Run("HT-10 no script reads "+path, func(t *testing.T) {
			for _, origin := range []string{"https://spa.example", w.ts.URL, "null"} {
				for _, method := range []string{"OPTIONS", "GET", "POST"} {
					noCORS(t, w.transmit(method, path, "", from(origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")))
				}
			}
		})
	}
}

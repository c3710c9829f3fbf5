package authwright_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// The request to the authorization endpoint: RFC 6749, sections 3.1 and 4.1.1.
func TestAuthorizeRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alwaysAsk)
	b := w.signedIn("alice")

	t.Run("AZ-01 GET is accepted", func(t *testing.T) {
		consentPage(t, b.authorize(request()))
	})
	t.Run("AZ-02 POST means the same as GET", func(t *testing.T) {
		consentPage(t, b.post("/authorize", request()))
		redirected(t, b.post("/authorize", request("scope", "admin")), "invalid_scope")
		errorPage(t, b.post("/authorize", request("client_id", "nobody")))
		consentPage(t, b.post("/authorize?client_id=web", request("client_id", "")))
	})
	t.Run("AZ-02 a parameter in both query and body is repeated", func(t *testing.T) {
		redirected(t, b.post("/authorize?scope=read", request()), "invalid_request")
		errorPage(t, b.post("/authorize?client_id=web", request()))
	})
	t.Run("AZ-02 a POST body of another type is refused", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.issuer+"/authorize", strings.NewReader(request().Encode()))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "text/plain")
		errorPage(t, w.do(b.Client, r))
	})
	t.Run("AZ-03 an empty parameter is an absent one", func(t *testing.T) {
		for _, name := range []string{
			"state", "redirect_uri", "scope", "nonce", "prompt", "max_age", "response_mode", "resource",
			"login_hint", "request", "request_uri", "registration",
		} {
			for _, spelling := range []string{name + "=", name} {
				consentPage(t, b.raw(request(name, "").Encode()+"&"+spelling))
			}
		}
		require.Equal(t, "read", b.scopeOf(t, b.raw(request("scope", "").Encode()+"&scope=")), "the default")
		require.NotContains(t, b.decide(b.raw(request("state", "").Encode()+"&state="), "approve", "read").location(t), "state")
		redirected(t, b.raw(request("code_challenge", "").Encode()+"&code_challenge="), "invalid_request")
		redirected(t, b.raw(request("response_type", "").Encode()+"&response_type="), "invalid_request")
		errorPage(t, b.raw(request("client_id", "").Encode()+"&client_id="))
	})
	t.Run("AZ-03 an empty parameter is no repetition", func(t *testing.T) {
		consentPage(t, b.raw(request().Encode()+"&scope=&client_id=&redirect_uri=&state="))
	})
	t.Run("AZ-04 an unknown parameter is ignored", func(t *testing.T) {
		page := b.raw(request().Encode() + "&extra=1&extra=2&next=https%3A%2F%2Fevil.example&%F0%9F%94%91=%22")
		require.NotEmpty(t, b.decide(page, "approve", "read").location(t).Get("code"))
	})
	t.Run("AZ-05 a repeated parameter is refused", func(t *testing.T) {
		for _, name := range []string{
			"response_type", "scope", "code_challenge", "code_challenge_method", "response_mode", "nonce", "prompt",
			"max_age", "login_hint", "acr_values", "ui_locales", "display", "claims", "claims_locales", "id_token_hint",
		} {
			q := request(name, "")
			for _, values := range [][2]string{{"S256", "S256"}, {"read", "code"}} {
				a := b.raw(q.Encode() + "&" + url.Values{name: values[:]}.Encode())
				redirected(t, a, "invalid_request")
				require.Contains(t, a.location(t).Get("error_description"), name)
				require.Equal(t, "xyz", a.location(t).Get("state"))
			}
		}
	})
	t.Run("AZ-05 a resource may be repeated", func(t *testing.T) {
		consentPage(t, b.raw(request().Encode()+"&"+url.Values{"resource": {w.issuer, w.issuer}}.Encode()))
	})
	t.Run("AZ-06 a repeated client_id or redirect_uri never redirects", func(t *testing.T) {
		for _, extra := range []string{"client_id=web", "client_id=other", "redirect_uri=https://web.example/cb", "redirect_uri=https://evil.example/"} {
			for _, browser := range []*browser{b, w.browser()} {
				errorPage(t, browser.raw(request().Encode()+"&"+extra))
				errorPage(t, browser.raw(extra+"&"+request().Encode()))
			}
		}
	})
	t.Run("AZ-06 a repeated state is not returned", func(t *testing.T) {
		for _, state := range []string{"xyz", "abc"} {
			a := b.raw(request().Encode() + "&state=" + state)
			redirected(t, a, "invalid_request")
			require.NotContains(t, a.location(t), "state")
		}
	})
	t.Run("AZ-07 a missing or unknown client never redirects", func(t *testing.T) {
		for _, id := range []string{"", "nobody", "WEB", "web ", " web", "web\n", "wéb", strings.Repeat("w", 3000)} {
			errorPage(t, b.authorize(request("client_id", id)))
			errorPage(t, w.browser().authorize(request("client_id", id)))
			errorPage(t, b.authorize(request("client_id", id, "prompt", "none")))
		}
	})
	t.Run("AZ-17 an unsupported response mode is refused", func(t *testing.T) {
		consentPage(t, b.authorize(request("response_mode", "query")))
		for _, mode := range []string{"web_message", "cookie", "QUERY", "query ", "query fragment"} {
			redirected(t, b.authorize(request("response_mode", mode)), "invalid_request")
		}
	})
	t.Run("AZ-18 request objects and registration are refused by name", func(t *testing.T) {
		redirected(t, b.authorize(request("request", "e30.e30.")), "request_not_supported")
		redirected(t, b.authorize(request("request_uri", "https://web.example/r")), "request_uri_not_supported")
		redirected(t, b.authorize(request("registration", "{}")), "registration_not_supported")
	})
}

// Response types and scopes: RFC 6749, sections 3.1.1 and 3.3.
func TestAuthorizeValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alwaysAsk)
	w.enroll(&authwright.Client{ID: "machine", RedirectURIs: []string{"https://web.example/cb"}, Scopes: []string{"read", "write"}, GrantTypes: []string{"client_credentials"}})
	w.enroll(&authwright.Client{ID: "retired", RedirectURIs: []string{"https://web.example/cb"}, Scopes: []string{"read", "write", "retired"}})
	b := w.signedIn("alice")

	t.Run("AZ-08 a missing response_type is invalid, an unknown one unsupported", func(t *testing.T) {
		redirected(t, b.authorize(request("response_type", "")), "invalid_request")
		for _, unknown := range []string{"none", "Code", "code2", "code,token", "device_code"} {
			redirected(t, b.authorize(request("response_type", unknown)), "unsupported_response_type")
		}
	})
	t.Run("AZ-09 a client without the code grant is unauthorized", func(t *testing.T) {
		redirected(t, b.authorize(request("client_id", "machine")), "unauthorized_client")
	})
	t.Run("AZ-10 response types are an unordered set", func(t *testing.T) {
		for _, set := range []string{"code token", "token code", "code id_token", "id_token code", "code id_token token", "token id_token code"} {
			redirected(t, b.authorize(request("response_type", set)), "unsupported_response_type")
		}
	})
	t.Run("AZ-11 no response type returns a token here", func(t *testing.T) {
		for _, types := range []string{"token", "id_token", "id_token token", "code token", "code id_token", "code id_token token"} {
			a := b.authorize(request("response_type", types, "nonce", "n"))
			redirected(t, a, "unsupported_response_type")
			require.NotContains(t, a.header.Get("Location"), "access_token")
			require.NotContains(t, a.header.Get("Location"), "#")
		}
	})
	t.Run("AZ-12 a scope with a forbidden character is invalid", func(t *testing.T) {
		forbidden := []string{
			`"read"`, `re\ad`, "réad", "read\twrite", "read\nwrite", "read\r", "re\x7fad", "\x01", "读",
			"read  write", " read", "read ", " ",
		}
		lax := newWorld(t, func(cfg *authwright.Config) { // where everything could be had
			cfg.Scopes = nil
			cfg.Storage = registry{cfg.Storage, func(c *authwright.Client) { c.Scopes = append(forbidden, "read", "write", "") }}
		})
		for _, scope := range forbidden {
			redirected(t, b.authorize(request("scope", scope)), "invalid_scope")
			redirected(t, lax.signedIn("alice").authorize(request("scope", scope)), "invalid_scope")
		}
	})
	t.Run("AZ-13 the order of scopes does not matter, their case does", func(t *testing.T) {
		require.ElementsMatch(t, []string{"read", "write"}, strings.Fields(b.scopeOf(t, b.authorize(request("scope", "write read"))).(string)))
		for _, scope := range []string{"READ", "Read", "read wRite"} {
			redirected(t, b.authorize(request("scope", scope)), "invalid_scope")
		}
	})
	t.Run("AZ-14 an omitted scope is the default of the client, or invalid", func(t *testing.T) {
		require.Equal(t, "read", b.scopeOf(t, b.authorize(request("scope", ""))))
		redirected(t, b.authorize(request("scope", "", "client_id", "other", "redirect_uri", "https://other.example/cb")), "invalid_scope")
	})
	t.Run("AZ-15 a scope the client may not have is never granted", func(t *testing.T) {
		for _, scope := range []string{"admin", "read admin", "admin read write", "nonsense", "read write nonsense"} {
			redirected(t, b.authorize(request("scope", scope)), "invalid_scope")
		}
		// Registered, and unknown to the server by now.
		redirected(t, b.authorize(request("client_id", "retired", "scope", "read retired")), "invalid_scope")
		page := b.authorize(request("scope", "read"))
		require.Equal(t, "read", b.scopeOf(t, page, "write", "admin"), "whatever the form says")
	})
}

func TestAuthorizeSignedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)

	t.Run("AZ-16 nothing is issued or stored before the user has signed in", func(t *testing.T) {
		a := w.browser().still().authorize(request())
		require.Equal(t, http.StatusSeeOther, a.status)
		require.True(t, strings.HasPrefix(a.header.Get("Location"), "/login?next=%2Fauthorize%3F"), a.header.Get("Location"))
		redirected(t, w.browser().authorize(request("prompt", "none")), "login_required")
		errorPage(t, w.browser().post("/consent", url.Values{"decision": {"approve"}, "scope": {"read"}}))
		require.Empty(t, w.grants("web"))
		require.Empty(t, w.happened())
	})
	t.Run("AZ-16 a user without a subject is nobody", func(t *testing.T) {
		for _, subject := range []string{"", strings.Repeat("a", 256), "al\x00ice", "\xff"} {
			w := newWorld(t, func(cfg *authwright.Config) {
				cfg.Authenticator = authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) {
					return &authwright.User{Subject: subject}, nil
				})
			})
			redirected(t, w.browser().authorize(request()), "server_error")
			require.Empty(t, w.grants("web"))
		}
	})
	t.Run("AZ-19 no outcome has CORS headers", func(t *testing.T) {
		b, in := w.browser(), w.signedIn("alice")
		for _, try := range []struct {
			b      *browser
			method string
			query  url.Values
		}{
			{b, http.MethodGet, request()},
			{in, http.MethodGet, request()},
			{in, http.MethodPost, request()},
			{in, http.MethodOptions, request()},
			{in, http.MethodGet, request("scope", "admin")},
			{in, http.MethodGet, request("client_id", "nobody")},
		} {
			r, err := http.NewRequestWithContext(t.Context(), try.method, w.issuer+"/authorize?"+try.query.Encode(), nil)
			require.NoError(t, err)
			r.Header.Set("Origin", "https://web.example")
			r.Header.Set("Access-Control-Request-Method", "GET")
			for name := range w.do(try.b.still().Client, r).header {
				require.False(t, strings.HasPrefix(name, "Access-Control-"), "%s %s: %s", try.method, try.query, name)
			}
		}
	})
}

// still returns the same browser, cookies and all, but it follows no redirect.
func (b *browser) still() *browser {
	c := *b.Client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{&c, b.w}
}

// raw sends an authorization request in exactly this spelling.
func (b *browser) raw(query string) answer {
	b.w.t.Helper()
	return b.get(b.w.issuer + "/authorize?" + query)
}

// enroll registers one more client.
func (w *world) enroll(c *authwright.Client) {
	w.t.Helper()
	require.NoError(w.t, w.store.AddClient(w.t.Context(), c))
}

// A registry is a storage of which a test sees, and may change, each client that is looked up.
type registry struct {
	authwright.Storage
	see func(*authwright.Client)
}

func (r registry) Client(ctx context.Context, id string) (*authwright.Client, error) {
	c, err := r.Storage.Client(ctx, id)
	if err == nil {
		r.see(c)
	}
	return c, err
}

// alwaysAsk makes every good request end on a consent page, however often it comes.
func alwaysAsk(cfg *authwright.Config) {
	cfg.Storage = registry{cfg.Storage, func(c *authwright.Client) { c.Consent = authwright.ConsentAlways }}
}

// grants returns everything that is stored for a client.
func (w *world) grants(clientID string) []*authwright.Grant {
	w.t.Helper()
	grants, _, err := w.store.GrantsByClient(w.t.Context(), clientID, "", 0)
	require.NoError(w.t, err)
	return grants
}

// consentPage checks that a asks the user, which is what becomes of a good request.
func consentPage(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.body)
	a.question(t)
}

// scopeOf approves a consent page of web with the boxes it has, and with more that it has
// not, and returns the scope of the token that follows.
func (b *browser) scopeOf(t *testing.T, page answer, more ...string) any {
	t.Helper()
	for _, box := range scopeBox.FindAllStringSubmatch(page.body, -1) {
		more = append(more, box[1])
	}
	code := b.decide(page, "approve", more...).location(t).Get("code")
	a := b.w.token(codeForm(code), "web", webSecret)
	require.Equal(t, http.StatusOK, a.status, a.body)
	return a.json(t)["scope"]
}

var scopeBox = regexp.MustCompile(`name="scope" value="([^"]+)" checked`)

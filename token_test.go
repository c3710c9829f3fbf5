package authwright_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// grantOf returns the grant of the latest code, which must be code.
func (w *world) grantOf(code string) *authwright.Grant {
	w.t.Helper()
	w.mu.Lock()
	id := ""
	for _, e := range w.events {
		if e.Type == authwright.EventCodeIssued {
			id = e.GrantID
		}
	}
	w.mu.Unlock()
	require.True(w.t, strings.HasPrefix(code, id[:20]), "not the latest code")
	g, err := w.store.Grant(w.t.Context(), id)
	require.NoError(w.t, err)
	return g
}

// changeClient changes what a client is registered with.
func (w *world) changeClient(id string, change func(*authwright.Client)) {
	w.t.Helper()
	c, err := w.store.Client(w.t.Context(), id)
	require.NoError(w.t, err)
	change(c)
	require.NoError(w.t, w.store.UpdateClient(w.t.Context(), c))
}

// send sends a request to the token endpoint as it stands, as web. Headers come in pairs; an
// empty value removes one.
func (w *world) send(method, query, body string, headers ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.issuer+"/token"+query, strings.NewReader(body))
	require.NoError(w.t, err)
	r.SetBasicAuth("web", webSecret)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			r.Header.Del(headers[i])
		}
	}
	return w.do(http.DefaultClient, r)
}

// alike checks that nobody can tell the answers apart.
func alike(t *testing.T, first answer, others ...answer) {
	t.Helper()
	first.header.Del("Date")
	for _, a := range others {
		a.header.Del("Date")
		require.Equal(t, first, a)
	}
}

func TestTokenRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *authwright.Config) {
		cfg.Resources = []authwright.Resource{{ID: "https://a.example"}, {ID: "https://b.example"}}
	})
	good := func() string { return codeForm(w.code(request())).Encode() }

	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE"} {
		t.Run("TK-01 "+method+" is not allowed", func(t *testing.T) {
			body := good()
			for _, a := range []answer{w.send(method, "", body), w.send(method, "?"+body, "")} {
				require.Equal(t, http.StatusMethodNotAllowed, a.status)
				require.Equal(t, "POST", a.header.Get("Allow"))
			}
			require.Equal(t, http.StatusOK, w.send("POST", "", body).status, "the code is still good")
		})
	}

	for _, test := range []struct{ name, contentType, body string }{
		{"TK-02 plain text", "text/plain", good()},
		{"TK-02 JSON", "application/json", `{"grant_type":"authorization_code"}`},
		{"TK-02 a form that says it is JSON", "application/json", good()},
		{"TK-02 a multipart form", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nauthorization_code\r\n--x--\r\n"},
		{"TK-02 no content type", "", good()},
		{"TK-02 a content type that only begins well", "application/x-www-form-urlencoded2", good()},
		{"TK-02 a form that is not UTF-8", "application/x-www-form-urlencoded", good() + "&x=%ff"},
		{"TK-02 a form with a broken escape", "application/x-www-form-urlencoded", good() + "&x=%4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused(t, w.send("POST", "", test.body, "Content-Type", test.contentType), "invalid_request")
		})
	}
	for _, contentType := range []string{"application/x-www-form-urlencoded;charset=UTF-8", "Application/X-WWW-Form-URLencoded"} {
		t.Run("TK-02 the content type "+contentType, func(t *testing.T) {
			require.Equal(t, http.StatusOK, w.send("POST", "", good(), "Content-Type", contentType).status)
		})
	}

	secret := url.Values{"client_id": {"web"}, "client_secret": {webSecret}}
	for name := range codeForm("x") {
		t.Run("TK-03 "+name+" in the URL", func(t *testing.T) {
			f := codeForm(w.code(request()))
			query := url.Values{name: f[name]}
			require.Equal(t, http.StatusBadRequest, w.send("POST", "?"+query.Encode(), without(f, name).Encode()).status)
			require.Equal(t, http.StatusBadRequest, w.send("POST", "?"+query.Encode(), f.Encode()).status, "nor in both")
			require.Equal(t, http.StatusOK, w.send("POST", "", f.Encode()).status, "the code is still good")
		})
	}
	t.Run("TK-03 a secret in the URL", func(t *testing.T) {
		a := w.send("POST", "?"+secret.Encode(), good(), "Authorization", "")
		require.Contains(t, []int{400, 401}, a.status)
		require.NotContains(t, a.body, "access_token")
	})
	t.Run("TK-03 a refresh token in the URL", func(t *testing.T) {
		token := w.tokens()["refresh_token"].(string)
		require.Equal(t, http.StatusBadRequest, w.send("POST", "?"+refreshForm(token).Encode(), "").status)
		require.Equal(t, http.StatusOK, w.token(refreshForm(token), "web", webSecret).status)
	})
	t.Run("TK-03 a resource in the URL", func(t *testing.T) {
		q := request()
		q["resource"] = []string{"https://a.example", "https://b.example"}
		a := w.send("POST", "?resource=https://b.example", codeForm(w.code(q)).Encode())
		if a.status == http.StatusOK {
			require.Equal(t, []any{"https://a.example", "https://b.example"}, claims(t, a.json(t)["access_token"])["aud"])
		}
	})
	t.Run("TK-03 a URL with a query of its own", func(t *testing.T) {
		require.Equal(t, http.StatusOK, w.send("POST", "?tenant=1", good()).status)
	})

	for name := range refreshForm("x", "scope", "x", "client_id", "x", "client_secret", "x", "code", "x", "redirect_uri", "x", "code_verifier", "x") {
		t.Run("TK-04 "+name+" twice", func(t *testing.T) {
			f := refreshForm("x", "client_id", "web", "client_secret", webSecret, name, "x")
			f.Add(name, "x")
			refused(t, w.token(f), "invalid_request")
		})
	}
	t.Run("TK-04 empty is absent", func(t *testing.T) {
		a := w.send("POST", "", good()+"&scope=&client_secret=&client_id=&code=&refresh_token&grant_type=")
		require.Equal(t, http.StatusOK, a.status, a.body)
		refused(t, w.send("POST", "", codeForm("").Encode()), "invalid_request")
	})
	t.Run("TK-04 unknown is ignored", func(t *testing.T) {
		a := w.send("POST", "", good()+"&access_token=x&username=alice&password=x&%F0%9F%8D%AA=1")
		require.Equal(t, http.StatusOK, a.status, a.body)
	})
	t.Run("TK-04 resource may be repeated", func(t *testing.T) {
		q := request()
		q["resource"] = []string{"https://a.example", "https://b.example"}
		f := codeForm(w.code(q))
		f["resource"] = q["resource"]
		a := w.token(f, "web", webSecret)
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, []any{"https://a.example", "https://b.example"}, claims(t, a.json(t)["access_token"])["aud"])
	})
}

// without is f less one parameter.
func without(f url.Values, name string) url.Values {
	g := url.Values{}
	for k, v := range f {
		if k != name {
			g[k] = v
		}
	}
	return g
}

func TestTokenGrantType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.changeClient("other", func(c *authwright.Client) { c.GrantTypes = []string{"refresh_token", "password", "implicit"} })
	for _, test := range []struct{ name, grantType, want string }{
		{"TK-05 no grant_type", "", "invalid_request"},
		{"TK-05 an unknown grant_type", "urn:example:unknown", "unsupported_grant_type"},
		{"TK-05 a grant_type in other letters", "Authorization_Code", "unsupported_grant_type"},
		{"TK-05 a response type for a grant_type", "code", "unsupported_grant_type"},
		{"TK-05 a grant_type that is an endpoint's", "implicit", "unsupported_grant_type"},
		{"TK-05 a grant_type that is not the client's", "authorization_code", "unauthorized_client"},
		{"TK-06 the password grant, though registered", "password", "unsupported_grant_type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := codeForm("x", "grant_type", test.grantType, "username", "alice", "password", "secret")
			refused(t, w.token(f, "other", otherSecret), test.want)
		})
	}
	t.Run("TK-05 refreshing is not the client's", func(t *testing.T) {
		token := w.tokens()["refresh_token"].(string)
		w.changeClient("web", func(c *authwright.Client) { c.GrantTypes = []string{"authorization_code"} })
		refused(t, w.token(refreshForm(token), "web", webSecret), "unauthorized_client")
	})
	t.Run("TK-06 the metadata document has no password grant", func(t *testing.T) {
		m := w.browser().get(w.issuer + "/.well-known/oauth-authorization-server").json(t)
		require.NotContains(t, m["grant_types_supported"], "password")
	})
}

func TestTokenResponse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *authwright.Config) {
		cfg.AccessTokenLifetime, cfg.RefreshTokenMaxLifetime = 90*time.Second, 100*time.Second
	})
	b := w.signedIn("alice")
	a := w.token(codeForm(w.code(request())), "web", webSecret)
	first := a.json(t)
	t.Run("TK-07 the members of a success", func(t *testing.T) {
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, "application/json", a.header.Get("Content-Type"))
		require.NotEmpty(t, first["access_token"])
		require.Equal(t, "bearer", strings.ToLower(first["token_type"].(string)))
	})
	t.Run("TK-08 expires_in is a number and the token's", func(t *testing.T) {
		require.EqualValues(t, 90, first["expires_in"])
		c := claims(t, first["access_token"])
		require.EqualValues(t, 90, c["exp"].(float64)-c["iat"].(float64))
		require.EqualValues(t, w.now().Unix()+90, c["exp"])
	})
	t.Run("TK-08 expires_in at the end of the grant", func(t *testing.T) {
		w.advance(60*time.Second + 300*time.Millisecond)
		last := w.token(refreshForm(first["refresh_token"].(string)), "web", webSecret).json(t)
		require.EqualValues(t, 40, last["expires_in"])
		c := claims(t, last["access_token"])
		require.EqualValues(t, 40, c["exp"].(float64)-c["iat"].(float64))
	})
	t.Run("TK-09 scope when none was asked for", func(t *testing.T) {
		page := b.authorize(request("scope", "", "prompt", "consent"))
		code := b.decide(page, "approve", "read").location(t).Get("code")
		require.Equal(t, "read", w.token(codeForm(code), "web", webSecret).json(t)["scope"])
	})
	t.Run("TK-09 scope when the user granted less", func(t *testing.T) {
		page := b.authorize(request("prompt", "consent"))
		code := b.decide(page, "approve", "write").location(t).Get("code")
		r := w.token(codeForm(code), "web", webSecret).json(t)
		require.Equal(t, "write", r["scope"])
		require.Equal(t, "write", claims(t, r["access_token"])["scope"])
	})
	t.Run("TK-09 scope when the client has lost some", func(t *testing.T) {
		r := w.tokens()
		w.changeClient("web", func(c *authwright.Client) { c.Scopes = []string{"read"} })
		r = w.token(refreshForm(r["refresh_token"].(string)), "web", webSecret).json(t)
		require.Equal(t, "read", r["scope"])
	})
}

// What no description may have (RFC 6749, section 5.2).
var undescribable = regexp.MustCompile(`[^\x20-\x21\x23-\x5B\x5D-\x7E]`)

func TestTokenErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(request())
	token := w.tokens()["refresh_token"].(string)
	for _, test := range []struct {
		name   string
		answer answer
		status int
		code   string
	}{
		{"no form", w.send("POST", "", "", "Content-Type", "text/plain"), 400, "invalid_request"},
		{"a form that is too large", w.send("POST", "", strings.Repeat("x", 64<<10)), 413, "invalid_request"},
		{"an unknown client", w.token(codeForm(code), "nobody", "x"), 401, "invalid_client"},
		{"an unknown client in the body", w.token(codeForm(code, "client_id", "nöb\"\\ody")), 401, "invalid_client"},
		{"no client", w.token(codeForm(code)), 401, "invalid_client"},
		{"no code", w.token(codeForm(""), "web", webSecret), 400, "invalid_request"},
		{"an unknown code", w.token(codeForm("nö\n\"\\"), "web", webSecret), 400, "invalid_grant"},
		{"a scope that was not granted", w.token(refreshForm(token, "scope", "admin"), "web", webSecret), 400, "invalid_scope"},
		{"a scope that is none", w.token(refreshForm(token, "scope", "\"é\\"), "web", webSecret), 400, "invalid_scope"},
		{"an unknown grant type", w.token(url.Values{"grant_type": {"\"é\\"}}, "web", webSecret), 400, "unsupported_grant_type"},
	} {
		t.Run("TK-11 "+test.name, func(t *testing.T) {
			require.Equal(t, test.status, test.answer.status)
			require.Equal(t, "application/json", test.answer.header.Get("Content-Type"))
			e := test.answer.json(t)
			require.Equal(t, test.code, e["error"])
			if text, ok := e["error_description"]; ok {
				require.NotRegexp(t, undescribable, text)
			}
			require.NotContains(t, e, "access_token")
		})
		t.Run("TK-10 "+test.name, func(t *testing.T) { uncached(t, test.answer) })
	}
	t.Run("TK-10 tokens for a code", func(t *testing.T) { uncached(t, w.token(codeForm(code), "web", webSecret)) })
	t.Run("TK-10 tokens for a refresh token", func(t *testing.T) { uncached(t, w.token(refreshForm(token), "web", webSecret)) })
}

func uncached(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	require.Equal(t, "no-cache", a.header.Get("Pragma"))
}

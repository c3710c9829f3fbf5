package authwright_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

const formType = "application/x-www-form-urlencoded"

// transmit sends a request whose body is a form that the caller has encoded, and does not
// follow redirects.
func (w *world) transmit(method, path, body string, header http.Header) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.ts.URL+path, strings.NewReader(body))
	require.NoError(w.t, err)
	if body != "" {
		r.Header.Set("Content-Type", formType)
	}
	for name, values := range header {
		r.Header[name] = values
	}
	return w.do(&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, r)
}

// asWeb is the header of a request of web, with a secret that may be wrong.
func asWeb(secret string) http.Header {
	return http.Header{"Authorization": {basic("web:" + secret)}}
}

func TestTransportSecurity(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, issuer string
		ok           bool
	}{
		{"HT-01 https", "https://auth.example", true},
		{"HT-01 http", "http://auth.example", false},
		{"HT-01 http on a private network", "http://10.0.0.1", false},
		{"HT-01 http on what begins like a loopback address", "http://127.0.0.1.evil.example", false},
		{"HT-01 http on what begins like localhost", "http://localhost.evil.example", false},
		{"HT-01 another scheme", "ftp://auth.example", false},
		{"HT-01 http on a developer's machine", "http://127.0.0.1:8080", true},
		{"HT-01 http on a developer's machine, IPv6", "http://[::1]:8080", true},
		{"HT-01 http on a developer's machine, by name", "http://localhost:8080", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cfg := minimal(t)
			cfg.Issuer = tc.issuer
			_, err := authwright.NewServer(cfg)
			if tc.ok {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "Issuer")
			}
		})
	}
	srv, err := authwright.NewServer(minimal(t))
	require.NoError(t, err)
	t.Run("HT-01 every endpoint of an https issuer is https", func(t *testing.T) {
		rec := httptest.NewRecorder()
		srv.ServeMetadata(rec, httptest.NewRequest(http.MethodGet, wellKnown, nil))
		require.Contains(t, rec.Body.String(), "https://")
		require.NotContains(t, rec.Body.String(), "http://")
	})
	t.Run("HT-02 the host's Strict-Transport-Security stays on every answer", func(t *testing.T) {
		const hsts = "max-age=63072000; includeSubDomains"
		host := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Strict-Transport-Security", hsts)
			srv.ServeHTTP(w, r)
		})
		for _, path := range append(srv.Paths(), "/authorize?"+request().Encode(), "/authorize?"+request("state", "", "scope", "x").Encode(), "/nowhere") {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut} {
				rec := httptest.NewRecorder()
				host.ServeHTTP(rec, httptest.NewRequest(method, path, nil))
				require.Equal(t, hsts, rec.Header().Get("Strict-Transport-Security"), "%s %s", method, path)
			}
		}
	})
}

func TestTransportMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	allowed := map[string]string{
		"/authorize":  "GET, POST",
		"/consent":    "POST",
		"/token":      "POST",
		"/revoke":     "POST",
		"/introspect": "POST",
		"/jwks":       "GET, HEAD",
		wellKnown:     "GET, HEAD",
	}
	for path, allow := range allowed {
		t.Run("HT-03 "+path, func(t *testing.T) {
			require.Contains(t, w.srv.Paths(), path)
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND", "get"} {
				a := w.transmit(method, path, "", nil)
				if strings.Contains(", "+allow+",", ", "+method+",") {
					require.NotEqual(t, http.StatusMethodNotAllowed, a.status, method)
					require.Less(t, a.status, 500, method)
					continue
				}
				require.Equal(t, http.StatusMethodNotAllowed, a.status, method)
				require.NotEmpty(t, a.header.Get("Allow"), method)
				if method == "HEAD" {
					require.Empty(t, a.body)
				}
			}
			require.Equal(t, allow, w.transmit("DELETE", path, "", nil).header.Get("Allow"))
		})
		t.Run("HT-03 OPTIONS "+path, func(t *testing.T) {
			a := w.transmit("OPTIONS", path, "", nil) // no preflight, which has an Origin
			require.Equal(t, http.StatusMethodNotAllowed, a.status)
			require.Equal(t, allow, a.header.Get("Allow"))
		})
	}
	t.Run("HT-03 HEAD redeems nothing", func(t *testing.T) {
		code := w.code(request())
		require.Equal(t, http.StatusMethodNotAllowed, w.transmit("HEAD", "/token", codeForm(code).Encode(), asWeb(webSecret)).status)
		require.Equal(t, http.StatusOK, w.token(codeForm(code), "web", webSecret).status)
	})
}

// A sample is an answer of an endpoint, and what it should be.
type sample struct {
	name string
	answer
	kind string // the media type; empty: no body to speak of
}

// samples are the answers of w to all sorts of requests, good and bad.
func (w *world) samples(header http.Header) []sample {
	alice := http.Header{"Cookie": {w.session("alice").String()}}
	for name, values := range header {
		alice[name] = values
	}
	auth := asWeb(webSecret)
	for name, values := range header {
		auth[name] = values
	}
	authorize := func(changes ...string) string { return "/authorize?" + request(changes...).Encode() }
	const html, jsonType = "text/html; charset=utf-8", "application/json"
	return []sample{
		{"consent page", w.transmit("GET", authorize("prompt", "consent"), "", alice), html},
		{"error page", w.transmit("GET", authorize("client_id", "nobody"), "", alice), html},
		{"malformed request", w.transmit("GET", "/authorize?a=%zz", "", alice), html},
		{"login", w.transmit("GET", authorize(), "", header), ""},
		{"error for the client", w.transmit("GET", authorize("scope", "x"), "", alice), ""},
		{"posted request", w.transmit("POST", "/authorize", request().Encode(), alice), ""},
		{"consent without a question", w.transmit("POST", "/consent", "consent=x", alice), html},
		{"consent of a stranger", w.transmit("POST", "/consent", "consent=x", http.Header{"Sec-Fetch-Site": {"cross-site"}}), html},
		{"tokens", w.transmit("POST", "/token", codeForm(w.code(request())).Encode(), auth), jsonType},
		{"unknown code", w.transmit("POST", "/token", codeForm("x").Encode(), auth), jsonType},
		{"no grant_type", w.transmit("POST", "/token", "a=b", auth), jsonType},
		{"wrong secret", w.transmit("POST", "/token", codeForm("x").Encode(), asWeb("wrong")), jsonType},
		{"no client", w.transmit("POST", "/token", codeForm("x").Encode(), header), jsonType},
		{"revocation", w.transmit("POST", "/revoke", "token=x", auth), jsonType},
		{"introspection", w.transmit("POST", "/introspect", "token=x", auth), jsonType},
		{"introspection of nothing", w.transmit("POST", "/introspect", "", auth), jsonType},
		{"revocation by a stranger", w.transmit("POST", "/revoke", "token=x", asWeb("wrong")), jsonType},
		{"malformed form", w.transmit("POST", "/token", "a=%zz", auth), jsonType},
		{"too large a form", w.transmit("POST", "/token", strings.Repeat("a", 1<<20), auth), jsonType},
		{"another media type", w.transmit("POST", "/token", "{}", http.Header{"Content-Type": {"application/json"}}), jsonType},
	}
}

func TestTransportHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, s := range w.samples(nil) {
		t.Run("HT-04 type and nosniff: "+s.name, func(t *testing.T) {
			require.Equal(t, "nosniff", s.header.Get("X-Content-Type-Options"))
			require.Equal(t, s.kind, s.header.Get("Content-Type"))
			require.Equal(t, s.kind == "", s.status == http.StatusSeeOther, s.status)
		})
		t.Run("HT-05 not cached: "+s.name, func(t *testing.T) {
			require.Equal(t, "no-store", s.header.Get("Cache-Control"))
		})
	}
	for _, path := range []string{"/authorize", "/consent", "/token", "/revoke", "/introspect"} {
		t.Run("HT-05 not cached: wrong method at "+path, func(t *testing.T) {
			require.Equal(t, "no-store", w.transmit("DELETE", path, "", nil).header.Get("Cache-Control"))
		})
	}
	for _, path := range []string{wellKnown, "/jwks"} {
		t.Run("HT-05 cached: "+path, func(t *testing.T) {
			a := w.get(path)
			require.Regexp(t, `^public, max-age=[1-9]`, a.header.Get("Cache-Control"))
			require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"))
		})
	}
	browserLike := http.Header{"Accept": {"text/html,application/xhtml+xml;q=0.9"}, "User-Agent": {"Mozilla/5.0"}, "Sec-Fetch-Dest": {"document"}}
	for _, s := range w.samples(browserLike) {
		if s.kind == "application/json" {
			t.Run("HT-06 JSON for whoever asks for HTML: "+s.name, func(t *testing.T) {
				require.Equal(t, s.kind, s.header.Get("Content-Type"))
				s.json(t)
			})
		}
	}
	for _, s := range w.samples(http.Header{"Origin": {w.ts.URL}}) {
		if s.kind != "application/json" {
			t.Run("HT-10 no CORS: "+s.name, func(t *testing.T) { noCORS(t, s.answer) })
		}
	}
	for _, path := range []string{"/authorize", "/consent", "/login"} {
		t.Run("HT-10 no preflight at "+path, func(t *testing.T) {
			noCORS(t, w.transmit("OPTIONS", path, "", http.Header{
				"Origin": {"https://spa.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization"},
			}))
			noCORS(t, w.transmit("GET", path, "", http.Header{"Origin": {"https://spa.example"}}))
		})
	}
}

func noCORS(t *testing.T, a answer) {
	t.Helper()
	for name := range a.header {
		require.False(t, strings.HasPrefix(name, "Access-Control-"), name)
	}
}

func TestTransportForms(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := http.Header{"Cookie": {w.session("alice").String()}}
	good, form := request().Encode(), codeForm("x").Encode()
	for _, tc := range []struct{ name, text string }{
		{"HT-07 a semicolon", ";x=1"},
		{"HT-07 a semicolon in a value", "&x=1;y=2"},
		{"HT-07 a NUL", "&x=%00"},
		{"HT-07 a NUL in a name", "&x%00=1"},
		{"HT-07 half an escape", "&x=%"},
		{"HT-07 half an escape more", "&x=%a"},
		{"HT-07 an escape that is none", "&x=%zz"},
		{"HT-07 an escape that begins badly", "&x=%z0"},
		{"HT-07 an escape that ends badly", "&x=%0z"},
		{"HT-07 an escape of a surrogate", "&x=%ed%a0%80"},
		{"HT-07 invalid UTF-8", "&x=%ff"},
		{"HT-07 overlong UTF-8", "&x=%c0%af"},
		{"HT-07 cut-off UTF-8 in a name", "&%e2%82=1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, a := range []answer{
				w.transmit("GET", "/authorize?"+good+tc.text, "", alice),
				w.transmit("POST", "/authorize", good+tc.text, alice),
				w.transmit("POST", "/consent", "consent=x"+tc.text, alice),
			} {
				require.Equal(t, http.StatusBadRequest, a.status, a.body)
				errorPage(t, a)
			}
			refused(t, w.transmit("POST", "/token", form+tc.text, asWeb(webSecret)), "invalid_request")
			refused(t, w.transmit("POST", "/token?"+tc.text, form, asWeb(webSecret)), "invalid_request")
		})
	}
	t.Run("HT-07 a raw byte that is not UTF-8", func(t *testing.T) {
		refused(t, w.transmit("POST", "/token", form+"&x=\xff", asWeb(webSecret)), "invalid_request")
		refused(t, w.transmit("POST", "/token", form+"&x=\x00", asWeb(webSecret)), "invalid_request")
	})
	large := "&x=" + strings.Repeat("x", 1<<20)
	for _, path := range []string{"/authorize", "/consent", "/token", "/revoke", "/introspect"} {
		t.Run("HT-07 a large body at "+path, func(t *testing.T) {
			require.Equal(t, http.StatusRequestEntityTooLarge, w.transmit("POST", path, form+large, alice).status)
		})
		t.Run("HT-07 a large body without a length is not read at "+path, func(t *testing.T) {
			body := strings.NewReader(form + large)
			r := httptest.NewRequest(http.MethodPost, path, struct{ io.Reader }{body})
			r.Header.Set("Content-Type", formType)
			rec := httptest.NewRecorder()
			w.srv.ServeHTTP(rec, r)
			require.Equal(t, http.StatusRequestEntityTooLarge, rec.Code)
			require.Greater(t, body.Len(), 1<<19)
		})
		t.Run("HT-07 very many parameters at "+path, func(t *testing.T) {
			require.Equal(t, http.StatusBadRequest, w.transmit("POST", path, form+strings.Repeat("&x=1", 5000), alice).status)
		})
	}
}

// lies are what a proxy might say, and anybody else as well.
func lies() http.Header {
	return http.Header{
		"X-Forwarded-Host": {"evil.example"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Prefix": {"/evil"}, "X-Forwarded-Port": {"81"},
		"X-Forwarded-For": {"192.0.2.1"}, "X-Real-Ip": {"192.0.2.1"}, "Forwarded": {"for=192.0.2.1;host=evil.example;proto=http"},
		"X-Original-Url": {"/jwks"}, "X-Rewrite-Url": {"/jwks"}, "X-Http-Method-Override": {"GET"}, "X-Forwarded-User": {"mallory"},
		"X-Remote-User": {"mallory"}, "Remote-User": {"mallory"}, "X-Forwarded-Client-Cert": {"Subject=web"}, "X-Ssl-Client-Cert": {"web"},
	}
}

func TestTransportProxies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	honest, lied := w.samples(nil), w.samples(lies())
	for i, s := range honest {
		t.Run("HT-08 forwarded headers change nothing: "+s.name, func(t *testing.T) {
			require.Equal(t, s.status, lied[i].status)
			require.Equal(t, s.header.Get("Location"), lied[i].header.Get("Location"))
			require.Equal(t, s.header.Get("Www-Authenticate"), lied[i].header.Get("Www-Authenticate"))
			require.NotContains(t, lied[i].body+fmt.Sprint(lied[i].header), "evil")
		})
	}
	t.Run("HT-08 no forwarded header makes a foreign form ours", func(t *testing.T) {
		b := w.signedIn("alice")
		action, handle := b.authorize(request("prompt", "consent")).question(t)
		body := url.Values{"consent": {handle}, "decision": {"approve"}, "scope": {"read"}}.Encode()
		header := lies()
		header.Set("Origin", "https://evil.example")
		u, err := url.Parse(w.ts.URL)
		require.NoError(t, err)
		for _, c := range b.Jar.Cookies(u) {
			header.Add("Cookie", c.String())
		}
		require.Equal(t, http.StatusForbidden, w.transmit("POST", action, body, header).status)
		header.Set("Origin", w.ts.URL)
		require.NotEmpty(t, w.transmit("POST", action, body, header).location(t).Get("code"))
	})
	t.Run("HT-08 no forwarded header turns a GET into a POST", func(t *testing.T) {
		header := asWeb(webSecret)
		header["X-Http-Method-Override"] = []string{"POST"}
		require.Equal(t, http.StatusMethodNotAllowed, w.transmit("GET", "/token?"+codeForm("x").Encode(), "", header).status)
	})
}

func TestTransportRepeatedHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good, bad := basic("web:"+webSecret), basic("web:wrong")
	for _, tc := range []struct {
		name   string
		lines  []string
		status int
	}{
		{"HT-12 the usual case", []string{"Authorization: " + good}, 200},
		{"HT-12 lower case", []string{"authorization: " + good}, 200},
		{"HT-12 upper case", []string{"AUTHORIZATION: " + good}, 200},
		{"HT-12 the scheme in another case", []string{"Authorization: bASIC" + strings.TrimPrefix(good, "Basic")}, 200},
		{"HT-12 twice the same", []string{"Authorization: " + good, "Authorization: " + good}, 400},
		{"HT-12 twice, the right one first", []string{"Authorization: " + good, "Authorization: " + bad}, 400},
		{"HT-12 twice, the right one last", []string{"Authorization: " + bad, "Authorization: " + good}, 400},
		{"HT-12 twice, in two cases", []string{"Authorization: " + good, "authorization: " + good}, 400},
		{"HT-12 twice, one of them empty", []string{"Authorization:", "Authorization: " + good}, 400},
		{"HT-12 two that are joined", []string{"Authorization: " + good + ", " + good}, 401},
		{"HT-12 two media types", []string{"Authorization: " + good, "Content-Type: application/json"}, 400},
		{"HT-12 twice the same media type", []string{"Authorization: " + good, "Content-Type: " + formType}, 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			body := codeForm(w.code(request())).Encode()
			a := w.raw("POST /token HTTP/1.1", body, append(tc.lines, "Content-Type: "+formType)...)
			require.Equal(t, tc.status, a.status, a.body)
			if tc.status == 400 {
				refused(t, a, "invalid_request")
			}
		})
	}
}

// raw sends header lines as they are.
func (w *world) raw(line, body string, header ...string) answer {
	w.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.ts.URL, "http://"))
	require.NoError(w.t, err)
	defer conn.Close()
	header = append([]string{line, "Host: " + strings.TrimPrefix(w.ts.URL, "http://"), "Connection: close", fmt.Sprint("Content-Length: ", len(body))}, header...)
	_, err = io.WriteString(conn, strings.Join(header, "\r\n")+"\r\n\r\n"+body)
	require.NoError(w.t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return answer{resp.StatusCode, resp.Header, string(text)}
}

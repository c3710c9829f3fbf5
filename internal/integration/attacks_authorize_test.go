package integration_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAttacksOnAuthorize is section E of docs/threat-model.md.
func TestAttacksOnAuthorize(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "E01 an unknown client", run: unknownClients},
		{name: "E02 another error with an unregistered redirect URI", run: noErrorElsewhere},
		{name: "E04 hostile text in what comes back", run: hostileText},
		{name: "E05 a token from the front channel", run: frontChannel},
		{name: "E06 a parameter twice", run: repeatedParameters},
		{name: "E07 request objects", run: requestObjects},
		{name: "E09 prompt=none", run: silentRequests},
		{name: "E12 a POST", run: postedRequests},
		{name: "E13 another method", run: otherMethods},
		{name: "E15 a redirect that repeats a POST", run: redirectsAfterPost},
		{name: "E18 headers and foreign resources", run: pageDefences},
	})
}

func unknownClients(t *testing.T, v *victim) {
	for _, id := range []string{"nobody", "C1", "c1 ", " c1", "c1\x00", "", "c1\nc2", "https://evil.test/client.json", strings.Repeat("c", 3000), "c%31"} {
		for _, uri := range []string{"https://evil.test/cb", c1URI, ""} {
			v.signedIn("alice").authorize(asking("client_id", id, "redirect_uri", uri)).errorPage(t, id)
			v.stranger().authorize(asking("client_id", id, "redirect_uri", uri, "prompt", "none")).errorPage(t, id)
		}
	}
}

func noErrorElsewhere(t *testing.T, v *victim) {
	for _, also := range [][]string{
		{"scope", "bad"}, {"scope", `"`}, {"response_type", ""}, {"response_type", "token"}, {"prompt", "none"}, {"prompt", "none login"}, {"code_challenge", ""},
		{"response_mode", "fragment"}, {"response_mode", "form_post"}, {"request", "x.y.z"}, {"request_uri", "https://evil.test/r"}, {"max_age", "x"}, {"resource", "x"}, {"claims", "{"}, {"id_token_hint", "x"},
	} {
		q := asking(append(also, "redirect_uri", "https://app.example.com@evil.test/cb")...)
		for _, p := range []person{v.stranger(), v.signedIn("alice")} {
			a := p.authorize(q)
			a.errorPage(t, also)
			require.NotContains(t, a.body, "evil.test", also)
		}
	}
}

var describable = regexp.MustCompile(`^[\x20\x21\x23-\x5b\x5d-\x7e]*$`)

func hostileText(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	for _, evil := range []string{`"><script>alert(1)</script>`, "a\r\nSet-Cookie: x=y", "\u202eevil", `\"`, "%0d%0a", "💥"} {
		for _, name := range []string{"scope", "response_type", "response_mode", "prompt", "max_age", "code_challenge", "code_challenge_method", "resource", "claims", "id_token_hint"} {
			a := alice.authorize(asking("scope", "openid read", name, evil))
			require.NotContains(t, a.body, "<script>alert", name)
			require.NotContains(t, strings.Join(a.header.Values("Set-Cookie"), ", "), "x=y", name)
			if a.status == http.StatusSeeOther {
				q := a.toClient(t, c1URI)
				require.Regexp(t, describable, q.Get("error_description"), name)
				require.Regexp(t, `^[a-z_]+$`, q.Get("error"), name)
			}
		}
		for _, f := range []url.Values{
			{"grant_type": {evil}}, {"grant_type": {"authorization_code"}, "code": {evil}, "code_verifier": {evil}}, {"grant_type": {"refresh_token"}, "refresh_token": {evil}, "scope": {evil}},
			{"grant_type": {"client_credentials"}, "scope": {evil}},
		} {
			a := v.token(f, "c1", secretOf1)
			text, _ := a.json(t)["error_description"].(string)
			require.Regexp(t, describable, text, a.body)
			require.NotContains(t, a.body, "<", f)
			require.NotContains(t, a.body, "\\u003c", f)
		}
	}
}

func frontChannel(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	for types, code := range map[string]string{
		"token": "unsupported_response_type", "id_token": "unsupported_response_type", "code token": "unsupported_response_type", "code id_token": "unsupported_response_type",
		"id_token token": "unsupported_response_type", "code code": "unsupported_response_type", "none": "unsupported_response_type", "CODE": "unsupported_response_type", "": "invalid_request", " ": "invalid_request",
	} {
		a := alice.authorize(asking("response_type", types, "scope", "openid"))
		a.failed(t, v, code)
		require.NotContains(t, a.header.Get("Location"), "token=")
		require.NotContains(t, a.header.Get("Location"), "#")
		// The same after a login, which begins the request again.
		a = v.stranger().authorize(asking("response_type", types, "scope", "openid"))
		a.failed(t, v, code)
		require.NotContains(t, a.header.Get("Location"), "token=")
	}
}

func repeatedParameters(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	for _, name := range []string{"response_type", "scope", "state", "code_challenge", "code_challenge_method", "nonce", "prompt", "max_age", "response_mode"} {
		for _, values := range [][]string{{"a", "b"}, {"b", "a"}, {"a", "a"}} {
			q := asking("scope", "openid read")
			q[name] = append(values, q[name]...)
			a := alice.authorize(q)
			a.failed(t, v, "invalid_request")
			if name == "state" {
				require.False(t, a.toClient(t, c1URI).Has("state"))
			}
		}
	}
	for _, ids := range [][]string{{"c1", "c2"}, {"c2", "c1"}, {"c1", "c1"}} {
		q := asking()
		q["client_id"] = ids
		alice.authorize(q).errorPage(t, ids)
	}
}

// canary is a listener that counts who connects.
func canary(t *testing.T) (address string, visits *atomic.Int64) {
	t.Helper()
	visits = new(atomic.Int64)
	ts := httptest.NewUnstartedServer(http.NotFoundHandler())
	ts.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			visits.Add(1)
		}
	}
	ts.Start()
	t.Cleanup(ts.Close)
	return ts.URL, visits
}

func requestObjects(t *testing.T, v *victim) {
	address, visits := canary(t)
	alice := v.signedIn("alice")
	alice.authorize(asking("request", "eyJhbGciOiJub25lIn0.e30.")).failed(t, v, "request_not_supported")
	alice.authorize(asking("request_uri", address+"/r.jwt")).failed(t, v, "request_uri_not_supported")
	alice.authorize(asking("registration", `{"jwks_uri":"`+address+`"}`)).failed(t, v, "registration_not_supported")
	alice.authorize(asking("client_id", address+"/client")).errorPage(t)
	require.Zero(t, visits.Load())
}

func silentRequests(t *testing.T, v *victim) {
	v.stranger().authorize(asking("prompt", "none")).failed(t, v, "login_required")
	alice := v.signedIn("alice")
	a := alice.authorize(asking("prompt", "none"))
	a.failed(t, v, "consent_required")
	require.Empty(t, a.body)
	alice.authorize(asking("prompt", "none", "max_age", "0")).failed(t, v, "login_required")
	alice.authorize(asking("prompt", "none consent")).failed(t, v, "invalid_request")
	v.code(asking("scope", "read"))
	require.NotEmpty(t, alice.authorize(asking("prompt", "none", "scope", "read")).toClient(t, c1URI).Get("code"))
	alice.authorize(asking("prompt", "none", "scope", "read write")).failed(t, v, "consent_required")
}

func postedRequests(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	alice.post("/authorize", asking()).question(t)
	alice.post("/authorize", asking("redirect_uri", "https://evil.test/cb")).errorPage(t)
	alice.post("/authorize", asking("code_challenge", "")).failed(t, v, "invalid_request")
	for name, value := range map[string]string{"scope": "read", "state": "xyz", "code_challenge": goodChallenge} {
		alice.post("/authorize?"+url.Values{name: {value}}.Encode(), asking()).failed(t, v, "invalid_request")
	}
	alice.post("/authorize?client_id=c2", asking()).errorPage(t)
	alice.post("/authorize", asking(), "Content-Type", "application/json").errorPage(t)
}

func otherMethods(t *testing.T, v *victim) {
	v.code(asking()) // remembered: a GET would be answered with a code at once
	alice := v.signedIn("alice")
	action, f := alice.authorize(asking("prompt", "consent")).answerForm(t, "approve", "read")
	for _, target := range []string{"/authorize?" + asking().Encode(), action + "&" + f.Encode()} {
		for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodTrace, http.MethodOptions, "PROPFIND"} {
			r, err := http.NewRequestWithContext(t.Context(), method, v.issuer+target, nil)
			require.NoError(t, err)
			a := v.send(alice, r)
			require.Equal(t, http.StatusMethodNotAllowed, a.status, "%s %s", method, target)
			require.NotEmpty(t, a.header.Get("Allow"))
			require.Empty(t, a.header.Get("Location"))
		}
	}
	require.Equal(t, http.StatusMethodNotAllowed, alice.get(v.issuer+action+"&"+f.Encode()).status)
	require.NotEmpty(t, alice.post(action, f).toClient(t, c1URI).Get("code")) // nothing has answered it
}

func redirectsAfterPost(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	once := alice
	once.Client = &http.Client{Transport: alice.Transport, Jar: alice.Jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	require.Equal(t, http.StatusSeeOther, once.post("/authorize", asking()).status)
	for _, decision := range []string{"approve", "deny"} {
		page := alice.authorize(asking("prompt", "consent"))
		require.Equal(t, http.StatusSeeOther, once.decide(page, decision, "read").status)
	}
	require.Equal(t, http.StatusSeeOther, once.post("/logout", url.Values{"state": {"x"}}).status)
}

var foreign = regexp.MustCompile(`(?i)<(script|img|link|iframe|object|embed|source|video|audio)[^>]*\b(src|href|data)=|@import|url\(`)

func pageDefences(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	for name, a := range map[string]reaction{
		"consent page": alice.authorize(asking()),
		"error page":   alice.authorize(asking("client_id", "x")),
		"error":        alice.authorize(asking("scope", "admin")),
		"code":         alice.decide(alice.authorize(asking()), "approve", "read"),
		"form_post":    alice.authorize(asking("scope", "read", "response_mode", "form_post")),
		"expired":      alice.post("/consent", url.Values{}),
		"logout":       alice.get(v.issuer + "/logout"),
		"bounce":       v.stranger().get(v.issuer+"/authorize?"+asking().Encode(), "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Dest", "document"),
	} {
		require.Equal(t, "no-store", a.header.Get("Cache-Control"), name)
		require.Equal(t, "no-referrer", a.header.Get("Referrer-Policy"), name)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"), name)
		require.Equal(t, "DENY", a.header.Get("X-Frame-Options"), name)
		require.Contains(t, a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'", name)
		if a.body != "" {
			require.Contains(t, a.header.Get("Content-Security-Policy"), "default-src 'none'", name)
		}
		require.NotRegexp(t, foreign, a.body, name)
	}
}

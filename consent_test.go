package authwright_test

import (
	"html"
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

// Who may answer a consent page, and what the answer can say: RFC 6749, section 10.12.
func TestConsent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alwaysAsk)

	t.Run("UI-03 an answer needs the handle of its page", func(t *testing.T) {
		b := w.signedIn("alice")
		page := b.authorize(request())
		action, handle := page.question(t)
		forged := handle[:63] + string('A'+(handle[63]-'A'+1)%26)
		for _, handles := range [][]string{nil, {""}, {"x"}, {forged}, {handle + "A"}, {handle, handle}, {forged, handle}, {handle, forged}} {
			errorPage(t, b.post(action, url.Values{"consent": handles, "decision": {"approve"}, "scope": {"read"}}))
		}
		require.NotEmpty(t, b.decide(page, "approve", "read").location(t).Get("code"), "the page is still good")
		errorPage(t, b.decide(page, "approve", "read"))
	})
	t.Run("UI-03 an answer comes from a page of our own", func(t *testing.T) {
		b := w.signedIn("alice")
		page := b.authorize(request())
		action, handle := page.question(t)
		f := url.Values{"consent": {handle}, "decision": {"approve"}, "scope": {"read"}}.Encode()
		send := func(method, body string, header ...string) answer {
			r, err := http.NewRequestWithContext(t.Context(), method, w.ts.URL+action, strings.NewReader(body))
			require.NoError(t, err)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			for i := 0; i < len(header); i += 2 {
				r.Header.Set(header[i], header[i+1])
			}
			return w.do(b.Client, r)
		}
		for _, header := range [][]string{
			{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"},
			{"Content-Type", "text/plain"}, {"Content-Type", "multipart/form-data; boundary=x"}, {"Content-Type", "application/json"},
		} {
			a := send(http.MethodPost, f, header...)
			errorPage(t, a)
			require.NotContains(t, a.body, "code=")
		}
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			require.Equal(t, http.StatusMethodNotAllowed, send(method, f).status)
		}
		action += "&" + f // in the URL it counts for nothing
		errorPage(t, send(http.MethodPost, ""))
		// Our own pages send no referrer, and so a browser sends no origin with their forms.
		require.NotEmpty(t, send(http.MethodPost, f, "Sec-Fetch-Site", "same-origin", "Origin", "null").location(t).Get("code"))
	})
	t.Run("UI-03 a logout is confirmed on a page of our own", func(t *testing.T) {
		left := 0
		w := newWorld(t, openIDWith(func(http.ResponseWriter, *http.Request) error { left++; return nil }))
		b := w.signedIn("alice")
		require.Contains(t, b.get(w.issuer+"/logout?confirm=yes").body, `id="logout"`)
		require.Contains(t, b.post("/logout", url.Values{"state": {"x"}}).body, `id="logout"`)
		for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Content-Type", "text/plain"}} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.issuer+"/logout", strings.NewReader("confirm=yes"))
			require.NoError(t, err)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set(header[0], header[1])
			errorPage(t, w.do(b.Client, r))
		}
		require.Zero(t, left)
		require.Equal(t, http.StatusOK, b.post("/logout", url.Values{"confirm": {"yes"}}).status)
		require.Equal(t, 1, left)
	})
	t.Run("UI-04 a page can be answered only in the browser that opened it", func(t *testing.T) {
		b := w.signedIn("alice")
		page := b.authorize(request())
		for _, elsewhere := range []*browser{w.signedIn("alice"), w.signedIn("mallory"), w.browser()} {
			errorPage(t, elsewhere.decide(page, "approve", "read"))
			if elsewhere.authorize(request()).status == http.StatusOK { // with a cookie of its own now
				errorPage(t, elsewhere.decide(page, "approve", "read"))
			}
		}
		require.NotEmpty(t, b.decide(page, "approve", "read").location(t).Get("code"))
	})
	t.Run("UI-05 an answer of another user starts the request again", func(t *testing.T) {
		b := w.signedIn("alice")
		page := b.authorize(request("state", "for bob"))
		b.signIn("bob")
		again := b.decide(page, "approve", "read")
		consentPage(t, again)
		require.Contains(t, again.body, "<bdi>bob</bdi>")
		back := b.decide(again, "approve", "read").location(t)
		require.Equal(t, "for bob", back.Get("state"))
		a := w.token(codeForm(back.Get("code")), "web", webSecret).json(t)
		require.Equal(t, "bob", claims(t, a["access_token"])["sub"])
	})
	t.Run("UI-05 an answer of nobody leads to the login", func(t *testing.T) {
		b := w.signedIn("alice")
		page := b.authorize(request("login_hint", "carol"))
		b.signOut()
		again := b.decide(page, "approve", "read")
		consentPage(t, again)
		require.Contains(t, again.body, "<bdi>carol</bdi>")
	})
	t.Run("UI-05 without a way to start again there is a page", func(t *testing.T) {
		b := w.signedIn("alice")
		_, handle := b.authorize(request()).question(t)
		b.signIn("bob")
		errorPage(t, b.post("/consent", url.Values{"consent": {handle}, "decision": {"approve"}, "scope": {"read"}}))
	})
	t.Run("UI-06 the form can narrow what is granted", func(t *testing.T) {
		b := w.signedIn("alice")
		for _, scope := range []string{"read", "write"} {
			code := b.decide(b.authorize(request()), "approve", scope).location(t).Get("code")
			require.Equal(t, scope, w.token(codeForm(code), "web", webSecret).json(t)["scope"])
		}
	})
	t.Run("UI-06 the form cannot widen or redirect it", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) {
			cfg.Resources = []authwright.Resource{{ID: "https://notes.example/"}, {ID: "https://mail.example/"}}
		})
		b := w.signedIn("alice")
		action, handle := b.authorize(request("scope", "read", "resource", "https://notes.example/")).question(t)
		path, query, _ := strings.Cut(action, "?")
		changed, err := url.ParseQuery(query)
		require.NoError(t, err)
		for name, value := range map[string]string{
			"client_id": "other", "redirect_uri": "https://other.example/cb", "resource": "https://mail.example/", "state": "changed",
			"code_challenge": strings.Repeat("A", 43), "subject": "bob", "sub": "bob", "nonce": "changed",
		} {
			changed.Set(name, value)
		}
		changed["scope"] = []string{"read write admin"}
		f := url.Values{"consent": {handle}, "decision": {"approve"}}
		maps.Copy(f, changed)
		f["scope"] = []string{"read", "write", "admin", "read write"}
		a := b.post(path+"?"+changed.Encode(), f)
		require.True(t, strings.HasPrefix(a.header.Get("Location"), "https://web.example/cb?"), a.header.Get("Location"))
		require.Equal(t, "xyz", a.location(t).Get("state"))
		tokens := w.token(codeForm(a.location(t).Get("code")), "web", webSecret).json(t)
		require.Equal(t, "read", tokens["scope"])
		token := claims(t, tokens["access_token"])
		require.Equal(t, "https://notes.example/", token["aud"])
		require.Equal(t, "alice", token["sub"])
		require.Equal(t, "web", token["client_id"])
	})
	t.Run("UI-06 an answer that is neither yes nor no counts for nothing", func(t *testing.T) {
		b := w.signedIn("alice")
		page := b.authorize(request())
		action, handle := page.question(t)
		for _, decisions := range [][]string{nil, {""}, {"yes"}, {"Approve"}, {"approve", "deny"}, {"deny", "approve"}} {
			errorPage(t, b.post(action, url.Values{"consent": {handle}, "decision": decisions, "scope": {"read"}}))
		}
	})
}

func TestConsentExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.enroll(&authwright.Client{ID: "app", RedirectURIs: []string{"com.example.app:/cb?x=1"}, Scopes: []string{"read", "write"}})
	// onward checks that the page has a link back to where the request can start again.
	onward := func(t *testing.T, b *browser, a answer) {
		t.Helper()
		errorPage(t, a)
		m := regexp.MustCompile(`id="restart"[^>]*href="([^"]+)"`).FindStringSubmatch(a.body)
		require.NotNil(t, m, a.body)
		require.NotContains(t, []int{400, 404, 405, 500}, b.get(w.ts.URL+html.UnescapeString(m[1])).status)
	}

	t.Run("UI-17 a page that was answered too late has a way back to the client", func(t *testing.T) {
		for client, uri := range map[string]string{"web": "https://web.example/cb?", "app": "com.example.app:/cb?x=1&", "cli": "http://127.0.0.1:51004/cb?"} {
			b := w.signedIn("alice")
			page := b.authorize(request("client_id", client, "redirect_uri", strings.TrimRight(uri, "?&")))
			w.advance(10 * time.Minute)
			a := b.decide(page, "approve", "read")
			onward(t, b, a)
			m := wayBack.FindStringSubmatch(a.body)
			require.NotNil(t, m, a.body)
			target := html.UnescapeString(m[1])
			require.True(t, strings.HasPrefix(target, uri), target)
			back, err := url.Parse(target)
			require.NoError(t, err)
			require.Equal(t, []string{"access_denied", "xyz", w.issuer}, []string{back.Query().Get("error"), back.Query().Get("state"), back.Query().Get("iss")})
			require.False(t, back.Query().Has("code"))
		}
	})
	t.Run("UI-17 a page that is unknown, forgotten or answered says so and can start again", func(t *testing.T) {
		b := w.signedIn("alice")
		onward(t, b, b.post("/consent?"+request().Encode(), url.Values{"consent": {strings.Repeat("A", 64)}, "decision": {"approve"}}))
		page := b.authorize(request())
		require.NotEmpty(t, b.decide(page, "approve", "read", "write").location(t).Get("code"))
		onward(t, b, b.decide(page, "deny"))
		page = b.authorize(request("prompt", "consent"))
		w.advance(2 * time.Hour)
		_, err := w.store.DeleteExpired(t.Context(), w.now(), 0)
		require.NoError(t, err)
		onward(t, b, b.decide(page, "approve", "read"))
	})
	t.Run("UI-17 of two answers at once one counts, and the other is explained", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) {
			cfg.Storage = brokenAt{cfg.Storage, authwright.StageCode, authwright.ErrConflict}
		})
		b := w.signedIn("alice")
		onward(t, b, b.decide(b.authorize(request()), "approve", "read"))
	})
}

// When the user is asked at all: RFC 6749, section 10.2, and RFC 8252, section 8.6.
func TestConsentRemembered(t *testing.T) {
	t.Parallel()
	secrets := []authwright.ClientSecret{stored(webSecret)}
	for _, client := range []struct {
		name  string
		is    authwright.Client
		asked bool
	}{
		{"UI-08 a public client on the loopback interface is asked for each time", authwright.Client{RedirectURIs: []string{"http://127.0.0.1/cb"}}, true},
		{"UI-08 a public client on localhost is asked for each time", authwright.Client{RedirectURIs: []string{"http://localhost/cb"}}, true},
		{"UI-08 a public client with a private-use scheme is asked for each time", authwright.Client{RedirectURIs: []string{"com.example.app:/cb"}}, true},
		{"UI-08 a secret that is shipped assures nothing", authwright.Client{RedirectURIs: []string{"http://127.0.0.1/cb"}, Secrets: secrets, Native: true}, true},
		{"UI-08 nor does a policy never to ask", authwright.Client{RedirectURIs: []string{"http://127.0.0.1/cb"}, Consent: authwright.ConsentSkip}, true},
		{"UI-08 an https address assures who the client is", authwright.Client{RedirectURIs: []string{"https://first.example/cb"}}, false},
		{"UI-08 a secret on a server assures who the client is", authwright.Client{RedirectURIs: []string{"http://127.0.0.1/cb"}, Secrets: secrets}, false},
	} {
		t.Run(client.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			client.is.ID, client.is.Scopes = "first", []string{"read", "write"}
			w.enroll(&client.is)
			b := w.signedIn("alice")
			q := request("client_id", "first", "redirect_uri", client.is.RedirectURIs[0])
			for range 2 {
				require.NotEmpty(t, b.decide(b.authorize(q), "approve", "read", "write").location(t).Get("code"))
				if !client.asked {
					break
				}
			}
			silent := maps.Clone(q)
			silent.Set("prompt", "none")
			if client.asked {
				redirected(t, b.authorize(silent), "consent_required")
			} else {
				require.NotEmpty(t, b.authorize(q).location(t).Get("code"))
				require.NotEmpty(t, b.authorize(silent).location(t).Get("code"))
			}
		})
	}
	t.Run("UI-10 consent is remembered of one user for one client", func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn("alice")
		require.NotEmpty(t, b.decide(b.authorize(request()), "approve", "read", "write").location(t).Get("code"))
		require.NotEmpty(t, w.signedIn("alice").authorize(request()).location(t).Get("code"), "in any browser")
		bob, other := w.signedIn("bob"), request("client_id", "other", "redirect_uri", "https://other.example/cb")
		allow := func(b *browser, q url.Values) {
			page := b.authorize(q)
			consentPage(t, page)
			require.NotEmpty(t, b.decide(page, "approve", "read", "write").location(t).Get("code"))
		}
		allow(bob, request())
		allow(b, other)
		allow(bob, other)
		for _, b := range []*browser{b, bob} {
			require.NotEmpty(t, b.authorize(request()).location(t).Get("code"))
			require.NotEmpty(t, b.authorize(other).location(t).Get("code"))
		}
	})
	t.Run("UI-16 what was granted can be listed and revoked", func(t *testing.T) {
		w := newWorld(t)
		tokens := w.tokens()
		grants, _, err := w.store.GrantsBySubject(t.Context(), "alice", "", 0)
		require.NoError(t, err)
		require.NotEmpty(t, grants)
		for _, g := range grants {
			require.Equal(t, "web", g.ClientID)
			require.NoError(t, w.srv.RevokeGrant(t.Context(), g.ID))
		}
		refused(t, w.token(refreshForm(tokens["refresh_token"].(string)), "web", webSecret), "invalid_grant")
		consentPage(t, w.signedIn("alice").authorize(request()))
	})
}

// signOut ends the host's session.
func (b *browser) signOut() {
	u, err := url.Parse(b.w.ts.URL)
	require.NoError(b.w.t, err)
	b.Jar.SetCookies(u, []*http.Cookie{{Name: "session", Path: "/", MaxAge: -1}})
}

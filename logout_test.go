package authwright_test

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// ends sends a logout request, given as pairs, by GET.
func (b *browser) ends(pairs ...string) answer {
	b.w.t.Helper()
	return b.get(b.w.issuer + "/logout?" + query(pairs).Encode())
}

func query(pairs []string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

// signedOut checks that a says so, and that nobody is signed in in b any more.
func (b *browser) signedOut(a answer) {
	b.w.t.Helper()
	require.Equal(b.w.t, http.StatusOK, a.status, a.body)
	require.Contains(b.w.t, a.body, "You are signed out")
	require.False(b.w.t, b.isSignedIn())
}

func (b *browser) isSignedIn() bool {
	b.w.t.Helper()
	return b.authorize(asking("prompt", "none")).location(b.w.t).Get("error") != "login_required"
}

// asked checks that a asks whether to sign out, and that b is signed in still, and returns
// the form.
func (b *browser) asked(a answer) url.Values {
	b.w.t.Helper()
	require.Equal(b.w.t, http.StatusOK, a.status, a.body)
	require.Contains(b.w.t, a.body, `<button id="logout" class="go" name="confirm" value="yes">`)
	require.Contains(b.w.t, a.body, `<form method="post" action="/logout">`)
	require.True(b.w.t, b.isSignedIn())
	f := url.Values{"confirm": {"yes"}}
	for _, m := range hidden.FindAllStringSubmatch(a.body, -1) {
		f.Add(m[1], m[2])
	}
	return f
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

func TestLogout(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	signIn := func(name string) (*browser, string) {
		b := w.signedIn(name)
		return b, b.signsInTo(asking())["id_token"].(string)
	}
	_, aliceHint := signIn("alice")
	const bye = "https://rp.example/bye"

	t.Run("LO-01 by GET and by POST", func(t *testing.T) {
		b, hint := signIn("alice")
		b.signedOut(b.ends("id_token_hint", hint))
		b, hint = signIn("alice")
		b.signedOut(b.post("/logout", url.Values{"id_token_hint": {hint}}))
		b, hint = signIn("alice")
		b.signedOut(b.post("/logout?id_token_hint="+hint, url.Values{"ui_locales": {"fr"}}))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, w.issuer+"/logout", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusMethodNotAllowed, w.do(b.Client, r).status)
	})
	t.Run("LO-01 a POST from the client's site, with which no session comes, is a GET", func(t *testing.T) {
		a := w.browser().still().post("/logout", url.Values{"id_token_hint": {aliceHint}, "state": {"s&t"}})
		require.Equal(t, http.StatusSeeOther, a.status)
		require.Equal(t, "/logout?id_token_hint="+aliceHint+"&state=s%26t", a.header.Get("Location"))
	})
	t.Run("LO-01 a strict session gets its chance", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/logout?state=x", nil)
		require.NoError(t, err)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Dest", "document")
		a := w.do(w.browser().Client, r)
		require.Equal(t, "0; url=/logout?state=x&authwright_bounced=1", a.header.Get("Refresh"))
		require.NotContains(t, a.body, "signed out")
		b := w.browser()
		b.signedOut(b.get(w.ts.URL + "/logout?state=x&authwright_bounced=1"))
	})
	t.Run("LO-01 nobody is signed out who is not signed in", func(t *testing.T) {
		b := w.browser()
		b.signedOut(b.ends())
		require.Equal(t, bye, b.ends("id_token_hint", aliceHint, "post_logout_redirect_uri", bye).header.Get("Location"))
	})
	t.Run("LO-02 the user goes to an address that is registered, byte by byte", func(t *testing.T) {
		for _, uri := range []string{bye, bye + "?from=op"} {
			b, hint := signIn("alice")
			a := b.ends("id_token_hint", hint, "post_logout_redirect_uri", uri)
			require.Equal(t, http.StatusSeeOther, a.status, a.body)
			require.Equal(t, uri, a.header.Get("Location"))
			require.False(t, b.isSignedIn())
		}
	})
	t.Run("LO-02 and to no other", func(t *testing.T) {
		b, hint := signIn("alice")
		for _, uri := range []string{
			bye + "/", bye + "?", bye + "?from=op&x=y", bye + "#", "https://RP.example/bye", "https://rp.example:443/bye", "http://rp.example/bye",
			"https://rp.example/%62ye", "https://rp.example@evil.example/bye", rpCallback, "https://evil.example/", "//rp.example/bye", "javascript:alert(1)",
		} {
			errorPage(t, b.ends("id_token_hint", hint, "post_logout_redirect_uri", uri))
			errorPage(t, b.ends("client_id", "rp", "post_logout_redirect_uri", uri))
			errorPage(t, b.post("/logout", url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {uri}, "confirm": {"yes"}}))
		}
		errorPage(t, b.ends("post_logout_redirect_uri", bye))
		errorPage(t, b.ends("client_id", "app", "post_logout_redirect_uri", bye))
		errorPage(t, b.ends("client_id", "nobody", "post_logout_redirect_uri", bye))
		require.True(t, b.isSignedIn())
	})
	t.Run("LO-02 an address that never should have been registered", func(t *testing.T) {
		for _, uri := range []string{"http://rp.example/bye", "https://rp.example/bye#x", "/bye", "javascript:alert(1)", "https://rp.example"} {
			c := authwright.Client{ID: "x", RedirectURIs: []string{rpCallback}, PostLogoutRedirectURIs: []string{uri}}
			require.ErrorContains(t, c.Validate(), "PostLogoutRedirectURIs", uri)
		}
	})
	t.Run("LO-02 a client that is disabled gets nobody back", func(t *testing.T) {
		w := newProvider(t)
		b := w.signedIn("alice")
		hint := b.signsInTo(asking())["id_token"].(string)
		c, err := w.store.Client(t.Context(), "rp")
		require.NoError(t, err)
		c.Disabled = true
		require.NoError(t, w.store.UpdateClient(t.Context(), c))
		errorPage(t, b.ends("id_token_hint", hint, "post_logout_redirect_uri", bye))
		require.Contains(t, b.ends("id_token_hint", hint).body, "You are signed out")
	})
	t.Run("LO-02 a client that nobody vouches for does not get people who are not its own", func(t *testing.T) {
		w := newProvider(t)
		w.enroll(&authwright.Client{
			ID: "stranger", Secrets: []authwright.ClientSecret{stored(webSecret)}, RedirectURIs: []string{rpCallback}, Unverified: true,
			Scopes: []string{"openid"}, PostLogoutRedirectURIs: []string{"https://stranger.example/bye"},
		})
		hint := w.signedIn("mallory").signsInTo(asking("client_id", "stranger"))["id_token"].(string)
		const to = "https://stranger.example/bye"
		for _, pairs := range [][]string{{"client_id", "stranger"}, {"id_token_hint", hint}} {
			for _, b := range []*browser{w.browser(), w.signedIn("alice")} {
				a := b.ends(append(pairs, "post_logout_redirect_uri", to, "state", "s")...)
				if strings.Contains(a.body, `id="logout"`) {
					a = b.post("/logout", b.asked(a))
				}
				b.signedOut(a)
				require.Contains(t, a.body, `<a id="back" class="button" href="`+to+`?state=s">Go on to stranger.example</a>`)
			}
		}
		b := w.signedIn("mallory")
		require.Equal(t, to, b.ends("id_token_hint", hint, "post_logout_redirect_uri", to).header.Get("Location"), "its own")
	})
	t.Run("LO-03 without a hint the user is asked", func(t *testing.T) {
		for _, pairs := range [][]string{nil, {"client_id", "rp"}, {"client_id", "rp", "post_logout_redirect_uri", bye, "state", "s"}, {"logout_hint", "alice"}} {
			b := w.signedIn("alice")
			a := b.post("/logout", b.asked(b.ends(pairs...)))
			require.False(t, b.isSignedIn())
			if len(pairs) > 2 {
				require.Equal(t, bye+"?state=s", a.header.Get("Location"))
			} else {
				b.signedOut(a)
			}
		}
	})
	t.Run("LO-03 with a hint of another user, or of another session, too", func(t *testing.T) {
		b, _ := signIn("bob")
		f := b.asked(b.ends("id_token_hint", aliceHint, "post_logout_redirect_uri", bye))
		require.Equal(t, bye, b.post("/logout", f).header.Get("Location"))
		b = w.signedIn("alice").has("sid", "one")
		hint := b.signsInTo(asking())["id_token"].(string)
		b.has("sid", "two")
		b.asked(b.ends("id_token_hint", hint))
		b.has("sid", "one")
		b.signedOut(b.ends("id_token_hint", hint))
	})
	t.Run("LO-03 nobody but the user can answer", func(t *testing.T) {
		b := w.signedIn("alice")
		b.asked(b.ends("confirm", "yes"))
		for _, from := range []string{"cross-site", "same-site"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.issuer+"/logout", strings.NewReader("confirm=yes"))
			require.NoError(t, err)
			r.Header.Set("Content-Type", formType)
			r.Header.Set("Sec-Fetch-Site", from)
			a := w.do(b.Client, r)
			errorPage(t, a)
			require.Equal(t, http.StatusForbidden, a.status)
		}
		require.True(t, b.isSignedIn())
	})
	t.Run("LO-03 what stands in the page is text", func(t *testing.T) {
		b := w.signedIn("alice")
		a := b.ends("client_id", "rp", "post_logout_redirect_uri", bye, "state", `"><script>alert(1)</script>`, "unknown", "<b>")
		require.Contains(t, a.body, `value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"`)
		require.NotContains(t, a.body, "<b>")
		require.Equal(t, "DENY", a.header.Get("X-Frame-Options"))
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	})
	t.Run("LO-05 state comes back as it was", func(t *testing.T) {
		for _, state := range []string{"xyz", "a b&c=d#e%20ü", strings.Repeat("s", 2000)} {
			for _, uri := range []string{bye, bye + "?from=op"} {
				b, hint := signIn("alice")
				a := b.ends("id_token_hint", hint, "post_logout_redirect_uri", uri, "state", state)
				require.True(t, strings.HasPrefix(a.header.Get("Location"), uri))
				require.Equal(t, []string{state}, a.location(t)["state"])
			}
		}
	})
	t.Run("LO-05 and without one there is none", func(t *testing.T) {
		b, hint := signIn("alice")
		require.Equal(t, bye, b.ends("id_token_hint", hint, "post_logout_redirect_uri", bye, "state", "").header.Get("Location"))
	})
	t.Run("LO-06 client_id must be the hint's", func(t *testing.T) {
		b, hint := signIn("alice")
		for _, id := range []string{"app", "nobody", "RP"} {
			errorPage(t, b.ends("id_token_hint", hint, "client_id", id))
			errorPage(t, b.ends("id_token_hint", hint, "client_id", id, "post_logout_redirect_uri", bye))
		}
		errorPage(t, b.get(w.issuer+"/logout?client_id=rp&client_id=rp&id_token_hint="+hint))
		require.True(t, b.isSignedIn())
		require.Equal(t, bye, b.ends("id_token_hint", hint, "client_id", "rp", "post_logout_redirect_uri", bye).header.Get("Location"))
	})
}

func TestLogoutHint(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	b := w.signedIn("alice")
	got := b.signsInTo(asking())
	hint := got["id_token"].(string)
	t.Run("LO-04 a forged hint ends nothing", func(t *testing.T) {
		for name, forged := range forgeries(t, hint) {
			errorPage(t, b.ends("id_token_hint", forged))
			require.True(t, b.isSignedIn(), name)
		}
		errorPage(t, b.ends("id_token_hint", got["access_token"].(string)))
		other := newProvider(t)
		errorPage(t, b.ends("id_token_hint", other.signedIn("alice").signsInTo(asking())["id_token"].(string)))
		require.True(t, b.isSignedIn())
	})
	t.Run("LO-04 an expired one does", func(t *testing.T) {
		w.advance(60 * 24 * time.Hour)
		b := w.signedIn("alice")
		b.signedOut(b.ends("id_token_hint", hint))
	})
}

// What was given out in a session ends with it.
func TestLogoutRevokes(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	alive := func(got map[string]any) bool {
		return w.token(refreshForm(got["refresh_token"].(string)), "rp", webSecret).status == http.StatusOK
	}
	b, elsewhere := w.signedIn("alice").has("sid", "one"), w.signedIn("alice").has("sid", "two")
	online, plain, offline := b.signsInTo(asking()), b.signsInTo(asking("scope", "read")), b.signsInTo(asking("scope", "openid offline_access"))
	other, bobs := elsewhere.signsInTo(asking()), w.signedIn("bob").has("sid", "one").signsInTo(asking())
	code := b.authorize(asking()).location(t).Get("code")
	page := b.authorize(asking("prompt", "consent"))
	b.signedOut(b.ends("id_token_hint", online["id_token"].(string)))

	t.Run("LO-09 what had no offline_access is revoked, its access token included", func(t *testing.T) {
		require.False(t, alive(online))
		require.Equal(t, http.StatusUnauthorized, w.userinfo(online["access_token"].(string)).status)
	})
	t.Run("LO-09 so is a code that was not redeemed", func(t *testing.T) {
		refused(t, w.token(codeForm(code, "redirect_uri", rpCallback), "rp", webSecret), "invalid_grant")
	})
	t.Run("LO-09 and a question is not answered in the next session", func(t *testing.T) {
		again := w.signedIn("alice")
		again.Jar = b.Jar
		b.has("session", w.session("alice").Value).has("sid", "three")
		a := b.still().decide(page, "approve", "openid")
		require.True(t, strings.HasPrefix(a.header.Get("Location"), "/authorize?"), a.header.Get("Location"))
	})
	t.Run("LO-09 what had it survives", func(t *testing.T) { require.True(t, alive(offline)) })
	t.Run("LO-09 so does another session, another user and plain OAuth", func(t *testing.T) {
		require.True(t, alive(other))
		require.True(t, alive(bobs))
		require.True(t, alive(plain))
	})
	t.Run("RT-12 a browser's refresh token ends with the session", func(t *testing.T) {
		q := asking("client_id", "app", "redirect_uri", "https://app.example/cb")
		b := w.signedIn("alice").has("sid", "four")
		got := b.signsInTo(q)
		f := refreshForm(got["refresh_token"].(string), "client_id", "app")
		require.Equal(t, http.StatusOK, w.token(f).status)
		b.signedOut(b.ends("id_token_hint", got["id_token"].(string)))
		f.Set("refresh_token", got["refresh_token"].(string))
		refused(t, w.token(f), "invalid_grant")
	})
	t.Run("LO-09 without sessions of the host's all of them end", func(t *testing.T) {
		b := w.signedIn("carol")
		first, second := b.signsInTo(asking()), w.signedIn("carol").signsInTo(asking("scope", "openid read"))
		b.signedOut(b.ends("id_token_hint", first["id_token"].(string)))
		require.False(t, alive(first))
		require.False(t, alive(second))
	})
	t.Run("LO-09 what cannot be revoked leaves the user signed in, to try again", func(t *testing.T) {
		var down error
		w := newProvider(t, func(cfg *authwright.Config) {
			cfg.Index = failingIndex{cfg.Index, &down}
		})
		b := w.signedIn("alice")
		hint := b.signsInTo(asking())["id_token"].(string)
		down = errors.New("the database is away")
		require.Equal(t, http.StatusServiceUnavailable, b.ends("id_token_hint", hint).status)
		require.True(t, b.isSignedIn())
		down = nil
		b.signedOut(b.ends("id_token_hint", hint))
	})
	t.Run("LO-01 without an index, or without the host's part, there is less", func(t *testing.T) {
		w := newProvider(t, func(cfg *authwright.Config) { cfg.Index = nil })
		b := w.signedIn("alice")
		b.signedOut(b.ends("id_token_hint", b.signsInTo(asking())["id_token"].(string)))
		w = newProvider(t, func(cfg *authwright.Config) { cfg.OpenID.Logout = nil })
		require.Equal(t, http.StatusNotFound, w.browser().ends().status)
		rec := w.transmit(http.MethodGet, "/.well-known/openid-configuration", "", nil).json(t)
		require.NotContains(t, rec, "end_session_endpoint")
		require.NotContains(t, rec, "backchannel_logout_supported")
	})
}

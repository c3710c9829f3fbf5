package integration_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// TestAttacksOnConsent is section L of docs/threat-model.md.
func TestAttacksOnConsent(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "L01 a forged consent", run: forgedConsent},
		{name: "L03 a page in a frame", run: framedPages},
		{name: "L04 more scopes in the form", run: widenedConsent},
		{name: "L05 another request in the form", run: alteredConsent},
		{name: "L07 one answer many times", run: repeatedConsent},
		{name: "L09 somebody else's question", run: foreignQuestion},
		{name: "L10 a planted cookie", run: plantedCookie},
		{name: "L11 consent remembered for whom nobody can vouch", run: unassuredClients},
		{name: "L13 approved after it was denied", run: deniedThenApproved},
		{name: "L14 an answer that comes too late", run: lateConsent},
		{name: "L15 a login that is not complete", run: incompleteLogin},
		{name: "L17 another user than the one who is signed in", run: changedUser},
		{name: "L19 the cookie", run: cookieFlags},
		{name: "L21 two tabs", run: twoTabs},
		{name: "L23 100 users at once", run: manyUsers},
	})
}

func forgedConsent(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	action, f := alice.authorize(asking()).answerForm(t, "approve", "read")
	for _, header := range [][]string{
		{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.test"}, {"Origin", "null"}, {"Origin", v.issuer + ".evil.test"},
	} {
		a := alice.post(action, f, header...)
		a.errorPage(t, header)
		require.Equal(t, http.StatusForbidden, a.status, header)
	}
	for _, handle := range []string{"", "x", strings.Repeat("A", 64), f.Get("consent")[:63] + "!", f.Get("consent") + "A"} {
		alice.post(action, url.Values{"consent": {handle}, "decision": {"approve"}, "scope": {"read"}}).errorPage(t, handle)
	}
	require.False(t, v.happened(authwright.EventCodeIssued))
	require.NotEmpty(t, alice.post(action, f, "Origin", v.issuer).toClient(t, c1URI).Get("code"))
}

func framedPages(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	for name, a := range map[string]reaction{
		"consent": alice.authorize(asking()), "error": alice.authorize(asking("client_id", "")), "logout": alice.get(v.issuer + "/logout"),
	} {
		require.NotEmpty(t, a.body, name)
		require.Equal(t, "DENY", a.header.Get("X-Frame-Options"), name)
		require.Contains(t, a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'", name)
	}
}

func widenedConsent(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	for _, scopes := range [][]string{{"read", "admin"}, {"read", "write"}, {"read write admin"}, {"read", "offline_access"}} {
		page := alice.authorize(asking("scope", "read", "prompt", "consent"))
		a := alice.decide(page, "approve", scopes...).toClient(t, c1URI)
		if !a.Has("code") { // nothing of what was asked for has been granted
			require.Equal(t, "access_denied", a.Get("error"))
			continue
		}
		got := v.token(redeeming(a.Get("code")), "c1", secretOf1).granted(t)
		require.Equal(t, "read", got.Scope)
		require.Equal(t, "read", v.introspect(got.Access)["scope"])
	}
}

func alteredConsent(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	_, f := alice.authorize(asking("scope", "openid read", "nonce", "n-1")).answerForm(t, "approve", "openid", "read")
	evil := url.Values{
		"client_id": {"c2"}, "redirect_uri": {"https://evil.test/cb"}, "state": {"evil"}, "nonce": {"evil"}, "resource": {"https://rs2.example.com"},
		"code_challenge": {strings.Repeat("A", 43)}, "response_type": {"token"}, "response_mode": {"form_post"}, "sub": {"bob"},
	}
	for name, values := range evil {
		f[name] = values
	}
	q := alice.post("/consent?"+evil.Encode(), f).toClient(t, c1URI)
	require.Equal(t, "xyz", q.Get("state"))
	v.token(redeeming(q.Get("code")), "c2", secretOf2).refused(t, "invalid_grant")
	got := v.token(redeeming(q.Get("code")), "c1", secretOf1).granted(t)
	require.Equal(t, "n-1", payloadOf(t, got.ID)["nonce"])
	require.Equal(t, "alice", payloadOf(t, got.ID)["sub"])
	require.NotContains(t, payloadOf(t, got.Access)["aud"], "https://rs2.example.com")
}

func repeatedConsent(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	action, f := alice.authorize(asking()).answerForm(t, "approve", "read")
	codes := make(chan string, 16)
	var posts sync.WaitGroup
	for range cap(codes) {
		posts.Go(func() {
			resp, err := alice.Do(v.form(action, f))
			if err != nil {
				codes <- "error: " + err.Error()
				return
			}
			defer resp.Body.Close()
			u, _ := url.Parse(resp.Header.Get("Location"))
			codes <- u.Query().Get("code")
		})
	}
	posts.Wait()
	close(codes)
	var got []string
	for code := range codes {
		if code != "" {
			got = append(got, code)
		}
	}
	require.Len(t, got, 1)
	alice.post(action, f).errorPage(t) // the back button
	v.token(redeeming(got[0]), "c1", secretOf1).granted(t)
}

func foreignQuestion(t *testing.T, v *victim) {
	mallory, alice := v.signedIn("mallory"), v.signedIn("alice")
	// Mallory's question, answered in Alice's browser, and the other way round.
	for _, c := range []struct{ asked, answers person }{{mallory, alice}, {alice, mallory}} {
		c.answers.authorize(asking()) // so that there is a cookie of its own
		a := c.answers.decide(c.asked.authorize(asking()), "approve", "read")
		a.errorPage(t)
		require.Equal(t, http.StatusForbidden, a.status)
	}
	// In a browser that has none.
	a := v.signedIn("alice").decide(alice.authorize(asking()), "approve", "read")
	require.Equal(t, http.StatusForbidden, a.status)
	require.False(t, v.happened(authwright.EventCodeIssued))
}

func plantedCookie(t *testing.T, v *victim) {
	planted := &http.Cookie{Name: "__Host-authwright-browser", Value: "known-to-mallory", Path: "/", Secure: true}
	alice, mallory := v.signedIn("alice"), v.signedIn("mallory")
	alice.plant(planted)
	mallory.plant(planted)
	page := alice.authorize(asking())
	// With the cookie, and even with the handle, Mallory is only asked for herself.
	again := mallory.decide(page, "approve", "read")
	again.question(t)
	require.Contains(t, again.body, "mallory")
	nobody := v.stranger()
	nobody.plant(planted)
	a := nobody.decide(page, "approve", "read") // is sent to log in, as alice in this world
	a.question(t)
	require.False(t, v.happened(authwright.EventCodeIssued))
	require.NotEmpty(t, alice.decide(page, "approve", "read").toClient(t, c1URI).Get("code"))
}

func unassuredClients(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	for _, uri := range []string{"http://127.0.0.1:7777/cb", "com.example.app:/cb"} {
		for range 2 {
			page := alice.authorize(asking("client_id", "n1", "redirect_uri", uri))
			require.NotEmpty(t, alice.decide(page, "approve", "read", "write").toClient(t, uri).Get("code"))
		}
		q := alice.authorize(asking("client_id", "n1", "redirect_uri", uri, "prompt", "none")).toClient(t, uri)
		require.Equal(t, "consent_required", q.Get("error"))
	}
	// Whose https address says who it is, is asked for once.
	page := alice.authorize(asking("client_id", "p1", "redirect_uri", p1URI))
	alice.decide(page, "approve", "read", "write")
	require.NotEmpty(t, alice.authorize(asking("client_id", "p1", "redirect_uri", p1URI)).toClient(t, p1URI).Get("code"))
	// One user's consent is nobody else's, and one client's no other's.
	v.signedIn("bob").authorize(asking("client_id", "p1", "redirect_uri", p1URI)).question(t)
	alice.authorize(asking()).question(t)
}

func deniedThenApproved(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	page := alice.authorize(asking())
	alice.decide(page, "deny", "read").failed(t, v, "access_denied")
	alice.decide(page, "approve", "read").errorPage(t)
	both := alice.authorize(asking())
	action, f := both.answerForm(t, "deny", "read")
	f.Add("decision", "approve")
	alice.post(action, f).errorPage(t)
	require.False(t, v.happened(authwright.EventCodeIssued))
}

func lateConsent(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	page := alice.authorize(asking())
	v.advance(10*time.Minute - time.Second)
	inTime := alice.authorize(asking())
	v.advance(2 * time.Second)
	alice.decide(page, "approve", "read").errorPage(t)
	v.advance(24 * time.Hour)
	alice.decide(page, "approve", "read").errorPage(t)
	alice.decide(inTime, "approve", "read").errorPage(t)
	require.False(t, v.happened(authwright.EventCodeIssued))
}

func incompleteLogin(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	page := alice.authorize(asking())
	v.code(asking("scope", "read")) // remembered: a login would be all that is missing
	for name, pending := range map[string]func(*authwright.User) (*authwright.User, error){
		"second factor pending": func(*authwright.User) (*authwright.User, error) { return nil, nil },
		"no subject":            func(*authwright.User) (*authwright.User, error) { return &authwright.User{Name: "alice"}, nil },
		"an error":              func(u *authwright.User) (*authwright.User, error) { return u, errors.New("session store is down") },
		"locked":                func(u *authwright.User) (*authwright.User, error) { return u, authwright.ErrAccessDenied },
	} {
		v.user = pending
		once := &http.Client{Transport: alice.Transport, Jar: alice.Jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		action, f := page.answerForm(t, "approve", "read")
		for _, a := range []reaction{
			v.send(person{once, v}, v.form("/authorize", asking("scope", "read"))), v.send(person{once, v}, v.form(action, f)),
			person{once, v}.authorize(asking("scope", "read")), person{once, v}.authorize(asking("scope", "read", "prompt", "none")),
		} {
			require.NotContains(t, a.header.Get("Location"), "code=", name)
			require.NotContains(t, a.body, "session store", name)
		}
	}
}

func changedUser(t *testing.T, v *victim) {
	v.code(asking("scope", "openid read"), "alice")
	alice := v.signedIn("alice")
	before := v.now()
	v.advance(time.Hour)
	page := alice.authorize(asking("scope", "openid read", "prompt", "login", "login_hint", "bob")) // and bob signs in
	code := alice.decide(page, "approve", "openid", "read").toClient(t, c1URI).Get("code")
	id := payloadOf(t, v.token(redeeming(code), "c1", secretOf1).granted(t).ID)
	require.Equal(t, "bob", id["sub"])
	require.Greater(t, id["auth_time"].(float64), float64(before.Unix()+3000))

	// The hint of bob's token keeps alice's session from being used.
	hint := v.token(redeeming(v.code(asking("scope", "openid"), "bob")), "c1", secretOf1).granted(t).ID
	carol := v.signedIn("carol")
	carol.authorize(asking("scope", "openid", "prompt", "none", "id_token_hint", hint)).failed(t, v, "login_required")
	page = carol.authorize(asking("scope", "openid write", "id_token_hint", hint, "login_hint", "bob"))
	code = carol.decide(page, "approve", "openid", "write").toClient(t, c1URI).Get("code")
	require.Equal(t, "bob", payloadOf(t, v.token(redeeming(code), "c1", secretOf1).granted(t).ID)["sub"])
}

func cookieFlags(t *testing.T, v *victim) {
	cookies := v.signedIn("alice").authorize(asking()).header.Values("Set-Cookie")
	require.Len(t, cookies, 1)
	require.Regexp(t, `^__Host-authwright-browser=[A-Z2-7]{26}; Path=/; HttpOnly; Secure; SameSite=Lax$`, cookies[0])
}

func twoTabs(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	one := alice.authorize(asking("state", "one"))
	two := alice.authorize(asking("client_id", "c2", "redirect_uri", c2URI, "state", "two", "scope", "write"))
	action, _ := one.question(t)
	_, f := two.answerForm(t, "approve", "read", "write")
	q := alice.post(action, f).toClient(t, c2URI) // the handle decides
	require.Equal(t, "two", q.Get("state"))
	v.token(redeeming(q.Get("code"), "redirect_uri", c2URI), "c1", secretOf1).refused(t, "invalid_grant")
	require.Equal(t, "write", v.token(redeeming(q.Get("code"), "redirect_uri", c2URI), "c2", secretOf2).granted(t).Scope)
	q = alice.decide(one, "approve", "read").toClient(t, c1URI)
	require.Equal(t, "one", q.Get("state"))
	require.Equal(t, "read", v.token(redeeming(q.Get("code")), "c1", secretOf1).granted(t).Scope)
}

func manyUsers(t *testing.T, v *victim) {
	v.updateClient("c1", func(c *authwright.Client) { c.Consent = authwright.ConsentSkip })
	type result struct {
		name string
		code string
		err  error
	}
	results := make(chan result, 100)
	var users sync.WaitGroup
	for i := range cap(results) {
		p := v.signedIn(fmt.Sprint("user-", i))
		users.Go(func() {
			r := result{name: fmt.Sprint("user-", i)}
			resp, err := p.Get(v.issuer + "/authorize?" + asking("state", r.name).Encode())
			if r.err = err; err == nil {
				defer resp.Body.Close()
				u, _ := url.Parse(resp.Header.Get("Location"))
				r.code = u.Query().Get("code")
				if u.Query().Get("state") != r.name {
					r.err = errors.New("another's state: " + resp.Header.Get("Location"))
				}
			}
			results <- r
		})
	}
	users.Wait()
	close(results)
	for r := range results {
		require.NoError(t, r.err)
		got := v.token(redeeming(r.code), "c1", secretOf1).granted(t)
		require.Equal(t, r.name, payloadOf(t, got.Access)["sub"])
	}
}

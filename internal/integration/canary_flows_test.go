package integration_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/resource"
)

// everything is the whole tour.
func (tr *tour) everything() {
	tr.codes()
	tr.machines()
	registered := tr.registrations()
	tr.documents()
	tr.logouts()
	tr.troubles(registered)
	tr.misplaced()
	tr.errors()
}

func (tr *tour) codes() {
	t, alice := tr.t, tr.signedIn("alice")
	page := alice.authorize(asking("scope", "openid read write offline_access"))
	code := alice.decide(page, "approve", "openid", "read", "offline_access").toClient(t, c1URI).Get("code") // less than was asked
	first := tr.token(redeeming(code), "c1", secretOf1).granted(t)
	second := tr.refresh(first)
	tr.refresh(first) // again
	require.Equal(t, http.StatusOK, tr.userInfo(second.Access).status)
	tr.live(second)
	tr.introspect(second.Refresh)
	require.Equal(t, http.StatusOK, tr.post("/revoke", url.Values{"token": {second.Refresh}}, "c1", secretOf1).status)
	tr.dead(second)

	replayed := tr.code(asking("scope", "read"))
	tr.token(redeeming(replayed), "c1", secretOf1).granted(t)
	tr.token(redeeming(replayed), "c1", secretOf1).refused(t, "invalid_grant")
	spent := tr.tokens("scope", "openid read")
	tr.refresh(spent)
	tr.advance(time.Minute)
	tr.token(refreshing(spent.Refresh), "c1", secretOf1).refused(t, "invalid_grant")
	require.True(t, tr.happened(authwright.EventCodeReplayed))
	require.True(t, tr.happened(authwright.EventTokenReplayed))

	page = alice.authorize(asking("prompt", "consent"))
	alice.decide(page, "deny").failed(t, tr.victim, "access_denied")
	alice.decide(page, "approve", "read").errorPage(t) // too late
	posted := alice.authorize(asking("scope", "read", "response_mode", "form_post"))
	require.Contains(t, posted.body, `name="code"`)
	tr.stranger().authorize(asking("prompt", "none")).failed(t, tr.victim, "login_required")
	alice.authorize(asking("prompt", "consent")) // stays open
}

// machines are clients that act for themselves, with secrets and with keys.
func (tr *tour) machines() {
	itself := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}
	tr.token(itself, "m1", secretOf2).granted(tr.t)
	tr.token(changed(url.Values{"grant_type": {"client_credentials"}}, "client_id", "m1", "client_secret", secretOf2)).refused(tr.t, "invalid_scope") // by the other method
	signed := changed(url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, tr.assertion("k1")...)
	tr.token(signed).granted(tr.t)
	tr.token(signed).refused(tr.t, "invalid_client") // a replay
	tr.token(changed(url.Values{"grant_type": {"client_credentials"}}, tr.assertion("nobody")...)).refused(tr.t, "invalid_client")
}

// A registration is one of RFC 7591.
type registration struct {
	ID     string `json:"client_id"`
	Secret string `json:"client_secret"`
	Token  string `json:"registration_access_token"`
}

// register sends metadata with a bearer token, to the client's own URI if there is one.
func (tr *tour) register(method, id, bearer, metadata string) reaction {
	tr.t.Helper()
	target := tr.issuer + "/register"
	if id != "" {
		target += "?client_id=" + url.QueryEscape(id)
	}
	r, err := http.NewRequestWithContext(tr.t.Context(), method, target, strings.NewReader(metadata))
	require.NoError(tr.t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+bearer)
	return tr.do(r)
}

func (tr *tour) registrations() registration {
	t := tr.t
	const metadata = `"redirect_uris":["https://app.example.com/cb"],"scope":"read","token_endpoint_auth_method":"client_secret_basic"`
	made := func() (r registration) {
		a := tr.register(http.MethodPost, "", tr.initial, "{"+metadata+"}").json(t)
		for to, name := range map[*string]string{&r.ID: "client_id", &r.Secret: "client_secret", &r.Token: "registration_access_token"} {
			*to = a[name].(string)
		}
		return r
	}
	kept, deleted := made(), made()
	require.Equal(t, http.StatusOK, tr.register(http.MethodGet, kept.ID, kept.Token, "").status)
	require.Equal(t, http.StatusOK, tr.register(http.MethodPut, kept.ID, kept.Token, fmt.Sprintf(`{"client_id":%q,"client_secret":%q,%s}`, kept.ID, kept.Secret, metadata)).status)
	require.Equal(t, http.StatusNoContent, tr.register(http.MethodDelete, deleted.ID, deleted.Token, "").status)
	require.Equal(t, http.StatusUnauthorized, tr.register(http.MethodGet, kept.ID, deleted.Token, "").status)
	require.Equal(t, http.StatusUnauthorized, tr.register(http.MethodPost, "", kept.Token, "{"+metadata+"}").status)
	for _, secret := range []string{kept.Token, kept.Secret, tr.initial} {
		for _, bad := range []string{`{"client_name":%q}`, `{"redirect_uris":[%q]}`, `{"client_id":"x","client_secret":%q}`, `{"jwks":%q}`, `{%q:1}`, `%s`, `{"token_endpoint_auth_method":%q,` + metadata + `}`} {
			for method, token := range map[string]string{http.MethodPost: tr.initial, http.MethodPut: kept.Token} {
				require.GreaterOrEqual(t, tr.register(method, kept.ID, token, fmt.Sprintf(bad, secret)).status, 400, bad)
			}
		}
	}
	tr.token(probing("redirect_uri", c1URI), kept.ID, kept.Secret).refused(t, "invalid_grant")
	return kept
}

// documents are clients that introduce themselves by a URL.
func (tr *tour) documents() {
	t, alice := tr.t, tr.signedIn("alice")
	id, uri := tr.site.URL+"/client", tr.site.URL+"/cb"
	page := alice.authorize(asking("client_id", id, "redirect_uri", uri, "scope", "read"))
	code := alice.decide(page, "approve", "read").toClient(t, uri).Get("code")
	tr.token(redeeming(code, append(tr.assertion(id), "redirect_uri", uri)...)).granted(t)
	tr.token(redeeming(code, append(tr.assertion(id), "redirect_uri", uri)...)).refused(t, "invalid_grant")
	for _, path := range []string{"/secretive", "/broken"} {
		alice.authorize(asking("client_id", tr.site.URL+path)).errorPage(t)
	}
}

func (tr *tour) logouts() {
	t, alice := tr.t, tr.signedIn("alice")
	got := tr.tokens("scope", "openid read")
	hint := url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {c1URI}}
	require.Equal(t, http.StatusOK, alice.get(tr.issuer+"/logout").status) // asks
	require.Equal(t, http.StatusBadRequest, alice.get(tr.issuer+"/logout?id_token_hint="+got.Access).status)
	require.Equal(t, http.StatusSeeOther, alice.get(tr.issuer+"/logout?"+hint.Encode()).status)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, tr.srv.Close(ctx))
	tr.dead(got)
}

// hooks are where the host's code and its storage may fail.
var hooks = []string{
	"CurrentUser", "Sign", "Allow", "Admit", "Claims", "UserInfo", "Logout", "Limit", "Source", "OnEvent",
	"Client", "Grant", "SaveGrant", "UseOnce", "AddClient", "UpdateClient", "GrantsBySubject",
}

// try sends r to a server that may hang up.
func (tr *tour) try(r *http.Request, auth ...string) {
	if len(auth) == 2 {
		r.SetBasicAuth(url.QueryEscape(auth[0]), url.QueryEscape(auth[1]))
	}
	resp, err := tr.ts.Client().Transport.RoundTrip(r)
	if err == nil {
		resp.Body.Close()
	}
}

// troubles has every hook fail, panic and hang while secrets are on their way.
func (tr *tour) troubles(registered registration) {
	t, alice := tr.t, tr.signedIn("alice")
	cookies := alice.Jar.Cookies(mustParse(tr.issuer))
	for _, hook := range hooks {
		for _, panics := range []bool{false, true} {
			code, live := tr.code(asking("scope", "openid read")), tr.tokens("scope", "openid read")
			action, form := tr.signedIn("alice").authorize(asking("prompt", "consent")).answerForm(t, "approve", "read")
			tr.in(hook, panics, func() {
				tr.try(tr.form("/token", redeeming(code)), "c1", secretOf1)
				tr.try(tr.form("/token", refreshing(live.Refresh)), "c1", secretOf1)
				tr.try(tr.form("/token", changed(url.Values{"grant_type": {"client_credentials"}}, tr.assertion("k1")...)))
				tr.try(tr.form("/introspect", url.Values{"token": {live.Access}}), "c1", secretOf1)
				tr.try(tr.form("/revoke", url.Values{"token": {live.Refresh}}), "c1", secretOf1)
				for path, bearer := range map[string]string{"/userinfo": live.Access, "/register?client_id=" + registered.ID: registered.Token, "/register": tr.initial} {
					r := tr.form(path, nil)
					r.Header.Set("Authorization", "Bearer "+bearer)
					tr.try(r)
				}
				for _, r := range []*http.Request{tr.form("/authorize", asking("prompt", "consent")), tr.form(action, form), tr.form("/logout", url.Values{"id_token_hint": {live.ID}, "confirm": {"yes"}})} {
					for _, c := range cookies {
						r.AddCookie(c)
					}
					r.Header.Set("Sec-Fetch-Site", "same-origin")
					tr.try(r)
				}
			})
		}
	}
	tr.inFlight()
}

// inFlight takes dumps of all stacks while hooks hold requests, and while the server works.
func (tr *tour) inFlight() {
	for _, hook := range []string{"Claims", "Sign", "Grant", "SaveGrant", "Limit"} {
		code, live := tr.code(asking("scope", "read")), tr.tokens("scope", "read")
		tr.trouble.blocked, tr.trouble.release = make(chan struct{}, 64), make(chan struct{})
		tr.in(hook, false, func() {
			var wg sync.WaitGroup
			wg.Go(func() { tr.try(tr.form("/token", redeeming(code)), "c1", secretOf1) })
			wg.Go(func() { tr.try(tr.form("/token", refreshing(live.Refresh)), "c1", secretOf1) })
			for range 2 {
				<-tr.trouble.blocked
			}
			tr.stack(true)
			close(tr.trouble.release)
			wg.Wait()
		})
		tr.trouble.blocked, tr.trouble.release = nil, nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			tr.refresh(tr.tokens("scope", "read"))
		}
	}()
	for running := true; running; runtime.Gosched() {
		tr.stack(true)
		select {
		case <-done:
			running = false
		default:
		}
	}
}

func mustParse(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

// errors asks the exported methods for errors.
func (tr *tour) errors() {
	t := tr.t
	got := tr.tokens("scope", "read")
	verifier := &resource.Verifier{Issuer: tr.issuer, Audience: "https://other.example.com", Keys: tr.srv.JWKS, Now: tr.now}
	keep := func(err error) {
		require.Error(t, err)
		tr.mu.Lock()
		defer tr.mu.Unlock()
		fmt.Fprintf(&tr.errs, "%v %+v %#v\n", err, err, err)
	}
	for _, secret := range tr.kinds() {
		_, err := verifier.Verify(t.Context(), secret)
		keep(err)
		_, err = verifier.Verify(t.Context(), got.Access+secret)
		keep(err)
		// Somebody took the secret itself for what to store of it.
		for _, c := range []*authwright.Client{
			{ID: "x", Secrets: []authwright.ClientSecret{{Hash: secret}}, RedirectURIs: []string{c1URI}},
			{ID: "x", Secrets: []authwright.ClientSecret{{Hash: "sha256:" + secret + "!"}}, RedirectURIs: []string{c1URI}},
			{ID: "x", Secrets: []authwright.ClientSecret{{Hash: "pbkdf2-sha256:" + secret}}, RedirectURIs: []string{c1URI}},
		} {
			keep(c.Validate())
			keep(tr.kept.victimStore.AddClient(t.Context(), c))
			keep(tr.kept.victimStore.UpdateClient(t.Context(), c))
			cfg := tr.config()
			cfg.Registration = &authwright.Registration{Clients: tr.kept, InitialAccessTokens: c.Secrets}
			_, err := authwright.NewServer(cfg)
			keep(err)
		}
	}
	tr.in("Grant", false, func() {
		_, err := tr.srv.GrantActive(t.Context(), "x")
		keep(err)
	})
	tr.in("GrantsBySubject", false, func() { keep(tr.srv.RevokeSubject(t.Context(), "alice")) })
	tr.in("Sign", false, func() { keep(tr.srv.SetSigningKeys(authwright.SigningKey{})) })
}

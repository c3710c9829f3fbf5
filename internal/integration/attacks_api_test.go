package integration_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// TestAttacksOnRevocation is section V of docs/threat-model.md.
func TestAttacksOnRevocation(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "V01 a revocation that could not be stored", run: failedRevocation},
		{name: "V02 another client's token, and no token", run: foreignRevocation},
		{name: "V03 a public client's revocation", run: publicRevocation},
		{name: "V05 who may introspect", run: curiousIntrospection},
		{name: "V07 a token presented in another way", run: presentedTokens},
	})
}

// TestAttacksOnHTTP is section W of docs/threat-model.md.
func TestAttacksOnHTTP(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "W01 a script of another origin", run: foreignScripts},
		{name: "W02 a body that is no form", run: otherBodies},
		{name: "W03 parameters in the URL", run: parametersInURL},
		{name: "W04 another method", run: otherMethodsOfAPI},
		{name: "W07 what an answer says", run: answersOfAPI},
		{name: "W08 an answer in another form", run: negotiatedErrors},
	})
}

// A brokenStore is a storage that fails while it is told to.
type brokenStore struct {
	victimStore
	reads, writes, hangs atomic.Bool
}

var errBroken = errors.New("connection to 10.1.2.3 refused, password=hunter2")

// broken puts a brokenStore, which works for now, in the place of the storage of v.
func (v *victim) broken(changes ...func(*authwright.Config)) (*victim, *brokenStore) {
	v.t.Helper()
	s := &brokenStore{victimStore: v.store}
	w := &victim{t: v.t, store: s}
	w.start(func(cfg *authwright.Config) {
		for _, change := range changes {
			change(cfg)
		}
	})
	return w, s
}

func (s *brokenStore) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	if s.hangs.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	if s.writes.Load() {
		return errBroken
	}
	return s.victimStore.SaveGrant(ctx, g)
}

func (s *brokenStore) Grant(ctx context.Context, id string) (*authwright.Grant, error) {
	if s.reads.Load() {
		return nil, errBroken
	}
	return s.victimStore.Grant(ctx, id)
}

// unavailable checks that the client is asked to try again, and told nothing else.
func (a reaction) unavailable(t *testing.T) {
	t.Helper()
	require.Equal(t, http.StatusServiceUnavailable, a.status, a.body)
	require.Equal(t, "temporarily_unavailable", a.json(t)["error"])
	require.NotContains(t, a.body, "10.1.2.3")
	require.NotContains(t, a.body, "hunter2")
}

func failedRevocation(t *testing.T, v *victim) {
	w, s := v.broken()
	got := w.tokens()
	for _, token := range []string{got.Access, got.Refresh} {
		for _, broken := range []*atomic.Bool{&s.reads, &s.writes} {
			broken.Store(true)
			a := w.post("/revoke", url.Values{"token": {token}}, "c1", secretOf1)
			a.unavailable(t)
			require.NotEmpty(t, a.header.Get("Retry-After"))
			broken.Store(false)
			w.live(got) // as the client has been told
		}
	}
	require.Equal(t, http.StatusOK, w.post("/revoke", url.Values{"token": {got.Refresh}}, "c1", secretOf1).status)
	w.dead(got)
}

func foreignRevocation(t *testing.T, v *victim) {
	got := v.tokens()
	for _, token := range []string{got.Access, got.Refresh} {
		v.post("/revoke", url.Values{"token": {token}}, "c2", secretOf2).refused(t, "unauthorized_client")
		v.post("/revoke", url.Values{"token": {token}, "client_id": {"p1"}}).refused(t, "unauthorized_client")
		v.post("/revoke", url.Values{"token": {token}}).refused(t, "invalid_client")
		v.post("/revoke", url.Values{"token": {token}}, "c1", "wrong").refused(t, "invalid_client")
		v.live(got)
	}
	for _, token := range []string{"x", strings.Repeat("A", 64), "a.b.c", got.Access + "x"} {
		require.Equal(t, http.StatusOK, v.post("/revoke", url.Values{"token": {token}}, "c1", secretOf1).status)
	}
	v.live(got)
	for token, hint := range map[string]string{got.Access: "refresh_token", v.tokens().Refresh: "access_token", v.tokens().Access: "nonsense"} {
		require.Equal(t, http.StatusOK, v.post("/revoke", url.Values{"token": {token}, "token_type_hint": {hint}}, "c1", secretOf1).status)
		require.Equal(t, false, v.introspect(token)["active"])
	}
	v.dead(got)
}

func publicRevocation(t *testing.T, v *victim) {
	for range 2 {
		code := v.code(asking("client_id", "p1", "redirect_uri", p1URI))
		got := v.token(redeeming(code, "client_id", "p1", "redirect_uri", p1URI)).granted(t)
		require.Equal(t, http.StatusOK, v.post("/revoke", url.Values{"token": {got.Refresh}, "client_id": {"p1"}}).status)
		require.Equal(t, false, v.introspect(got.Access)["active"])
		v.token(refreshing(got.Refresh, "client_id", "p1")).refused(t, "invalid_grant")
	}
}

func curiousIntrospection(t *testing.T, v *victim) {
	got := v.tokens()
	for _, f := range []url.Values{{"token": {got.Access}}, {"token": {got.Access}, "client_id": {"c1"}}, {"token": {got.Access}, "client_id": {"p1"}}, {"token": {got.Access}, "client_id": {"nobody"}}} {
		v.post("/introspect", f).refused(t, "invalid_client")
	}
	v.post("/introspect", url.Values{"token": {got.Access}}, "c1", "wrong").refused(t, "invalid_client")
	for _, token := range []string{got.Access, got.Refresh} { // c2 serves no resource
		a := v.post("/introspect", url.Values{"token": {token}}, "c2", secretOf2)
		require.Equal(t, http.StatusOK, a.status)
		require.JSONEq(t, `{"active":false}`, a.body)
	}
	v.updateClient("c1", func(c *authwright.Client) { c.Disabled = true })
	v.post("/introspect", url.Values{"token": {got.Access}}, "c1", secretOf1).refused(t, "invalid_client")
}

func presentedTokens(t *testing.T, v *victim) {
	token := v.tokens("scope", "openid").Access
	ask := func(method, query string, body url.Values, header ...string) int {
		r := v.form("/userinfo"+query, body)
		r.Method = method
		r.Header["Authorization"] = header
		return v.do(r).status
	}
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER ", "bEaReR "} {
		require.Equal(t, http.StatusOK, ask("GET", "", nil, scheme+token), scheme)
	}
	inBody := url.Values{"access_token": {token}}
	require.Equal(t, http.StatusOK, ask("POST", "", inBody))
	require.Equal(t, http.StatusBadRequest, ask("GET", "?access_token="+token, nil))
	require.Equal(t, http.StatusBadRequest, ask("GET", "?access_token="+token, nil, "Bearer "+token))
	require.Equal(t, http.StatusBadRequest, ask("POST", "", inBody, "Bearer "+token))
	require.Equal(t, http.StatusBadRequest, ask("POST", "", url.Values{"access_token": {token, token}}))
	require.Equal(t, http.StatusBadRequest, ask("GET", "", nil, "Bearer "+token, "Bearer "+token))
	require.Equal(t, http.StatusBadRequest, ask("GET", "", nil, "Bearer "))
	require.Equal(t, http.StatusUnauthorized, ask("GET", "", nil, "Basic "+token))
	require.Equal(t, http.StatusUnauthorized, ask("GET", "", nil))
}

func foreignScripts(t *testing.T, v *victim) {
	token := v.tokens("scope", "openid").Access
	send := func(path, from string) http.Header {
		f := changed(probing("client_id", "p1"), "token", "x")
		r := v.form(path, f)
		if path == "/userinfo" {
			r = v.form(path, url.Values{"access_token": {token}})
		}
		r.Header.Set("Origin", from)
		return v.do(r).header
	}
	evil := []string{"https://evil.test", "null", "https://spa.example.com.evil.test", "http://spa.example.com", "https://spa.example.com:444", "https://sub.spa.example.com", "https://SPA.example.com", "https://other.example.com", v.issuer}
	for _, path := range []string{"/token", "/revoke", "/userinfo"} {
		own := p1URI[:len(p1URI)-len("/cb")]
		if path == "/userinfo" {
			own = c1URI[:len(c1URI)-len("/cb")]
		}
		require.Equal(t, own, send(path, own).Get("Access-Control-Allow-Origin"), path)
		for _, from := range evil {
			h := send(path, from)
			require.Empty(t, h.Get("Access-Control-Allow-Origin"), "%s %s", path, from)
			require.Empty(t, h.Get("Access-Control-Allow-Credentials"))
		}
	}
	a := v.signedIn("alice").get(v.issuer+"/authorize?"+asking().Encode(), "Origin", "https://spa.example.com")
	require.Empty(t, a.header.Get("Access-Control-Allow-Origin"))
	require.Empty(t, send("/consent", "https://spa.example.com").Get("Access-Control-Allow-Origin"))
}

func otherBodies(t *testing.T, v *victim) {
	code := v.code(asking())
	f := redeeming(code, "client_id", "c1", "client_secret", secretOf1)
	for _, contentType := range [][]string{
		nil, {""}, {"application/json"}, {"text/plain"}, {"multipart/form-data; boundary=x"}, {"application/x-www-form-urlencoded-not"}, {"application/x-www-form-urlencoded", "application/json"}, {"*/*"},
	} {
		for _, path := range append(everyEndpoint, "/token") {
			r := v.form(path, f)
			r.Header["Content-Type"] = contentType
			a := v.do(r)
			a.refused(t, "invalid_request")
		}
	}
	r := v.form("/token", f)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
	v.do(r).granted(t)
}

func parametersInURL(t *testing.T, v *victim) {
	code := v.code(asking())
	for name := range redeeming(code) {
		f := redeeming(code)
		q := url.Values{name: f[name]}.Encode()
		v.post("/token?"+q, f, "c1", secretOf1).refused(t, "invalid_request")
		f.Del(name)
		v.post("/token?"+q, f, "c1", secretOf1).refused(t, "invalid_request")
	}
	v.post("/token?refresh_token=x", refreshing("x"), "c1", secretOf1).refused(t, "invalid_request")
	v.post("/revoke?token=x", url.Values{"token": {"x"}}, "c1", secretOf1).refused(t, "invalid_request")
	v.post("/introspect?token=x", url.Values{"token": {"x"}}, "c1", secretOf1).refused(t, "invalid_request")
	v.token(redeeming(code), "c1", secretOf1).granted(t)
}

func otherMethodsOfAPI(t *testing.T, v *victim) {
	code := v.code(asking())
	f := redeeming(code, "client_id", "c1", "client_secret", secretOf1)
	for _, path := range append(everyEndpoint, "/token") {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodTrace} {
			for _, target := range []string{path, path + "?" + f.Encode()} {
				r := v.form(target, f)
				r.Method = method
				if method == http.MethodTrace {
					r.Body, r.ContentLength = nil, 0
				}
				a := v.do(r)
				require.Equal(t, http.StatusMethodNotAllowed, a.status, "%s %s", method, path)
				require.Contains(t, a.header.Get("Allow"), "POST")
			}
		}
	}
	v.token(redeeming(code), "c1", secretOf1).granted(t)
}

func answersOfAPI(t *testing.T, v *victim) {
	w, s := v.broken()
	got := w.tokens()
	answers := []reaction{
		w.token(refreshing(got.Refresh), "c1", secretOf1), w.token(refreshing("x"), "c1", secretOf1), w.token(url.Values{}, "c1", "x"), w.token(url.Values{"grant_type": {"x"}}, "c1", secretOf1),
		w.post("/introspect", url.Values{"token": {got.Access}}, "c1", secretOf1), w.post("/introspect", url.Values{}, "c1", secretOf1), w.post("/revoke", url.Values{"token": {"x"}}, "c1", secretOf1), w.post("/revoke", url.Values{"token": {"x"}}),
	}
	s.reads.Store(true)
	answers = append(answers, w.token(refreshing(got.Refresh), "c1", secretOf1), w.post("/introspect", url.Values{"token": {got.Access}}, "c1", secretOf1), w.userInfo(got.Access))
	for _, a := range answers {
		a.json(t)
		require.Equal(t, "application/json", a.header.Get("Content-Type"), a.body)
		require.Equal(t, "no-store", a.header.Get("Cache-Control"), a.body)
		require.Equal(t, "nosniff", a.header.Get("X-Content-Type-Options"), a.body)
		require.NotRegexp(t, `(?i)hunter2|10\.1\.2\.3|goroutine|\.go:|sql|select|redis|panic|authwright:`, a.body)
	}
}

func negotiatedErrors(t *testing.T, v *victim) {
	for _, accept := range []string{"text/html", "text/html,application/xhtml+xml,*/*;q=0.8", "image/png", ""} {
		for _, path := range append(everyEndpoint, "/token") {
			r := v.form(path, url.Values{"grant_type": {"<script>"}, "token": {"<script>"}})
			r.Header.Set("Accept", accept)
			a := v.do(r)
			a.refused(t, "invalid_client")
			require.Equal(t, "application/json", a.header.Get("Content-Type"))
		}
	}
	for _, accept := range []string{"application/json", "*/*"} {
		a := v.signedIn("alice").get(v.issuer+"/authorize?"+asking("client_id", "<script>alert(1)</script>").Encode(), "Accept", accept)
		a.errorPage(t)
		require.NotContains(t, a.body, "alert(1)")
	}
}

package authwright_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// expect says what is wrong with a.
func expect(a answer, status int, part, location string) error {
	if a.status != status || !strings.Contains(a.body, part) || !strings.HasPrefix(a.header.Get("Location"), location) {
		return fmt.Errorf("%d %s %.300s", a.status, a.header.Get("Location"), a.body)
	}
	return nil
}

func (s *sweep) req(method, target string, h http.Header, more ...string) *http.Request {
	r := httptest.NewRequestWithContext(s.t.Context(), method, target, nil)
	r.Header = with(http.Header{}, more...)
	for name, values := range h {
		r.Header[name] = values
	}
	return r
}

// request sends what make makes, with nothing wrong.
func (s *sweep) request(make func() *http.Request) answer {
	a, broke := s.ask(make())
	require.False(s.t, broke)
	return a
}

func (s *sweep) done(a answer, judge func(answer) error) { require.NoError(s.t, judge(a)) }

func (s *sweep) authorizing(changes ...string) func() *http.Request {
	return func() *http.Request {
		return s.req(http.MethodGet, "/authorize?"+request(changes...).Encode(), asAlice())
	}
}

// form posts f, as the client that authenticates, if there is one.
func (s *sweep) form(path string, f url.Values, client ...string) func() *http.Request {
	return func() *http.Request {
		r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, path, strings.NewReader(f.Encode()))
		r.Header.Set("Content-Type", formType)
		if client != nil {
			r.SetBasicAuth(client[0], webSecret)
		}
		return r
	}
}

func (s *sweep) json(method, target, body, token string) func() *http.Request {
	return func() *http.Request {
		r := httptest.NewRequestWithContext(s.t.Context(), method, target, strings.NewReader(body))
		r.Header = with(http.Header{"Content-Type": {"application/json"}}, "Authorization", token)
		return r
	}
}

// method makes a request of a call that a host makes itself.
func (s *sweep) method(call func(r *http.Request) error) func() *http.Request {
	s.direct = call
	return func() *http.Request { return s.req(http.MethodPost, direct, nil) }
}

// decision returns a request that answers a consent page of alice.
func (s *sweep) decision(decision string, changes ...string) func() *http.Request {
	page := s.request(s.authorizing(append([]string{"prompt", "consent"}, changes...)...))
	cookie, _, _ := strings.Cut(page.header.Get("Set-Cookie"), ";")
	f := url.Values{"consent": {hiddenValue(page.body, "consent")}, "decision": {decision}, "scope": strings.Fields(request(changes...).Get("scope"))}
	return func() *http.Request {
		r := s.form("/consent", f)()
		r.Header["Cookie"] = []string{cookie + "; session=alice"}
		return r
	}
}

func (s *sweep) deciding(decision string, done func(answer) error) attempt {
	return attempt{
		request: s.decision(decision), done: done,
		again: func(a answer) error { return expect(a, http.StatusBadRequest, "answered before", "") },
		after: func() { s.done(s.request(s.authorizing("prompt", "consent")), s.question) },
	}
}

// code returns a code of web.
func (s *sweep) code(changes ...string) string {
	_, query, _ := strings.Cut(s.request(s.decision("approve", changes...)).header.Get("Location"), "?")
	require.NotEmpty(s.t, once(query, "code"))
	return once(query, "code")
}

func (s *sweep) redeeming(code string) attempt {
	return attempt{
		whole: true, request: s.form("/token", codeForm(code), "web"), done: s.liveTokens, again: s.dead,
		after: func() { s.redeemed() }, // whoever starts again gets through
	}
}

func (s *sweep) redeemed(changes ...string) map[string]any {
	a := s.request(s.redeeming(s.code(changes...)).request)
	require.Equal(s.t, http.StatusOK, a.status, a.body)
	return a.json(s.t)
}

// refreshing is a refresh, and whatever became of it, the chain goes on.
func (s *sweep) refreshing(token any) attempt {
	do := attempt{whole: true, request: s.form("/token", refreshForm(token.(string)), "web"), done: s.liveTokens}
	do.after = func() {
		next := s.request(do.request).json(s.t)["refresh_token"].(string)
		s.done(s.request(s.form("/token", refreshForm(next), "web")), s.liveTokens)
	}
	return do
}

func (s *sweep) introspecting(kind string) attempt {
	token := s.redeemed()[kind].(string)
	return attempt{request: s.form("/introspect", ofToken(token), "web"), done: func(a answer) error { return expect(a, http.StatusOK, `"active":true`, "") }}
}

// managing is a request about the registration of a client that a user has granted something.
func (s *sweep) managing(method string, done, again func(answer) error) attempt {
	a := s.request(s.json(http.MethodPost, "/register", `{"redirect_uris":["https://web.example/cb"],"token_endpoint_auth_method":"none"}`, ""))
	c := a.json(s.t)
	id := c["client_id"].(string)
	s.code("client_id", id)
	body := ""
	if method == http.MethodPut {
		body = fmt.Sprintf(`{"client_id":%q,"redirect_uris":["https://web.example/cb"],"client_name":"New"}`, id)
	}
	return attempt{request: s.json(method, "/register?client_id="+id, body, "Bearer "+c["registration_access_token"].(string)), done: done, again: again}
}

// The rest say whether an answer is true.

func (s *sweep) question(a answer) error {
	return expect(a, http.StatusOK, `name="consent"`, "")
}

func (s *sweep) nothing(a answer) error { return expect(a, http.StatusNoContent, "", "") }

// liveCode: the answer has a code, and it is stored.
func (s *sweep) liveCode(a answer) error {
	_, query, _ := strings.Cut(a.header.Get("Location"), "?")
	b, err := base64.RawURLEncoding.DecodeString(once(query, "code"))
	if err != nil || len(b) != 48 {
		return fmt.Errorf("no code in %s", a.header.Get("Location"))
	}
	g, err := s.store.Grant(s.t.Context(), base64.RawURLEncoding.EncodeToString(b[:16]))
	require.NoError(s.t, err, "a code whose grant is not stored")
	require.Equal(s.t, authwright.StageCode, g.Stage)
	return nil
}

// liveTokens: the answer has tokens, and the grant that they are of is stored and knows them.
func (s *sweep) liveTokens(a answer) error {
	if a.status != http.StatusOK {
		return expect(a, http.StatusOK, "", "")
	}
	tokens := a.json(s.t)
	g, err := s.store.Grant(s.t.Context(), grantID(s.t, tokens["access_token"]))
	require.NoError(s.t, err, "a token whose grant is not stored")
	require.Equal(s.t, authwright.StageActive, g.Stage)
	if refresh, ok := tokens["refresh_token"].(string); ok {
		b, err := base64.RawURLEncoding.DecodeString(refresh)
		require.NoError(s.t, err)
		require.Equal(s.t, sha(string(b[32:])), g.Turn, "a refresh token that is not the live one")
	}
	return nil
}

// dead: the replay is refused, and the grant revoked.
func (s *sweep) dead(a answer) error {
	return errors.Join(expect(a, http.StatusBadRequest, `"invalid_grant"`, ""), s.everyGrant(authwright.StageRevoked))
}

func (s *sweep) revoked(a answer) error {
	if a.status != http.StatusOK && a.status != http.StatusNoContent {
		return expect(a, http.StatusOK, "", "")
	}
	return s.everyGrant(authwright.StageRevoked)
}

func (s *sweep) registered(a answer) error {
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		return expect(a, http.StatusOK, "", "")
	}
	_, err := s.store.Client(s.t.Context(), a.json(s.t)["client_id"].(string))
	require.NoError(s.t, err, "a client that is not stored")
	return nil
}

// everyGrant says which grant has not come to stage; remembered consents are not asked for it.
func (s *sweep) everyGrant(stage authwright.Stage) error {
	for _, g := range s.kept(s.t) {
		if g.Stage != stage && g.Stage != authwright.StageRemembered {
			return fmt.Errorf("the grant is %s", g.Stage)
		}
	}
	return nil
}

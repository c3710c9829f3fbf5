package resource_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/resource"
)

// newIntrospecting returns an issuer that says of every token what say returns, and a verifier
// that asks it.
func newIntrospecting(t *testing.T, say http.HandlerFunc) (*remote, *resource.Verifier, *clock, *logBuffer) {
	t.Helper()
	s := newRemote(t, "")
	s.answer(s.metadata, answer(fmt.Sprintf(`{"issuer":%q,"introspection_endpoint":%q}`, s.URL, s.URL+"/introspect")))
	s.answer("/introspect", say)
	v, c, log := s.verifier("")
	v.Introspect = &resource.Introspection{ClientID: "api:1", ClientSecret: "s%cret"}
	return s, v, c, log
}

// description is what an issuer says of a good token, with changes.
func description(changes object) string {
	data, _ := json.Marshal(with(object{
		"active": true, "token_type": "Bearer", "aud": audience, "sub": "alice", "client_id": "app",
		"exp": start.Add(10 * time.Minute).Unix(), "scope": "read write",
	}, changes))
	return string(data)
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	var got []*http.Request
	_, v, _, _ := newIntrospecting(t, func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		got = append(got, r)
		fmt.Fprint(w, description(object{"grant_id": "g", "jti": "t1", "iat": start.Unix(), "email": "alice@example.com"}))
	})
	var token *resource.Token
	h := v.Require("read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token = resource.FromContext(r.Context())
		fmt.Fprint(w, handlerRan)
	}))
	for range 2 {
		require.Equal(t, 200, get(t, h, "an+opaque/token==").Code)
	}

	require.Len(t, got, 2, "each request asks")
	require.Equal(t, http.MethodPost, got[0].Method)
	require.Equal(t, "application/x-www-form-urlencoded", got[0].Header.Get("Content-Type"))
	require.Equal(t, "an+opaque/token==", got[0].PostForm.Get("token"))
	require.Equal(t, "access_token", got[0].PostForm.Get("token_type_hint"))
	id, secret, _ := got[0].BasicAuth()
	require.Equal(t, []string{"api%3A1", "s%25cret"}, []string{id, secret}, "RFC 6749, section 2.3.1")

	require.Equal(t, "alice", token.Subject)
	require.Equal(t, "app", token.ClientID)
	require.Equal(t, "g", token.GrantID)
	require.Equal(t, "t1", token.ID)
	require.True(t, token.IssuedAt.Equal(start))
	require.Equal(t, []string{"read", "write"}, token.Scopes)
	var user struct{ Email string }
	require.NoError(t, token.Claims(&user))
	require.Equal(t, "alice@example.com", user.Email)
}

// The issuer says that a token is good. Whether it is good here is for this end to see.
func TestIntrospectionRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		answer string
		status int
		reason string
	}{
		{"the least a good answer says", description(object{"scope": nil, "token_type": nil}), 200, ""},
		{"several audiences", description(object{"aud": []string{"x", audience}}), 200, ""},
		{"expired within the leeway", description(object{"exp": start.Unix() - 9}), 200, ""},

		{"J05 a token that is not active", `{"active":false}`, 401, "the access token is not active"},
		{"J05 not active, whatever else is said", description(object{"active": false}), 401, "the access token is not active"},
		{"J05 a refresh token, which has no audience", description(object{"aud": nil, "token_type": nil}), 401, "the access token lacks a claim or has a malformed one"},
		{"J05 a token of another type", description(object{"token_type": "DPoP"}), 401, "the token is not an access token"},
		{"PR-05 a token for another resource", description(object{"aud": "https://other.example.com"}), 401, "the access token is for another audience"},
		{"J07 a token of another issuer", description(object{"iss": "https://evil.test"}), 401, "the access token is of another issuer"},
		{"J10 expired", description(object{"exp": start.Unix() - 10}), 401, "the access token expired"},
		{"J10 not valid yet", description(object{"nbf": start.Unix() + 11}), 401, "the access token is not valid yet"},
		{"J10 issued tomorrow", description(object{"iat": start.Unix() + 86400}), 401, "the access token is not valid yet"},
		{"J10 no expiry", description(object{"exp": nil}), 401, "the access token lacks a claim or has a malformed one"},
		{"J10 an expiry in words", description(object{"exp": "tomorrow"}), 401, "the access token lacks a claim or has a malformed one"},
		{"no subject", description(object{"sub": nil}), 401, "the access token lacks a claim or has a malformed one"},
		{"an empty subject", description(object{"sub": ""}), 401, "the access token lacks a claim or has a malformed one"},
		{"no client", description(object{"client_id": nil}), 401, "the access token lacks a claim or has a malformed one"},
		{"a subject in two cases", description(object{"Sub": "bob"}), 401, "the access token lacks a claim or has a malformed one"},
		{"bound to a key", description(object{"cnf": object{"jkt": "x"}}), 401, "the access token is bound to a key and no proof is accepted here"},
		{"scope lacking", description(object{"scope": "write"}), 403, "the access token does not permit this"},

		{"active in words", description(object{"active": "true"}), 503, ""},
		{"active by number", description(object{"active": 1}), 503, ""},
		{"ACTIVE", strings.Replace(description(nil), "active", "ACTIVE", 1), 503, ""},
		{"active twice", strings.Replace(description(nil), "{", `{"active":false,`, 1), 503, ""},
		{"no JSON", "<html>", 503, ""},
		{"no object", "true", 503, ""},
		{"nothing", "", 503, ""},
		{"too much", description(nil) + strings.Repeat(" ", 1<<20), 503, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, v, _, log := newIntrospecting(t, answer(tc.answer))
			w := get(t, protect(v, "read"), "opaque-0123456789")
			if tc.name == "the least a good answer says" {
				w = get(t, protect(v), "opaque-0123456789")
			}
			require.Equal(t, tc.status, w.Code, w.Body)
			if tc.status < 500 {
				require.Equal(t, tc.reason, challenge(t, w)["error_description"])
				require.Empty(t, log.String())
			} else {
				require.Contains(t, log.String(), "cannot ask the issuer")
			}
			require.NotContains(t, log.String(), "0123456789")
		})
	}
	t.Run("what is no token is not asked about", func(t *testing.T) {
		t.Parallel()
		s, v, _, _ := newIntrospecting(t, answer(description(nil)))
		for _, text := range []string{"", "a b", "ä", strings.Repeat("a", 20<<10)} {
			_, err := v.Verify(t.Context(), text)
			require.ErrorIs(t, err, resource.ErrInvalidToken)
		}
		require.Empty(t, s.fetches)
	})
}

// An issuer that does not answer is no reason to throw tokens away.
func TestIntrospectionOutage(t *testing.T) {
	t.Parallel()
	stolen := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(stolen.Close)
	for name, say := range map[string]http.HandlerFunc{
		"the secret is wrong":   status(401),
		"it is down":            status(503),
		"it is gone":            status(404),
		"an answer with 203":    func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(203); answer(description(nil))(w, r) },
		"it ends early":         answer(description(nil), "Content-Length", "10000"),
		"it sends us elsewhere": http.RedirectHandler(stolen.URL, http.StatusTemporaryRedirect).ServeHTTP,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, v, _, log := newIntrospecting(t, say)
			v.Client = new(http.Client) // that would follow
			w := get(t, protect(v), "opaque-0123456789")
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
			require.Contains(t, log.String(), "cannot ask the issuer")
			require.NotContains(t, log.String(), "0123456789")
			require.NotContains(t, log.String(), "s%cret")
			s.answer("/introspect", answer(description(nil)))
			require.Equal(t, 200, get(t, protect(v), "opaque-0123456789").Code, "it is back")
		})
	}
	t.Run("the metadata are out of reach", func(t *testing.T) {
		t.Parallel()
		s, v, c, _ := newIntrospecting(t, answer(description(nil)))
		good := s.answers[s.metadata]
		s.answer(s.metadata, status(503))
		for range 20 {
			require.Equal(t, http.StatusServiceUnavailable, get(t, protect(v), "t").Code)
		}
		require.Equal(t, 1, s.count(s.metadata), "an issuer in trouble is not hammered")
		s.answer(s.metadata, good)
		c.set(time.Second)
		require.Equal(t, 200, get(t, protect(v), "t").Code)
	})
	t.Run("the endpoint moves", func(t *testing.T) {
		t.Parallel()
		s, v, c, _ := newIntrospecting(t, answer(description(nil)))
		require.Equal(t, 200, get(t, protect(v), "t").Code)
		s.answer(s.metadata, answer(fmt.Sprintf(`{"issuer":%q,"introspection_endpoint":%q}`, s.URL, s.URL+"/moved")))
		s.answer("/moved", answer(description(nil)))
		s.answer("/introspect", status(404))
		c.set(time.Minute)
		require.Equal(t, http.StatusServiceUnavailable, get(t, protect(v), "t").Code)
		require.Equal(t, 200, get(t, protect(v), "t").Code)
		require.Equal(t, 2, s.count(s.metadata))
	})
	t.Run("the metadata name no endpoint", func(t *testing.T) {
		t.Parallel()
		for _, endpoint := range []string{"", "http://evil.test/", "file:///etc/passwd"} {
			s, v, _, log := newIntrospecting(t, answer(description(nil)))
			s.answer(s.metadata, answer(fmt.Sprintf(`{"issuer":%q,"introspection_endpoint":%q}`, s.URL, endpoint)))
			require.Equal(t, http.StatusServiceUnavailable, get(t, protect(v), "t").Code)
			require.Contains(t, log.String(), "introspection_endpoint")
		}
	})
	t.Run("a request that is given up", func(t *testing.T) {
		t.Parallel()
		asked, done := make(chan bool), make(chan bool)
		_, v, _, log := newIntrospecting(t, func(http.ResponseWriter, *http.Request) { asked <- true; <-done })
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-asked; cancel() }()
		_, err := v.Verify(ctx, "t")
		close(done)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, resource.ErrInvalidToken)
		require.Empty(t, log.String(), "nobody waits for an explanation")
	})
}

func TestIntrospectionFinds(t *testing.T) {
	t.Parallel()
	t.Run("once, for many requests", func(t *testing.T) {
		t.Parallel()
		s, v, _, _ := newIntrospecting(t, answer(description(nil)))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				_, err := v.Verify(t.Context(), "t")
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		require.Equal(t, 1, s.count(s.metadata))
		require.Equal(t, 20, s.count("/introspect"))
	})
	t.Run("never, if it is told", func(t *testing.T) {
		t.Parallel()
		s, v, _, _ := newIntrospecting(t, answer(description(object{"iss": issuerID})))
		v.Issuer, v.Introspect.Endpoint = issuerID, s.URL+"/introspect"
		require.Equal(t, 200, get(t, protect(v), "t").Code)
		require.Zero(t, s.count(s.metadata))
	})
}

func TestIntrospectionKept(t *testing.T) {
	t.Parallel()
	s, v, c, _ := newIntrospecting(t, answer(description(object{"exp": start.Unix() + 90})))
	v.Introspect.MaxAge = time.Minute
	ask := func(token string, status, asked int) {
		t.Helper()
		require.Equal(t, status, get(t, protect(v), token).Code)
		require.Equal(t, asked, s.count("/introspect"))
	}
	ask("t", 200, 1)
	ask("t", 200, 1)
	ask("other", 200, 2)
	s.answer("/introspect", answer(`{"active":false}`))
	c.set(59 * time.Second)
	ask("t", 200, 2)
	c.set(time.Minute)
	ask("t", 401, 3)
	ask("t", 401, 4) // what is bad is not kept
	s.answer("/introspect", answer(description(object{"exp": start.Unix() + 90})))
	ask("t", 200, 5)
	c.set(89 * time.Second)
	ask("t", 200, 5)
	c.set(90 * time.Second)
	ask("t", 200, 6) // never past its expiry; the leeway is the issuer's business
}

func TestIntrospectionConfig(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(v *resource.Verifier)
		want   string
	}{
		{"no client", func(v *resource.Verifier) { v.Introspect.ClientID = "" }, "ClientID or ClientSecret is empty"},
		{"no secret", func(v *resource.Verifier) { v.Introspect.ClientSecret = "" }, "ClientID or ClientSecret is empty"},
		{"kept for ever", func(v *resource.Verifier) { v.Introspect.MaxAge = 5*time.Minute + 1 }, "MaxAge"},
		{"kept for less than nothing", func(v *resource.Verifier) { v.Introspect.MaxAge = -1 }, "MaxAge"},
		{"an endpoint by http", func(v *resource.Verifier) { v.Introspect.Endpoint = "http://evil.test/" }, "Endpoint must be an https URL"},
		{"an endpoint that is none", func(v *resource.Verifier) { v.Introspect.Endpoint = "introspect" }, "Endpoint must be an https URL"},
		{"keys too", func(v *resource.Verifier) { v.Keys = static(nil) }, "Keys"},
		{"algorithms too", func(v *resource.Verifier) { v.Algorithms = []string{"ES256"} }, "Algorithms"},
		{"an issuer by http", func(v *resource.Verifier) { v.Issuer = "http://evil.test" }, "Issuer must be an https URL"},
		{"no audience", func(v *resource.Verifier) { v.Audience = "" }, "Audience is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s, v, _, _ := newIntrospecting(t, answer(description(nil)))
			tc.change(v)
			_, err := v.Verify(t.Context(), "t")
			require.ErrorContains(t, err, tc.want)
			require.NotErrorIs(t, err, resource.ErrInvalidToken)
			require.Equal(t, http.StatusInternalServerError, get(t, protect(v), "t").Code)
			require.Empty(t, s.fetches)
		})
	}
}

package authwright_test

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// userinfo asks with a token in the header.
func (w *world) userinfo(token string) answer {
	w.t.Helper()
	return w.transmit(http.MethodGet, "/userinfo", "", http.Header{"Authorization": {"Bearer " + token}})
}

func TestUserInfo(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	b := w.signedIn("alice")
	got := b.signsInTo(asking("scope", "openid profile email address phone read"))
	token := got["access_token"].(string)
	header := func(values ...string) http.Header { return http.Header{"Authorization": values} }
	inBody := url.Values{"access_token": {token}}.Encode()

	t.Run("UF-01 by GET and by POST, in the header or in the body", func(t *testing.T) {
		for name, a := range map[string]answer{
			"GET":                w.userinfo(token),
			"POST header":        w.transmit(http.MethodPost, "/userinfo", "", header("Bearer "+token)),
			"POST header, form":  w.transmit(http.MethodPost, "/userinfo", "x=y", header("Bearer "+token)),
			"POST header, JSON":  w.transmit(http.MethodPost, "/userinfo", "{}", http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}),
			"POST body":          w.transmit(http.MethodPost, "/userinfo", inBody, nil),
			"scheme by any case": w.transmit(http.MethodGet, "/userinfo", "", header("bEARER "+token)),
		} {
			require.Equal(t, http.StatusOK, a.status, name+a.body)
			require.Equal(t, "application/json", a.header.Get("Content-Type"))
			require.Equal(t, "no-store", a.header.Get("Cache-Control"))
			require.Equal(t, "ALICE", a.json(t)["name"], name)
		}
	})
	t.Run("UF-01 never in the URL", func(t *testing.T) {
		for name, a := range map[string]answer{
			"alone":           w.transmit(http.MethodGet, "/userinfo?"+inBody, "", nil),
			"with a header":   w.transmit(http.MethodGet, "/userinfo?"+inBody, "", header("Bearer "+token)),
			"of a POST":       w.transmit(http.MethodPost, "/userinfo?"+inBody, "", nil),
			"in GET's body":   w.transmit(http.MethodGet, "/userinfo", inBody, nil),
			"in a JSON body":  w.transmit(http.MethodPost, "/userinfo", `{"access_token":"`+token+`"}`, http.Header{"Content-Type": {"application/json"}}),
			"in a text body":  w.transmit(http.MethodPost, "/userinfo", inBody, http.Header{"Content-Type": {"text/plain"}}),
			"as a Basic user": w.transmit(http.MethodGet, "/userinfo", "", header(basic(token+":"))),
		} {
			require.Contains(t, []int{http.StatusBadRequest, http.StatusUnauthorized}, a.status, name)
			require.NotContains(t, a.body, "alice", name)
		}
	})
	t.Run("UF-02 sub is that of the ID token, whatever the host says", func(t *testing.T) {
		require.Equal(t, claims(t, got["id_token"])["sub"], w.userinfo(token).json(t)["sub"])
		bare := b.signsInTo(asking())["access_token"].(string)
		require.Equal(t, map[string]any{"sub": "alice"}, w.userinfo(bare).json(t))
		nothing := newProvider(t, func(cfg *authwright.Config) { cfg.OpenID.UserInfo = nil })
		bare = nothing.signedIn("alice").signsInTo(asking("scope", "openid profile"))["access_token"].(string)
		require.Equal(t, map[string]any{"sub": "alice"}, nothing.userinfo(bare).json(t))
	})
	t.Run("UF-03 what is not known is left out", func(t *testing.T) {
		require.Equal(t, map[string]any{
			"sub": "alice", "name": "ALICE", "email": "alice@example.com", "email_verified": false, "address": map[string]any{"locality": "Oxford"},
		}, w.userinfo(token).json(t))
	})
	t.Run("UF-03 what is known and not covered is left out", func(t *testing.T) {
		email := b.signsInTo(asking("scope", "openid email"))["access_token"].(string)
		require.Equal(t, map[string]any{"sub": "alice", "email": "alice@example.com", "email_verified": false}, w.userinfo(email).json(t))
	})
	t.Run("UF-03 a scope of the host's covers what the host says", func(t *testing.T) {
		w := newProvider(t, func(cfg *authwright.Config) {
			cfg.Scopes = []authwright.Scope{{Name: "read", Claims: []string{"employee", "iss"}}, {Name: "email", Claims: []string{}}}
		})
		token := w.signedIn("alice").signsInTo(asking("scope", "openid read email"))["access_token"].(string)
		require.Equal(t, map[string]any{"sub": "alice", "employee": 7.0}, w.userinfo(token).json(t))
	})
	t.Run("UF-03 what is not JSON is an error of the host's", func(t *testing.T) {
		w := newProvider(t, func(cfg *authwright.Config) {
			cfg.OpenID.UserInfo = func(context.Context, string) (map[string]any, error) { return map[string]any{"name": func() {}}, nil }
		})
		token := w.signedIn("alice").signsInTo(asking("scope", "openid profile"))["access_token"].(string)
		require.Equal(t, http.StatusInternalServerError, w.userinfo(token).status)
		require.Contains(t, w.log(), `the claim \"name\"`)
	})
}

// parseChallenge reads a challenge of RFC 6750, section 3 strictly.
func parseChallenge(t *testing.T, a answer) map[string]string {
	t.Helper()
	values := a.header.Values("WWW-Authenticate")
	require.Len(t, values, 1, a.body)
	rest, ok := strings.CutPrefix(values[0], "Bearer ")
	require.True(t, ok, values[0])
	found := map[string]string{}
	for _, attribute := range regexp.MustCompile(`, `).Split(rest, -1) {
		m := regexp.MustCompile(`^([a-z_]+)="([\x20\x21\x23-\x5b\x5d-\x7e]*)"$`).FindStringSubmatch(attribute)
		require.NotNil(t, m, values[0])
		require.NotContains(t, found, m[1], "UF-08")
		found[m[1]] = m[2]
	}
	return found
}

func TestUserInfoRefused(t *testing.T) {
	t.Parallel()
	w := newProvider(t, func(cfg *authwright.Config) {
		cfg.Resources = []authwright.Resource{{ID: "https://api.example", Scopes: []string{"read"}}}
	})
	b := w.signedIn("alice")
	got := b.signsInTo(asking("scope", "openid email read"))
	token, refresh := got["access_token"].(string), got["refresh_token"].(string)
	present := func(method, body string, values ...string) answer {
		return w.transmit(method, "/userinfo", body, http.Header{"Authorization": values})
	}
	for _, test := range []struct {
		name, method, body string
		header             []string
	}{
		{"UF-04 no token", "GET", "", nil},
		{"UF-04 no token in a form", "POST", "x=y", nil},
		{"UF-04 an empty token in a form", "POST", "access_token=", nil},
		{"UF-04 credentials of another scheme", "GET", "", []string{basic("rp:" + webSecret)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := present(test.method, test.body, test.header...)
			require.Equal(t, http.StatusUnauthorized, a.status)
			require.Equal(t, map[string]string{"realm": w.issuer}, parseChallenge(t, a))
		})
	}
	bad := map[string]string{
		"malformed": "x", "refresh token": refresh, "ID token": got["id_token"].(string), "many dots": strings.Repeat("a.", 10000),
		"changed": token[:len(token)-4] + "AAAA", "another server's": newProvider(t).signedIn("alice").signsInTo(asking())["access_token"].(string),
		"for the API alone": b.signsInTo(asking("scope", "openid read", "resource", "https://api.example"))["access_token"].(string),
	}
	t.Run("UF-05 a bad token", func(t *testing.T) {
		for name, token := range bad {
			for _, a := range []answer{present("GET", "", "Bearer "+token), present("POST", "access_token="+token)} {
				require.Equal(t, http.StatusUnauthorized, a.status, name)
				require.Equal(t, "invalid_token", parseChallenge(t, a)["error"], name)
			}
		}
	})
	t.Run("UF-05 two tokens, or none where one should be", func(t *testing.T) {
		body := "access_token=" + token
		for name, a := range map[string]answer{
			"header and body": present("POST", body, "Bearer "+token),
			"two headers":     present("GET", "", "Bearer "+token, "Bearer "+token),
			"two in the body": present("POST", body+"&"+body),
			"URL and header":  w.transmit("GET", "/userinfo?"+body, "", http.Header{"Authorization": {"Bearer " + token}}),
			"URL":             w.transmit("GET", "/userinfo?"+body, "", nil),
			"empty header":    present("GET", "", "Bearer "),
			"scheme alone":    present("GET", "", "Bearer"),
			"broken body":     present("POST", "access_token=%"),
		} {
			require.Equal(t, http.StatusBadRequest, a.status, name)
			require.Equal(t, "invalid_request", parseChallenge(t, a)["error"], name)
			require.Equal(t, "invalid_request", a.json(t)["error"], name)
		}
	})
	t.Run("UF-07 a token without openid", func(t *testing.T) {
		plain := b.signsInTo(asking("scope", "email"))["access_token"].(string)
		narrow := w.token(refreshForm(refresh, "scope", "email"), "rp", webSecret).json(t)["access_token"].(string)
		for _, token := range []string{plain, narrow} {
			a := w.userinfo(token)
			require.Equal(t, http.StatusForbidden, a.status, a.body)
			c := parseChallenge(t, a)
			require.Equal(t, "insufficient_scope", c["error"])
			require.Equal(t, "openid", c["scope"])
		}
	})
	t.Run("UF-07 a token for another resource", func(t *testing.T) {
		require.Equal(t, http.StatusUnauthorized, w.userinfo(bad["for the API alone"]).status)
		require.Equal(t, []any{"https://api.example", w.issuer}, claims(t, token)["aud"], "by default it is for both")
	})
	t.Run("UF-08 what a stranger sends is not in the challenge", func(t *testing.T) {
		for _, text := range []string{`x", error="none`, `x\`, "x, Basic realm=y", "é"} {
			c := parseChallenge(t, present("GET", "", "Bearer "+text))
			require.Equal(t, "invalid_token", c["error"])
			require.Len(t, c, 3)
		}
	})
	t.Run("UF-05 a token whose grant was revoked, or whose time is over", func(t *testing.T) {
		got := b.signsInTo(asking())
		token := got["access_token"].(string)
		require.Equal(t, http.StatusOK, w.userinfo(token).status)
		require.Equal(t, http.StatusOK, w.postForm("/revoke", url.Values{"token": {got["refresh_token"].(string)}}, "rp", webSecret).status)
		require.Equal(t, "invalid_token", parseChallenge(t, w.userinfo(token))["error"])
		token = b.signsInTo(asking())["access_token"].(string)
		w.advance(10*time.Minute - time.Second)
		require.Equal(t, http.StatusOK, w.userinfo(token).status)
		w.advance(time.Second)
		require.Equal(t, "invalid_token", parseChallenge(t, w.userinfo(token))["error"])
	})
}

func TestUserInfoCORS(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	q := asking("client_id", "app", "redirect_uri", "https://app.example/cb")
	got := w.signedIn("alice").signsInTo(q)
	ask := func(method, from, token string) answer {
		h := http.Header{"Origin": {from}}
		if token != "" {
			h.Set("Authorization", "Bearer "+token)
		}
		if method == http.MethodOptions {
			h.Set("Access-Control-Request-Method", "GET")
			h.Set("Access-Control-Request-Headers", "authorization")
		}
		return w.transmit(method, "/userinfo", "", h)
	}
	token := got["access_token"].(string)
	t.Run("UF-06 a script of the client's origin", func(t *testing.T) {
		require.Equal(t, http.StatusNoContent, ask(http.MethodOptions, "https://app.example", "").status)
		require.Contains(t, ask(http.MethodOptions, "https://app.example", "").header.Get("Access-Control-Allow-Headers"), "Authorization")
		a := ask(http.MethodGet, "https://app.example", token)
		require.Equal(t, http.StatusOK, a.status)
		require.Equal(t, "https://app.example", a.header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, a.header.Values("Vary"), "Origin")
		require.Empty(t, a.header.Get("Access-Control-Allow-Credentials"))
	})
	t.Run("UF-06 no other script", func(t *testing.T) {
		for _, from := range []string{"https://evil.example", "https://app.example.evil.example", "http://app.example", "https://app.example:444", "https://rp.example", "null"} {
			require.Empty(t, ask(http.MethodGet, from, token).header.Get("Access-Control-Allow-Origin"), from)
		}
	})
	t.Run("UF-06 the client's script sees that its grant was revoked", func(t *testing.T) {
		require.Equal(t, http.StatusOK, w.postForm("/revoke", url.Values{"token": {token}, "client_id": {"app"}}).status)
		a := ask(http.MethodGet, "https://app.example", token)
		require.Equal(t, http.StatusUnauthorized, a.status)
		require.Equal(t, "https://app.example", a.header.Get("Access-Control-Allow-Origin"))
		require.Contains(t, a.header.Get("Access-Control-Expose-Headers"), "WWW-Authenticate")
	})
}

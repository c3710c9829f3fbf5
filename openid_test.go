package authwright_test

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

const rpCallback = "https://rp.example/cb"

// knownOf is what the host knows of its users, and what no client must hear from it.
func knownOf(subject string) map[string]any {
	return map[string]any{
		"name": strings.ToUpper(subject), "email": subject + "@example.com", "email_verified": false,
		"address": map[string]any{"locality": "Oxford"}, "phone_number": "", "nickname": nil, "amr": []string{"none"},
		"employee": 7, "badges": []string{}, "sub": "somebody else", "iss": "https://evil.example",
	}
}

// newProvider starts a world that is an OpenID Provider, with a key for each algorithm. Its
// host takes the session, and the way of signing in, from the cookies sid and acr. The
// clients rp, es256, ps256 and eddsa have the secret webSecret; app is public.
func newProvider(t *testing.T, changes ...func(*authwright.Config)) *world {
	t.Helper()
	everything := []string{"openid", "profile", "email", "address", "phone", "offline_access", "read", "write"}
	w := newWorld(t, append([]func(*authwright.Config){func(cfg *authwright.Config) {
		currentUser := cfg.Authenticator.CurrentUser
		cfg.Authenticator = authwright.LoginRedirect("/login", "next", func(r *http.Request) (*authwright.User, error) {
			u, err := currentUser(r)
			if sid, none := r.Cookie("sid"); u != nil && none == nil {
				u.Session = sid.Value
			}
			if acr, none := r.Cookie("acr"); u != nil && none == nil {
				u.ACR, u.AMR = acr.Value, []string{"pwd", "otp"}
			}
			return u, err
		})
		cfg.SigningKeys = append(cfg.SigningKeys, authwright.SigningKey{Signer: openIDKey()},
			authwright.SigningKey{Signer: secondRSAKey(), Algorithm: "PS256"}, authwright.SigningKey{Signer: edKey()})
		cfg.OpenID = &authwright.OpenID{
			UserInfo: func(_ context.Context, subject string) (map[string]any, error) { return knownOf(subject), nil },
			Logout: func(w http.ResponseWriter, _ *http.Request) error {
				http.SetCookie(w, &http.Cookie{Name: "session", Path: "/", MaxAge: -1})
				return nil
			},
		}
	}}, changes...)...)
	for id, alg := range map[string]string{"rp": "", "es256": "ES256", "ps256": "PS256", "eddsa": "EdDSA", "rs256": "RS256"} {
		w.enroll(&authwright.Client{
			ID: id, Secrets: []authwright.ClientSecret{stored(webSecret)}, RedirectURIs: []string{rpCallback}, Scopes: everything, IDTokenAlg: alg,
			PostLogoutRedirectURIs: []string{"https://rp.example/bye", "https://rp.example/bye?from=op"},
		})
	}
	w.enroll(&authwright.Client{ID: "app", RedirectURIs: []string{"https://app.example/cb"}, Scopes: everything})
	return w
}

var secondRSAKey = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil // and no server can be made
	}
	return key
})

func edKey() crypto.Signer {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil
	}
	return key
}

// asking is a good authentication request of rp, with changes as in request.
func asking(changes ...string) url.Values {
	return request(append([]string{"client_id", "rp", "redirect_uri", rpCallback, "scope", "openid", "nonce", "n-0S6_WzA2Mj"}, changes...)...)
}

// has gives the browser a cookie of the host's.
func (b *browser) has(name, value string) *browser {
	u, err := url.Parse(b.w.ts.URL)
	require.NoError(b.w.t, err)
	b.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
	return b
}

// signsInTo runs the whole flow in b and returns the token response.
func (b *browser) signsInTo(q url.Values) map[string]any {
	b.w.t.Helper()
	a := b.authorize(q)
	if a.status == http.StatusOK {
		a = b.decide(a, "approve", strings.Fields(q.Get("scope"))...)
	}
	return b.redeems(q, a)
}

func (b *browser) redeems(q url.Values, a answer) map[string]any {
	b.w.t.Helper()
	code := a.location(b.w.t).Get("code")
	require.NotEmpty(b.w.t, code, a.header.Get("Location"))
	f := codeForm(code, "redirect_uri", q.Get("redirect_uri"))
	auth := []string{q.Get("client_id"), webSecret}
	if !q.Has("code_challenge") {
		f.Del("code_verifier")
	}
	if q.Get("client_id") == "app" {
		f.Set("client_id", "app")
		auth = nil
	}
	resp := b.w.token(f, auth...)
	require.Equal(b.w.t, http.StatusOK, resp.status, resp.body)
	return resp.json(b.w.t)
}

func TestOpenIDPrompt(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	w.signedIn("alice").signsInTo(asking()) // remembered from now on

	t.Run("OI-03 prompt=none is answered without asking anybody", func(t *testing.T) {
		silent := asking("prompt", "none")
		b := w.signedIn("alice").still()
		require.NotEmpty(t, b.authorize(silent).location(t).Get("code"))
		redirected(t, w.browser().still().authorize(silent), "login_required")
		redirected(t, b.authorize(asking("prompt", "none", "scope", "openid email")), "consent_required")
		redirected(t, w.signedIn("bob").still().authorize(silent), "consent_required")
		w.advance(time.Minute)
		redirected(t, b.authorize(asking("prompt", "none", "max_age", "59")), "login_required")
		redirected(t, b.authorize(asking("prompt", "none", "max_age", "0")), "login_required")
		require.NotEmpty(t, b.authorize(asking("prompt", "none", "max_age", "60")).location(t).Get("code"))
	})
	t.Run("OI-04 prompt=none goes with nothing else", func(t *testing.T) {
		for _, prompt := range []string{"none login", "login none", "none consent", "none none", "none create"} {
			redirected(t, w.signedIn("alice").authorize(asking("prompt", prompt)), "invalid_request")
		}
	})
	t.Run("OI-05 prompt=login makes the user log in again", func(t *testing.T) {
		b, q := w.signedIn("alice"), asking("prompt", "login")
		for range 2 {
			w.advance(time.Hour)
			require.True(t, strings.HasPrefix(b.still().authorize(q).header.Get("Location"), "/login?"))
			require.EqualValues(t, w.now().Unix(), claims(t, b.signsInTo(q)["id_token"])["auth_time"])
		}
	})
	t.Run("OI-05 prompt=login is not content with a user who comes back as before", func(t *testing.T) {
		b := w.signedIn("alice")
		w.advance(time.Second)
		next := b.still().authorize(asking("prompt", "login")).location(t).Get("next")
		redirected(t, b.still().get(w.ts.URL+next), "login_required")
	})
	t.Run("OI-05 whoever logs in is the one", func(t *testing.T) {
		b := w.signedIn("alice")
		w.advance(time.Second)
		got := b.signsInTo(asking("prompt", "login", "login_hint", "bob"))
		require.Equal(t, "bob", claims(t, got["id_token"])["sub"])
	})
	t.Run("OI-05 prompt=consent asks again", func(t *testing.T) {
		b := w.signedIn("alice")
		require.NotEmpty(t, b.authorize(asking()).location(t).Get("code"))
		consentPage(t, b.authorize(asking("prompt", "consent")))
	})
	t.Run("OI-05 prompt=select_account lets the user choose, once", func(t *testing.T) {
		b, q := w.signedIn("alice").still(), asking("prompt", "select_account")
		next := b.authorize(q).location(t).Get("next")
		require.NotEmpty(t, b.get(w.ts.URL+next).location(t).Get("code"), "and to stay who they are")
		w.advance(time.Minute)
		aged := asking("prompt", "select_account", "max_age", "10")
		redirected(t, b.get(w.ts.URL+b.authorize(aged).location(t).Get("next")), "login_required")
	})
	t.Run("OI-06 max_age makes a user log in whose login is older", func(t *testing.T) {
		b := w.signedIn("alice")
		since := w.now().Unix()
		w.advance(100 * time.Second)
		require.EqualValues(t, since, claims(t, b.signsInTo(asking("max_age", "100"))["id_token"])["auth_time"])
		require.EqualValues(t, since+100, claims(t, b.signsInTo(asking("max_age", "99"))["id_token"])["auth_time"])
	})
	t.Run("OI-06 max_age=0 is like prompt=login", func(t *testing.T) {
		b := w.signedIn("alice")
		require.True(t, strings.HasPrefix(b.still().authorize(asking("max_age", "0")).header.Get("Location"), "/login?"))
		w.advance(time.Second)
		require.EqualValues(t, w.now().Unix(), claims(t, b.signsInTo(asking("max_age", "0"))["id_token"])["auth_time"])
	})
	t.Run("OI-06 a login that took longer than max_age is recent all the same", func(t *testing.T) {
		b := w.signedIn("alice")
		w.advance(time.Minute)
		next := b.still().authorize(asking("max_age", "1")).location(t).Get("next")
		b.get(w.ts.URL + "/login?next=/elsewhere")
		w.advance(5 * time.Second)
		require.NotEmpty(t, b.get(w.ts.URL+next).location(t).Get("code"))
	})
	t.Run("OI-06 without the time of the login nobody can insist", func(t *testing.T) {
		w := newProvider(t, func(cfg *authwright.Config) {
			cfg.Authenticator = authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) {
				return &authwright.User{Subject: "alice"}, nil
			})
		})
		b := w.browser()
		redirected(t, b.authorize(asking("max_age", "10000")), "login_required")
		require.NotContains(t, claims(t, b.signsInTo(asking())["id_token"]), "auth_time")
	})
	t.Run("OI-06 max_age is a number", func(t *testing.T) {
		for _, age := range []string{"-1", "soon", "1.5", "1e3", "+1"} {
			redirected(t, w.signedIn("alice").authorize(asking("max_age", age)), "invalid_request")
		}
	})
}

func TestOpenIDRequest(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	b := w.signedIn("alice")
	t.Run("OI-01 without openid it is plain OAuth", func(t *testing.T) {
		for _, scope := range []string{"read", "read profile email"} {
			require.NotContains(t, b.signsInTo(asking("scope", scope)), "id_token")
		}
		require.Contains(t, b.signsInTo(asking("scope", "read openid")), "id_token")
		redirected(t, b.authorize(asking("scope", "OpenID")), "invalid_scope")
	})
	t.Run("OI-01 nor does an id_token or a claims parameter matter then", func(t *testing.T) {
		require.NotEmpty(t, b.authorize(asking("scope", "read", "id_token_hint", "x", "claims", "x")).location(t).Get("code"))
	})
	t.Run("OI-07 what is not supported is no error", func(t *testing.T) {
		for name, value := range map[string]string{
			"display": "hologram", "ui_locales": "tlh x-y-z ---", "claims_locales": "fr-CA fr", "acr_values": "urn:x 0 ''",
			"login_hint": "+44 \"<nobody>", "registration_hint": "x", "prompt": "ponder", "nonce": "ß <&>",
		} {
			require.NotEmpty(t, b.authorize(asking(name, value)).location(t).Get("code"), name)
		}
	})
	t.Run("RU-11 redirect_uri is required", func(t *testing.T) {
		errorPage(t, b.authorize(asking("redirect_uri", "")))
		require.NotEmpty(t, b.authorize(asking("redirect_uri", "", "scope", "read")).location(t).Get("code"))
	})
	t.Run("OI-09 a subject that is not ASCII is nobody's", func(t *testing.T) {
		w := newProvider(t, func(cfg *authwright.Config) {
			cfg.Authenticator = authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) {
				return &authwright.User{Subject: "ärger"}, nil
			})
		})
		redirected(t, w.browser().authorize(asking()), "server_error")
		require.Contains(t, w.log(), "fit Subject")
	})
	t.Run("PK-03 a confidential client may be registered without PKCE, for OpenID Connect", func(t *testing.T) {
		const uri = "https://old.example/cb"
		old := authwright.Client{
			ID: "old", Secrets: []authwright.ClientSecret{stored(webSecret)}, RedirectURIs: []string{uri},
			Scopes: []string{"openid", "read"}, InsecureWithoutPKCE: true, Consent: authwright.ConsentSkip,
		}
		w.enroll(&old)
		q := asking("client_id", "old", "redirect_uri", uri, "code_challenge", "", "code_challenge_method", "")
		require.Equal(t, "n-0S6_WzA2Mj", claims(t, b.signsInTo(q)["id_token"])["nonce"])
		code := b.authorize(q).location(t).Get("code")
		refused(t, w.token(codeForm(code, "redirect_uri", uri), "old", webSecret), "invalid_request")
		refused(t, w.token(codeForm(code, "redirect_uri", "", "code_verifier", ""), "old", webSecret), "invalid_grant")
		require.Equal(t, http.StatusOK, w.token(codeForm(code, "redirect_uri", uri, "code_verifier", ""), "old", webSecret).status)
		redirected(t, b.authorize(asking("client_id", "old", "redirect_uri", uri, "code_challenge", "", "code_challenge_method", "", "scope", "read")), "invalid_request")
	})
}

func TestOfflineAccess(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	b := w.signedIn("alice")
	t.Run("OI-17 offline_access is nothing without a code", func(t *testing.T) {
		for _, types := range []string{"token", "id_token", "code id_token"} {
			redirected(t, b.authorize(asking("scope", "openid offline_access", "response_type", types)), "unsupported_response_type")
		}
	})
	t.Run("OI-17 it is ignored, too, if the client cannot refresh", func(t *testing.T) {
		w.enroll(&authwright.Client{
			ID: "once", Secrets: []authwright.ClientSecret{stored(webSecret)}, RedirectURIs: []string{rpCallback},
			GrantTypes: []string{"authorization_code"}, Scopes: []string{"openid", "offline_access"},
		})
		got := b.signsInTo(asking("client_id", "once", "scope", "openid offline_access"))
		require.Equal(t, "openid", got["scope"])
		require.NotContains(t, got, "refresh_token")
	})
	t.Run("OI-18 offline_access needs no prompt, but a consent", func(t *testing.T) {
		b := w.signedIn("carol")
		page := b.authorize(asking("scope", "openid offline_access"))
		require.Contains(t, page.body, "Do all this while you are not there")
		got := b.redeems(asking(), b.decide(page, "approve", "openid", "offline_access"))
		require.Equal(t, "openid offline_access", got["scope"])
		require.NotEmpty(t, got["refresh_token"])
		require.NotEmpty(t, b.authorize(asking("scope", "openid offline_access")).location(t).Get("code"), "and then the consent is there")
		consentPage(t, b.authorize(asking("scope", "openid offline_access", "prompt", "consent")))
	})
	t.Run("OI-19 a consent to something else is none to offline_access", func(t *testing.T) {
		for _, id := range []string{"rp", "app"} {
			q := asking("client_id", id, "scope", "openid")
			if id == "app" {
				q.Set("redirect_uri", "https://app.example/cb")
			}
			b := w.signedIn("dave")
			b.signsInTo(q)
			q.Set("scope", "openid offline_access")
			page := b.authorize(q)
			consentPage(t, page)
			require.Equal(t, "openid", b.redeems(q, b.decide(page, "approve", "openid"))["scope"], "declined")
			q.Set("prompt", "none")
			redirected(t, b.authorize(q), "consent_required")
		}
	})
	t.Run("RT-20 a client that may refresh does so without offline_access", func(t *testing.T) {
		got := b.signsInTo(asking())
		a := w.token(refreshForm(got["refresh_token"].(string)), "rp", webSecret)
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.NotEmpty(t, a.json(t)["id_token"])
	})
}

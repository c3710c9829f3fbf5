package authwright_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// The authorization response and its errors: RFC 6749, sections 4.1.2 and 4.1.2.1.
func TestAuthorizationResponse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alwaysAsk)
	b := w.signedIn("alice")

	t.Run("AR-01 the response has a code and the state as it was sent", func(t *testing.T) {
		for _, state := range []string{"xyz", strings.Repeat("s", 1000), "a b+c%20&d=e#f?g;h/", "é读🔑", "\r\n\t", `"\'<>`, "=", " "} {
			a := b.decide(b.authorize(request("state", state)), "approve", "read")
			require.Equal(t, []string{state}, a.location(t)["state"])
			require.NotEmpty(t, a.location(t).Get("code"))
			require.True(t, strings.HasPrefix(a.header.Get("Location"), "https://web.example/cb?"), a.header.Get("Location"))
			for _, c := range []byte(a.header.Get("Location")) {
				require.True(t, c > ' ' && c < 0x7f && c != '#', a.header.Get("Location"))
			}
		}
	})
	t.Run("AR-01 without a state there is none", func(t *testing.T) {
		page := b.authorize(request("state", ""))
		require.NotContains(t, b.decide(page, "approve", "read").location(t), "state")
		require.NotContains(t, b.authorize(request("state", "", "scope", "admin")).location(t), "state")
	})
	t.Run("AR-02 every redirect is a 303", func(t *testing.T) {
		for name, a := range w.responses(t) {
			require.Equal(t, http.StatusSeeOther, a.status, name)
		}
		require.Equal(t, http.StatusSeeOther, w.browser().still().authorize(request()).status, "to the login page")
		require.Equal(t, http.StatusSeeOther, b.still().post("/authorize", request()).status, "from POST to GET")
		changed := w.signedIn("alice")
		page := changed.authorize(request())
		changed.signIn("bob")
		require.Equal(t, http.StatusSeeOther, changed.still().decide(page, "approve").status, "to the start")
	})
	t.Run("AR-03 every response names the issuer", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) { cfg.Issuer += "/tenant/a" })
		issuer := w.browser().get(w.ts.URL + "/.well-known/oauth-authorization-server/tenant/a").json(t)["issuer"]
		for name, a := range w.responses(t) {
			require.Equal(t, []string{issuer.(string)}, a.location(t)["iss"], name)
		}
	})
	t.Run("AR-04 the metadata document says so", func(t *testing.T) {
		require.Equal(t, true, b.get(w.issuer + "/.well-known/oauth-authorization-server").json(t)["authorization_response_iss_parameter_supported"])
	})
	t.Run("AR-13 no response is cached or sends a referrer", func(t *testing.T) {
		for name, a := range w.responses(t) {
			require.Equal(t, "no-store", a.header.Get("Cache-Control"), name)
			require.Equal(t, "no-referrer", a.header.Get("Referrer-Policy"), name)
		}
	})
	t.Run("AR-14 no response has both a code and an error", func(t *testing.T) {
		for name, a := range w.responses(t) {
			require.NotEqual(t, a.location(t).Has("code"), a.location(t).Has("error"), name)
		}
	})
}

// The response as a form that the browser posts: OAuth 2.0 Form Post Response Mode.
func TestFormPost(t *testing.T) {
	t.Parallel()
	const state = `"><script>alert(1)</script>&quot;`
	w := newWorld(t, alwaysAsk)
	b := w.signedIn("alice")
	q := request("response_mode", "form_post", "state", state)
	for name, a := range map[string]answer{
		"AR-15 a code is posted from a page that runs our own script only":   b.decide(b.authorize(q), "approve", "read"),
		"AR-15 an error is posted from a page that runs our own script only": b.decide(b.authorize(q), "deny"),
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, http.StatusOK, a.status)
			require.Equal(t, "no-store", a.header.Get("Cache-Control"))
			require.Contains(t, a.body, `<form method="post" action="https://web.example/cb">`)
			fields := url.Values{}
			for _, m := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(a.body, -1) {
				fields.Add(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
			}
			require.Equal(t, []string{state}, fields["state"])
			require.Equal(t, []string{w.issuer}, fields["iss"])
			require.NotEqual(t, fields.Has("code"), fields.Has("error"))

			scripts := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(a.body, -1)
			require.Len(t, scripts, 1)
			require.Equal(t, 1, strings.Count(a.body, "<script"))
			policy := a.header.Get("Content-Security-Policy")
			require.Contains(t, policy, "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sha(scripts[0][1]))+"'")
			require.NotContains(t, policy, "unsafe")
			require.NotContains(t, policy, "form-action")
		})
	}
	t.Run("AR-15 the query of the URI is left to itself", func(t *testing.T) {
		const uri = "https://posted.example/cb?x=a%20b&y"
		w.enroll(&authwright.Client{ID: "posted", RedirectURIs: []string{uri}, Scopes: []string{"read", "write"}})
		a := b.decide(b.authorize(request("client_id", "posted", "redirect_uri", uri, "response_mode", "form_post")), "approve", "read")
		require.Contains(t, a.body, `action="`+html.EscapeString(uri)+`"`)
	})
}

// responses returns one authorization response of each kind.
func (w *world) responses(t *testing.T) map[string]answer {
	t.Helper()
	// The registered query is there to be confused with the response's own.
	const uri = "https://first.example/cb?code=1&error=2&iss=3"
	first := authwright.Client{ID: "first", RedirectURIs: []string{uri}, Scopes: []string{"read"}, Consent: authwright.ConsentSkip}
	if _, err := w.store.Client(t.Context(), first.ID); err != nil {
		w.enroll(&first)
	}
	ask := request("client_id", "cli", "redirect_uri", "http://127.0.0.1/cb")
	skip := request("client_id", "first", "redirect_uri", uri, "scope", "read")
	with := func(q url.Values, name, value string) url.Values {
		q = maps.Clone(q)
		q.Set(name, value)
		return q
	}
	b := w.signedIn("alice")
	unasked := b.authorize(skip)
	if unasked.status == http.StatusOK {
		unasked = b.decide(unasked, "approve", "read") // in a world that always asks
	}
	return map[string]answer{
		"unasked":           unasked,
		"approved":          b.decide(b.authorize(ask), "approve", "read"),
		"denied":            b.decide(b.authorize(ask), "deny"),
		"nothing allowed":   b.decide(b.authorize(ask), "approve"),
		"consent required":  b.authorize(with(ask, "prompt", "none")),
		"login required":    w.browser().authorize(with(ask, "prompt", "none")),
		"scope":             b.authorize(with(skip, "scope", "admin")),
		"response type":     b.authorize(with(skip, "response_type", "token")),
		"no response type":  b.authorize(with(skip, "response_type", "")),
		"resource":          b.authorize(with(skip, "resource", "https://nowhere.example/")),
		"challenge":         b.authorize(with(skip, "code_challenge", "")),
		"request":           b.authorize(with(skip, "request", "e30.e30.")),
		"silent and faulty": w.browser().authorize(with(with(skip, "scope", "admin"), "prompt", "none")),
	}
}

func TestAuthorizationErrors(t *testing.T) {
	t.Parallel()
	codes := []string{
		"invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope", "server_error", "temporarily_unavailable",
		"invalid_target", "login_required", "consent_required", "interaction_required", "account_selection_required",
		"request_not_supported", "request_uri_not_supported", "registration_not_supported",
	}
	const internal = "db-7.internal: password authentication failed"
	// hostError is the response to a request in a host where the user cannot be found out.
	hostError := func(t *testing.T, err error) (*world, answer) {
		t.Helper()
		w := newWorld(t, func(cfg *authwright.Config) {
			cfg.Authenticator = authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) { return nil, err })
		})
		return w, w.browser().authorize(request())
	}

	t.Run("AR-05 the error is one of this endpoint", func(t *testing.T) {
		for name, a := range newWorld(t).responses(t) {
			if q := a.location(t); q.Has("error") {
				require.Contains(t, codes, q.Get("error"), name)
			}
		}
	})
	t.Run("AR-05 an error of the token endpoint is none of this one", func(t *testing.T) {
		for _, err := range []error{
			authwright.ErrInvalidClient, authwright.ErrInvalidGrant, authwright.ErrUnsupportedGrantType, authwright.ErrInvalidToken,
			authwright.ErrInsufficientScope, authwright.ErrInvalidClientMetadata, authwright.ErrInvalidRedirectURI, authwright.ErrNotFound, authwright.ErrConflict,
			&authwright.Error{Code: authwright.ErrInvalidClient, Description: internal}, errors.New(internal), fmt.Errorf("host: %w", authwright.ErrInvalidGrant),
		} {
			_, a := hostError(t, err)
			redirected(t, a, "server_error")
			require.False(t, a.location(t).Has("error_description"), a.header.Get("Location"))
		}
	})
	t.Run("AR-06 a user who refuses is access_denied", func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn("alice")
		page := b.authorize(request())
		a := b.decide(page, "deny", "read", "write")
		redirected(t, a, "access_denied")
		require.Equal(t, "xyz", a.location(t).Get("state"))
		errorPage(t, b.decide(page, "approve", "read"))
		redirected(t, b.decide(b.authorize(request()), "approve"), "access_denied") // of nothing
		require.NotContains(t, w.happened(), authwright.EventCodeIssued)
	})
	t.Run("AR-06 a host that refuses is access_denied", func(t *testing.T) {
		for _, err := range []error{authwright.ErrAccessDenied, fmt.Errorf("%s: %w", internal, authwright.ErrAccessDenied)} {
			_, a := hostError(t, err)
			redirected(t, a, "access_denied")
			require.NotContains(t, a.header.Get("Location"), "internal")
		}
	})
	t.Run("AR-07 a failure is server_error and says no more", func(t *testing.T) {
		w, a := hostError(t, errors.New(internal))
		redirected(t, a, "server_error")
		require.Equal(t, url.Values{"error": {"server_error"}, "state": {"xyz"}, "iss": {w.issuer}}, a.location(t))
		require.Contains(t, w.log(), internal)

		w = newWorld(t, func(cfg *authwright.Config) { cfg.Consent = consentFunc(func() error { return errors.New(internal) }) })
		a = w.signedIn("alice").authorize(request())
		redirected(t, a, "server_error")
		require.Equal(t, url.Values{"error": {"server_error"}, "state": {"xyz"}, "iss": {w.issuer}}, a.location(t))
	})
	t.Run("AR-07 a failure after the user has answered is server_error, too", func(t *testing.T) {
		var w *world
		w = newWorld(t, func(cfg *authwright.Config) {
			cfg.Authenticator = authwright.LoginRedirect("/login", "next", func(r *http.Request) (*authwright.User, error) {
				if r.Method == http.MethodPost {
					return nil, errors.New(internal)
				}
				return w.currentUser(r)
			})
		})
		b := w.signedIn("alice")
		a := b.decide(b.authorize(request()), "approve", "read")
		redirected(t, a, "server_error")
		require.Equal(t, url.Values{"error": {"server_error"}, "state": {"xyz"}, "iss": {w.issuer}}, a.location(t))
	})
	t.Run("AR-07 a storage that does not answer is temporarily_unavailable and no more", func(t *testing.T) {
		for _, stage := range []authwright.Stage{authwright.StageConsent, authwright.StageCode} {
			w := newWorld(t, func(cfg *authwright.Config) { cfg.Storage = brokenAt{cfg.Storage, stage, errors.New(internal)} })
			b := w.signedIn("alice")
			a := b.authorize(request())
			if stage == authwright.StageCode {
				a = b.decide(a, "approve", "read")
			}
			redirected(t, a, "temporarily_unavailable")
			require.Equal(t, "xyz", a.location(t).Get("state"))
			require.NotContains(t, a.header.Get("Location")+a.body, "internal")
			require.Contains(t, w.log(), internal)
		}
	})
	t.Run("AR-08 an error has only the characters it may have", func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn("alice")
		var answers []answer
		for _, quoted := range []string{`"quoted"`, `back\slash`, "line\r\nbreak", "réad", "tab\t", "\x7f", "🔑", "unknown", strings.Repeat("x", 2000)} {
			for _, name := range []string{"scope", "response_type", "response_mode", "code_challenge", "code_challenge_method", "max_age", "resource"} {
				answers = append(answers, b.authorize(request(name, quoted)))
			}
		}
		_, a := hostError(t, &authwright.Error{Code: authwright.ErrAccessDenied, Description: "\"nö\\\r\n\x00\x7f🔑"})
		require.NotEmpty(t, a.location(t).Get("error_description"))
		for _, a := range append(answers, a) {
			q := a.location(t)
			require.NotEmpty(t, q.Get("error"))
			for _, c := range []byte(q.Get("error") + q.Get("error_description")) {
				require.True(t, c >= 0x20 && c <= 0x7e && c != '"' && c != '\\', "%q", q)
			}
		}
	})
}

// A consentFunc is a consent page that fails.
type consentFunc func() error

func (f consentFunc) RenderConsent(http.ResponseWriter, *http.Request, *authwright.Consent) error {
	return f()
}

// brokenAt is a storage that cannot save a grant in one stage.
type brokenAt struct {
	authwright.Storage
	stage authwright.Stage
	err   error
}

func (s brokenAt) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	if g.Stage == s.stage {
		return s.err
	}
	return s.Storage.SaveGrant(ctx, g)
}

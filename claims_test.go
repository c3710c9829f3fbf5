package authwright_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// The claims parameter: OpenID Connect Core, section 5.5.
func TestClaimsParameter(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	b := w.signedIn("alice")
	userinfo := func(got map[string]any) map[string]any {
		return w.userinfo(got["access_token"].(string)).json(t)
	}
	t.Run("OI-20 the provider says that it has the parameter", func(t *testing.T) {
		require.Equal(t, true, w.discovery()["claims_parameter_supported"])
	})
	t.Run("OI-20 each claim goes where it was asked for", func(t *testing.T) {
		got := b.signsInTo(asking("claims", `{"userinfo":{"email":{"essential":true},"nickname":null},"id_token":{"name":null,"badges":{"essential":true}}}`))
		require.Equal(t, map[string]any{"sub": "alice", "email": "alice@example.com"}, userinfo(got))
		id := w.idToken(got["id_token"], "RS256")
		require.Equal(t, "ALICE", id["name"])
		require.NotContains(t, id, "email")
		require.NotContains(t, id, "badges", "not known, which is no error")
		again := w.token(refreshForm(got["refresh_token"].(string)), "rp", webSecret).json(t)
		require.Equal(t, "ALICE", w.idToken(again["id_token"], "RS256")["name"])
	})
	t.Run("OI-20 what is not understood is ignored", func(t *testing.T) {
		for _, c := range []string{
			`{}`, `{"userinfo":null,"id_token":{}}`, `{"verified_claims":{"x":[1]},"userinfo":{"email":{"essential":false,"purpose":"x","values":["a",1]}}}`,
			`{"id_token":{"email":{"value":"eve@example.com"},"name#fr":null,"":null,"auth_time":{"essential":true}}}`,
		} {
			consentPage(t, b.authorize(asking("claims", c, "prompt", "consent")))
		}
	})
	t.Run("OI-20 what is malformed is refused", func(t *testing.T) {
		for _, c := range []string{
			`x`, `[]`, `"x"`, `{"userinfo":[]}`, `{"id_token":{"email":true}}`, `{"id_token":{"email":{"essential":"yes"}}}`, `{}{}`, `{`,
			`{"id_token":{"sub":{"value":7}}}`, `{"userinfo":{"x":{"value":"` + strings.Repeat("x", 5000) + `"}}}`,
		} {
			redirected(t, b.authorize(asking("claims", c)), "invalid_request")
		}
	})
	t.Run("OI-12 the protocol's own claims cannot be asked for as the host's", func(t *testing.T) {
		q := asking("claims", `{"id_token":{"iss":null,"sub":null,"amr":null},"userinfo":{"iss":null,"sub":null,"amr":null}}`)
		page := b.authorize(asking("claims", q.Get("claims"), "prompt", "consent"))
		require.NotContains(t, page.body, "See what is known of you as")
		got := b.signsInTo(q)
		require.Equal(t, map[string]any{"sub": "alice"}, userinfo(got))
		require.Equal(t, w.issuer, w.idToken(got["id_token"], "RS256")["iss"])
		require.NotContains(t, claims(t, got["id_token"]), "amr")
	})
	t.Run("OI-12 the user sees what is asked for beyond the scopes", func(t *testing.T) {
		page := b.authorize(asking("scope", "openid email", "prompt", "consent", "claims", `{"userinfo":{"employee":null,"email":null},"id_token":{"<b>":null}}`))
		require.Regexp(t, regexp.MustCompile(`See what is known of you as: <bdi>&lt;b&gt;</bdi>, <bdi>employee</bdi></span>`), page.body)
	})
	t.Run("OI-12 and sees it every time", func(t *testing.T) {
		q := asking("claims", `{"userinfo":{"employee":null}}`)
		b.signsInTo(q)
		consentPage(t, b.authorize(q))
		q.Set("prompt", "none")
		redirected(t, b.authorize(q), "consent_required")
		covered := asking("scope", "openid email", "claims", `{"userinfo":{"email":null}}`)
		b.signsInTo(covered)
		require.NotEmpty(t, b.authorize(covered).location(t).Get("code"), "the scope is remembered, and covers it")
	})
	t.Run("OI-12 a claim goes with the scope that covers it if the user declines that", func(t *testing.T) {
		q := asking("scope", "openid email", "prompt", "consent", "claims", `{"userinfo":{"email":null,"employee":null},"id_token":{"email":null}}`)
		got := b.redeems(q, b.decide(b.authorize(q), "approve", "openid"))
		require.Equal(t, "openid", got["scope"])
		require.Equal(t, map[string]any{"sub": "alice", "employee": 7.0}, userinfo(got))
		require.NotContains(t, claims(t, got["id_token"]), "email")
	})
	t.Run("OI-08 a client may ask for one subject", func(t *testing.T) {
		q := asking("prompt", "none", "claims", `{"id_token":{"sub":{"value":"alice"}}}`)
		require.NotEmpty(t, b.authorize(q).location(t).Get("code"))
		redirected(t, w.signedIn("bob").authorize(q), "login_required")
		hint := b.signsInTo(asking())["id_token"].(string)
		redirected(t, b.authorize(asking("id_token_hint", hint, "claims", `{"id_token":{"sub":{"value":"bob"}}}`)), "login_required")
		q.Del("prompt")
		require.NotEmpty(t, w.signedIn("bob").authorize(q).location(t).Get("code"), "alice logs in")
		q.Set("login_hint", "bob")
		redirected(t, w.signedIn("bob").authorize(q), "login_required")
	})
}

// An essential acr is a demand on the login: OpenID Connect Core, section 5.5.1.1.
func TestEssentialACR(t *testing.T) {
	t.Parallel()
	var wanted []string
	w := newProvider(t, func(cfg *authwright.Config) {
		cfg.Authenticator = spy{cfg.Authenticator, &wanted}
	})
	q := asking("acr_values", "urn:any urn:mfa", "claims", `{"id_token":{"acr":{"essential":true,"values":["urn:mfa","urn:phr"]}}}`)
	t.Run("OI-06 a login that will not do is repeated, with what would", func(t *testing.T) {
		b := w.signedIn("alice").has("acr", "urn:pwd").still()
		next := b.authorize(q).location(t).Get("next")
		require.Equal(t, []string{"urn:mfa", "urn:phr", "urn:any"}, wanted)
		redirected(t, b.get(w.ts.URL+next), "login_required")
		b.has("acr", "urn:phr")
		page := b.get(w.ts.URL + next)
		require.Equal(t, "urn:phr", claims(t, b.redeems(q, b.decide(page, "approve", "openid"))["id_token"])["acr"])
	})
	t.Run("OI-03 but not of its own accord", func(t *testing.T) {
		silent := asking("prompt", "none", "claims", q.Get("claims"))
		redirected(t, w.signedIn("alice").authorize(silent), "login_required")
		require.NotEmpty(t, w.signedIn("alice").has("acr", "urn:mfa").authorize(silent).location(t).Get("code"))
	})
	t.Run("OI-07 a voluntary one is a wish", func(t *testing.T) {
		for _, c := range []string{`{"id_token":{"acr":{"values":["urn:mfa"]}}}`, `{"id_token":{"acr":{"essential":true}}}`, `{"userinfo":{"acr":{"essential":true,"value":"x"}}}`} {
			require.NotEmpty(t, w.signedIn("alice").authorize(asking("claims", c)).location(t).Get("code"), c)
		}
	})
}

// A spy notes which authentication contexts a login is asked for.
type spy struct {
	authwright.Authenticator
	wanted *[]string
}

func (s spy) Login(w http.ResponseWriter, r *http.Request, req *authwright.AuthorizeRequest) {
	*s.wanted = req.ACRValues
	s.Authenticator.Login(w, r, req)
}

package authwright_test

import (
	"html"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// posted returns what the page a has the browser post to the client.
func posted(t *testing.T, a answer, uri string) url.Values {
	t.Helper()
	require.Equal(t, http.StatusOK, a.status, a.header.Get("Location")+a.body)
	require.Contains(t, a.body, `<form method="post" action="`+html.EscapeString(uri)+`">`)
	require.Contains(t, a.body, `<button id="continue"`, "for browsers that run no script")
	fields := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(a.body, -1) {
		fields.Add(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	return fields
}

func TestFormPostResponse(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	b := w.signedIn("alice")
	b.signsInTo(asking())
	t.Run("AR-15 a code that needs no page of consent is posted", func(t *testing.T) {
		a := b.authorize(asking("response_mode", "form_post"))
		f := posted(t, a, rpCallback)
		require.ElementsMatch(t, []string{"code", "state", "iss"}, keysOf(f))
		require.Equal(t, http.StatusOK, w.token(codeForm(f.Get("code"), "redirect_uri", rpCallback), "rp", webSecret).status)
		require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	})
	t.Run("AR-15 so is every error that a client is told", func(t *testing.T) {
		for code, q := range map[string]url.Values{
			"login_required":            asking("max_age", "0", "prompt", "none"),
			"consent_required":          asking("prompt", "none", "scope", "openid email"),
			"invalid_scope":             asking("scope", "openid admin"),
			"unsupported_response_type": asking("response_type", "token"),
			"invalid_request":           asking("response_type", ""),
			"request_not_supported":     asking("request", "e30.e30."),
			"invalid_target":            asking("resource", "https://evil.example"),
		} {
			q.Set("response_mode", "form_post")
			f := posted(t, b.authorize(q), rpCallback)
			require.Equal(t, code, f.Get("error"))
			require.Equal(t, "xyz", f.Get("state"))
			require.Equal(t, w.issuer, f.Get("iss"))
			require.NotContains(t, f, "code")
		}
		q := asking("response_mode", "form_post", "prompt", "none")
		require.Equal(t, "login_required", posted(t, w.browser().authorize(q), rpCallback).Get("error"))
	})
	t.Run("AR-15 and what is repeated is no reason to answer otherwise", func(t *testing.T) {
		q := asking("response_mode", "form_post")
		q.Add("nonce", "another")
		require.Equal(t, "invalid_request", posted(t, b.authorize(q), rpCallback).Get("error"))
		q = asking("response_mode", "form_post")
		q.Add("response_mode", "form_post")
		redirected(t, b.authorize(q), "invalid_request")
	})
	t.Run("AR-15 a denial is posted, after the page", func(t *testing.T) {
		page := b.authorize(asking("response_mode", "form_post", "prompt", "consent"))
		require.Equal(t, "access_denied", posted(t, b.decide(page, "deny"), rpCallback).Get("error"))
	})
	t.Run("AZ-17 query and form_post, and nothing else", func(t *testing.T) {
		require.NotEmpty(t, b.authorize(asking("response_mode", "query")).location(t).Get("code"))
		for _, mode := range []string{"fragment", "query.jwt", "form_post.jwt", "web_message", "Form_Post", "form_post query"} {
			redirected(t, b.authorize(asking("response_mode", mode)), "invalid_request")
		}
	})
	t.Run("AR-15 an error page for the user stays one", func(t *testing.T) {
		errorPage(t, b.authorize(asking("response_mode", "form_post", "redirect_uri", "https://evil.example/")))
		w.enroll(&authwright.Client{ID: "stranger", RedirectURIs: []string{rpCallback}, Scopes: []string{"openid"}, Unverified: true})
		errorPage(t, b.authorize(asking("response_mode", "form_post", "client_id", "stranger", "scope", "admin")))
	})
}

func keysOf(f url.Values) []string {
	var names []string
	for name := range f {
		names = append(names, name)
	}
	return names
}

package examples_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMux(t *testing.T) {
	t.Parallel()
	site := start(t, "mux")
	issuer := site + "/oauth"
	b := newBrowser(t)
	alice := url.Values{"username": {"alice"}, "password": {"wonderland"}}

	require.Equal(t, http.StatusNotFound, b.open(site+"/nowhere").status, "the host's own catch-all")
	form := b.open(authorizeURL(issuer, "reader", "books:read books:lend"))
	require.Equal(t, "/login", form.url.Path)
	form = form.submit("login", url.Values{"username": {"alice"}, "password": {"sesame"}})
	require.Equal(t, http.StatusUnauthorized, form.status)
	require.NotEmpty(t, form.text("error"))
	consent := form.submit("login", alice)
	require.Contains(t, consent.body, "Connect Pocket Reader?", "the host's own page")
	require.Contains(t, consent.body, "Lend your books to others")
	require.Equal(t, "frame-ancestors 'none'", consent.header.Get("Content-Security-Policy"))
	back := consent.submit("approve", url.Values{"scope": {"books:read"}})

	first := redeem(t, issuer, "reader", codeOf(t, back, issuer))
	require.Equal(t, "books:read", first.Scope)
	var claims struct{ Permissions []string }
	require.NoError(t, verify(t, issuer, first.Access).Claims(&claims))
	require.Equal(t, []string{"shelf.view"}, claims.Permissions)
	second := refresh(t, issuer, "reader", first.Refresh)
	require.NotEmpty(t, second.Refresh)

	apps := b.open(site).follow("apps")
	require.Contains(t, apps.body, "<b>Pocket Reader</b>")
	require.Contains(t, apps.body, "books:read")
	require.NotContains(t, apps.body, "books:lend")
	foreign, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site+"/apps/disconnect", strings.NewReader("client=reader"))
	require.NoError(t, err)
	foreign.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	foreign.Header.Set("Origin", "https://evil.example")
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	require.Equal(t, http.StatusForbidden, b.do(foreign).status)
	require.Contains(t, b.open(site+"/apps").body, "Pocket Reader", "another site cannot disconnect it")

	apps = apps.submit("disconnect-reader", nil)
	require.NotNil(t, apps.find("none"), apps.body)
	require.Equal(t, "invalid_grant", refresh(t, issuer, "reader", second.Refresh).Error)
}

func TestMuxRefuses(t *testing.T) {
	t.Parallel()
	site := start(t, "mux")
	t.Run("a login that leads elsewhere", func(t *testing.T) {
		t.Parallel()
		for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/\t/evil.example", "evil"} {
			p := newBrowser(t).open(site + "/login?" + url.Values{"next": {next}}.Encode())
			p = p.submit("login", url.Values{"username": {"alice"}, "password": {"wonderland"}})
			require.Equal(t, site+"/", p.url.String(), next)
		}
	})
	t.Run("to disconnect for nobody", func(t *testing.T) {
		t.Parallel()
		resp, err := http.PostForm(site+"/apps/disconnect", url.Values{"client": {"reader"}})
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusForbidden, resp.StatusCode)
	})
	t.Run("nothing to clients that call from a page of their own", func(t *testing.T) {
		t.Parallel()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, site+"/oauth/token", strings.NewReader("grant_type=refresh_token&client_id=reader&refresh_token=x"))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "https://reader.example")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		p := newBrowser(t).do(req)
		require.Equal(t, http.StatusBadRequest, p.status)
		require.Contains(t, p.body, "invalid_grant")
	})
	t.Run("a denied request", func(t *testing.T) {
		t.Parallel()
		p := newBrowser(t).open(authorizeURL(site+"/oauth", "reader", "books:read"))
		p = p.submit("login", url.Values{"username": {"alice"}, "password": {"wonderland"}}).submit("deny", nil)
		require.Contains(t, p.header.Get("Location"), callback+"?error=access_denied")
	})
}

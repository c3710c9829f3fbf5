package integration_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// TestAttacksOnRedirects is section R of docs/threat-model.md.
func TestAttacksOnRedirects(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "R01 user information before another host", run: noRedirectTo("https://app.example.com@evil.test/cb", "https://app.example.com:x@evil.test/cb", "https://user@app.example.com/cb")},
		{name: "R03 what a browser reads differently", run: noRedirectTo(`https://evil.test\@app.example.com/cb`, `https:\\app.example.com/cb`, "https:/app.example.com/cb", "https:app.example.com/cb",
			"//app.example.com/cb", "https:///app.example.com/cb", "https://app.example.com\t/cb", " https://app.example.com/cb", "https://app.example.com/cb ", "https://app.example.com/cb\n")},
		{name: "R04 dot segments", run: noRedirectTo(c1URI+"/../evil", "https://app.example.com/./cb", c1URI+"/..;/evil", c1URI+"/%2e%2e/evil", "https://app.example.com/x/../cb")},
		{name: "R06 a fragment", run: fragmentRedirects},
		{name: "R08 more slashes or fewer", run: noRedirectTo(c1URI+"/", "https://app.example.com//cb", c1URI+"//", "https://app.example.com", "https://app.example.com/")},
		{name: "R10 the port of a loopback address", run: loopbackRedirects},
		{name: "R13 a name that looks alike", run: noRedirectTo("https://xn--pp-7kc.example.com/cb", "https://аpp.example.com/cb", "https://ａpp.example.com/cb",
			"https://app。example.com/cb", "https://app\u00ad.example.com/cb", "https://APP.example.com/cb", "HTTPS://app.example.com/cb", "https://app.example.com./cb", "https://%61pp.example.com/cb")},
		{name: "R14 begins, ends or contains alike", run: noRedirectTo("https://app.example.com.evil.test/cb", "https://evilapp.example.com/cb", "https://sub.app.example.com/cb", c1URI+"x",
			c1URI+".evil", "https://evil.test/?"+c1URI, "https://evil.test/"+c1URI, "http://app.example.com/cb", "https://app.example.com:443/cb", "https://app.example.com:8443/cb", "https://app.example.com/CB", "https://app.example.com/%63b")},
		{name: "R15 another query", run: queryRedirects},
		{name: "R16 two redirect URIs", run: twoRedirects},
		{name: "R17 no redirect URI", run: absentRedirects},
		{name: "R18 a registration that leads elsewhere", run: badRegistrations},
		{name: "R20 private-use schemes", run: schemeRedirects},
		{name: "R23 another redirect URI with the code", run: redirectsWithCode},
	})
}

func noRedirectTo(uris ...string) func(*testing.T, *victim) {
	return func(t *testing.T, v *victim) {
		alice := v.signedIn("alice")
		for _, uri := range uris {
			alice.authorize(asking("redirect_uri", uri)).errorPage(t, uri)
			v.stranger().authorize(asking("redirect_uri", uri)).errorPage(t, uri)
		}
		alice.authorize(asking()).question(t)
	}
}

func fragmentRedirects(t *testing.T, v *victim) {
	noRedirectTo(c1URI+"#frag", c1URI+"#", c1URI+"%23frag")(t, v)
	for _, uri := range []string{c1URI + "#frag", c1URI + "#"} {
		require.ErrorContains(t, v.store.AddClient(t.Context(), &authwright.Client{ID: "new", RedirectURIs: []string{uri}}), "fragment")
	}
}

func loopbackRedirects(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	for _, uri := range []string{"http://127.0.0.1:51004/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1/cb"} {
		page := alice.authorize(asking("client_id", "n1", "redirect_uri", uri))
		require.NotEmpty(t, alice.decide(page, "approve", "read").toClient(t, uri).Get("code"))
	}
	for _, uri := range []string{
		"http://127.0.0.1:51004/evil", "http://127.0.0.1/cbx", "http://127.0.0.1:51004/cb/x", "http://127.0.0.1:51004", "http://localhost:51004/cb", "http://[::1]:51004/cb", "https://127.0.0.1:51004/cb",
		"http://127.0.0.1.evil.test/cb", "http://127.0.0.1:80@evil.test/cb", "http://127.0.0.1:x/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:510041/cb", "http://0.0.0.0/cb", "http://127.1/cb",
	} {
		alice.authorize(asking("client_id", "n1", "redirect_uri", uri)).errorPage(t, uri)
	}
	noRedirectTo("https://app.example.com:51004/cb")(t, v) // for loopback addresses only
}

func queryRedirects(t *testing.T, v *victim) {
	noRedirectTo(c1URI+"?x=1", c1URI+"?", c1URI+"?code=evil")(t, v)
	v.updateClient("c1", func(c *authwright.Client) { c.RedirectURIs = []string{c1URI + "?a=1&b=2"} })
	alice := v.signedIn("alice")
	for _, query := range []string{"?a=1", "?b=2&a=1", "?a=1&b=2&c=3", "?a=%31&b=2", "?a=1&b=2&", "?a=1&&b=2", "?a=1;b=2", ""} {
		alice.authorize(asking("redirect_uri", c1URI+query)).errorPage(t, query)
	}
	alice.authorize(asking("redirect_uri", c1URI+"?a=1&b=2")).question(t)
}

func twoRedirects(t *testing.T, v *victim) {
	const evil = "https://evil.test/cb"
	alice, rest := v.signedIn("alice"), asking("redirect_uri", "").Encode()
	for _, both := range [][2]string{{c1URI, evil}, {evil, c1URI}, {c1URI, c1URI}} {
		first, second := url.Values{"redirect_uri": {both[0]}}, url.Values{"redirect_uri": {both[1]}}
		alice.authorizeRaw(rest+"&"+first.Encode()+"&"+second.Encode()).errorPage(t, both)
		// One in the URL and one in the body; a POST is answered by a redirect to itself.
		a := alice.post("/authorize?"+first.Encode(), changed(asking(), "redirect_uri", both[1]))
		a.errorPage(t, both)
	}
}

func absentRedirects(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	page := alice.authorize(asking("redirect_uri", "")) // with one that is registered, it is known which
	require.NotEmpty(t, alice.decide(page, "approve", "read").toClient(t, c1URI).Get("code"))
	alice.authorize(asking("redirect_uri", "", "scope", "openid")).errorPage(t)
	alice.authorize(asking("redirect_uri", "", "client_id", "n1")).errorPage(t) // which has two
}

func badRegistrations(t *testing.T, v *victim) {
	for _, uri := range []string{
		"javascript:alert(1)", "JavaScript:alert(1)", "javascript://app.example.com/%0aalert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://app.example.com/x",
		"http://app.example.com/cb", "https://*.example.com/cb", "https://app.example.com/*", "", "/cb", "cb", "//app.example.com/cb", "https://", "https:///cb", "https://app.example.com",
		"https://user@app.example.com/cb", "app:/cb", "myapp://cb", "http://127.0.0.1.evil.test/cb", "https://app.example.com\\@evil.test/cb", "https://аpp.example.com/cb", "https://app.example.com/cb\n",
	} {
		err := v.store.AddClient(t.Context(), &authwright.Client{ID: "new", RedirectURIs: []string{"https://good.example/cb", uri}})
		require.ErrorContains(t, err, "RedirectURIs", uri)
		_, err = v.store.Client(t.Context(), "new")
		require.ErrorIs(t, err, authwright.ErrNotFound)
		c, err := v.store.Client(t.Context(), "c1")
		require.NoError(t, err)
		c.RedirectURIs = append(c.RedirectURIs, uri)
		require.ErrorContains(t, v.store.UpdateClient(t.Context(), c), "RedirectURIs", uri)
	}
}

func schemeRedirects(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	page := alice.authorize(asking("client_id", "n1", "redirect_uri", "com.example.app:/cb"))
	require.NotEmpty(t, alice.decide(page, "approve", "read").toClient(t, "com.example.app:/cb").Get("code"))
	for _, uri := range []string{"com.example.app://evil/cb", "com.example.app:/cb?x", "COM.example.app:/cb", "com.example.app:cb", "com.example.app:/cb/", "com.example.app.evil:/cb", "com.example.app:///cb"} {
		alice.authorize(asking("client_id", "n1", "redirect_uri", uri)).errorPage(t, uri)
	}
}

func redirectsWithCode(t *testing.T, v *victim) {
	code := v.code(asking())
	for _, uri := range []string{
		"https://APP.example.com/cb", "https://app.example.com/CB", c1URI + "/", "https://app.example.com:443/cb", "https://app.example.com/%63b", c1URI + "?", c2URI, "x",
	} {
		v.token(redeeming(code, "redirect_uri", uri), "c1", secretOf1).refused(t, "invalid_grant")
	}
	v.token(redeeming(code), "c1", secretOf1).granted(t) // nobody has spent it

	native := v.code(asking("client_id", "n1", "redirect_uri", "http://127.0.0.1:51004/cb"))
	v.token(redeeming(native, "client_id", "n1", "redirect_uri", "http://127.0.0.1:51005/cb")).refused(t, "invalid_grant")
	require.Equal(t, http.StatusOK, v.token(redeeming(native, "client_id", "n1", "redirect_uri", "http://127.0.0.1:51004/cb")).status)
}

package authwright

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// redirectAttacks are what has been tried on other servers: user information, backslashes,
// one slash, dots, fragments, homographs, substrings, queries, schemes.
var redirectAttacks = []string{
	"https://app.example.com/cb", "https://app.example.com@evil.test/cb", "https://evil.test\\@app.example.com/cb",
	"https:\\\\app.example.com/cb", "https:/app.example.com/cb", "https:app.example.com/cb", "//app.example.com/cb",
	"https://app.example.com/cb/../evil", "https://app.example.com/./cb", "https://app.example.com/cb/..;/evil",
	"https://app.example.com/cb#frag", "https://app.example.com/cb/", "https://app.example.com//cb", "https://app.example.com/cb//",
	"https://app.example.com:443/cb", "HTTPS://app.example.com/cb", "https://APP.example.com/cb", "https://app.example.com/%63b",
	"https://xn--pp-8ka.example.com/cb", "https://аpp.example.com/cb", "https://ａpp.example.com/cb", "https://app。example.com/cb",
	"https://app\u00ad.example.com/cb", "https://app.example.com.evil.test/cb", "https://evilapp.example.com/cb", "https://app.example.com./cb",
	"https://sub.app.example.com/cb", "https://app.example.com/cbx", "https://app.example.com/cb.evil", "https://*.example.com/cb",
	"https://app.example.com/cb?x=1", "https://app.example.com/cb?a=%31", "https://app.example.com/cb?", "https://app.example.com?/cb", "https://app.example.com",
	"https://%61pp.example.com/cb", "https://%EF%BD%81pp.example.com/cb", "https://%80/cb", "https://xn--0-/cb", "https://app.Xn--a-.example/cb", "https://+0/cb", "https://-0/cb", "https://0x-1/cb", "https://0-0/cb", "https://a!b/cb", "https://a_b.example/cb", "https://0x7f.1/cb", "https://2130706433/cb", "https://1.2.3/cb", "https://127.0.0.1./cb", "https://a.1/cb",
	"https://[::1%25lo]/cb", "https://[x]/cb", "https://[::ffff:1.2.3.4]/cb", "https://app.example.com:65536/cb", "https://app.example.com:/cb",
	"http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", "http://127.0.0.1:/cb", "http://127.0.0.1:99999999/cb", "http://127.0.0.1:80@evil.test/cb",
	"http://127.0.0.1.evil.test/cb", "http://127.0.0.1:8080", "http://127.0.0.1?cb", "http://127.1/cb", "http://2130706433/cb", "http://0x7f.0.0.1/cb",
	"http://[::1]/cb", "http://[::1]:8/cb", "http://[::1%25lo]/cb", "http://[0:0:0:0:0:0:0:1]/cb", "http://localhost/cb", "http://localhost:3000/cb", "http://LOCALHOST/cb",
	"com.example.app:/cb", "com.example.app://evil/cb", "com.example.app:cb", "COM.example.app:/cb", "com.example.app:/cb?x", "app:/cb",
	"javascript:alert(1)", "javascript://app.example.com/%0aalert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "view-source:https://app.example.com/",
	"https://app.example.com/cb\x00", "https://app.example.com/cb\r\nX: y", "https://app.example.com/cb\t", " https://app.example.com/cb", "https://app.example.com/{x}", "",
}

// loopback is the one family of URIs of which the port is free (RFC 8252, section 7.3).
var loopback = regexp.MustCompile(`(?s)\A(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::[0-9]{1,5})?((?:[/?].*)?)\z`)

// numeric is a label that makes a host an IPv4 address to a browser.
var numeric = regexp.MustCompile(`\A(?:[0-9-]+|0[xX][0-9a-fA-F-]*)\z`)

// What matches is the same bytes, or the same loopback address on another port.
func FuzzMatchRedirect(f *testing.F) {
	for i, uri := range redirectAttacks {
		f.Add(redirectAttacks[0], uri, i%2 == 0)
		f.Add("http://127.0.0.1/cb", uri, i%2 == 0)
		f.Add("http://localhost:8/cb", uri, i%2 == 0)
	}
	f.Fuzz(func(t *testing.T, registered, uri string, localhost bool) {
		matches := matchRedirect(registered, uri, localhost)
		require.Equal(t, matches, matchRedirect(uri, registered, localhost), "it is symmetric")
		if registered == uri {
			require.Equal(t, uri != "", matches)
			return
		}
		a, b := loopback.FindStringSubmatch(registered), loopback.FindStringSubmatch(uri)
		want := a != nil && b != nil && a[1] == b[1] && a[2] == b[2] && (localhost || a[1] != "http://localhost")
		require.Equal(t, want, matches)
	})
}

// What may be registered is what every parser takes for the same absolute URI.
func FuzzRedirectURI(f *testing.F) {
	for _, uri := range redirectAttacks {
		f.Add(uri)
	}
	f.Fuzz(func(t *testing.T, uri string) {
		if validateRedirectURI(uri) != nil {
			return
		}
		require.True(t, isPrintableASCII(uri))
		require.NotContains(t, uri, "#")
		require.NotContains(t, uri, `\`)
		require.NotContains(t, uri, "*")
		u, err := url.Parse(uri)
		require.NoError(t, err)
		require.True(t, u.IsAbs())
		require.Nil(t, u.User)
		require.Empty(t, u.Opaque)
		require.NotContains(t, forbiddenSchemes, strings.ToLower(u.Scheme))
		again, err := url.Parse(u.String())
		require.NoError(t, err)
		require.Equal(t, u, again, "it survives a round trip")
		switch u.Scheme {
		case "https":
			require.True(t, isHTTPS(uri))
		case "http":
			require.Contains(t, []string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
		default:
			require.Contains(t, u.Scheme, ".")
			require.False(t, isHTTPS(uri))
			return
		}
		// A browser ends the authority at the first slash or question mark.
		_, rest, ok := strings.Cut(uri, "://")
		require.True(t, ok)
		host, _, ok := strings.Cut(rest, "/")
		require.True(t, ok)
		require.Equal(t, u.Host, host)
		require.NotContains(t, host, "@")
		require.Regexp(t, `\A([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]*)?\z`, host, "what one reads otherwise is another's host")
		require.NotRegexp(t, `(\A|\.)-|-(\.|\z)`, u.Hostname(), "no label has such an end; Punycode of ASCII does")
		if last := strings.Split(strings.TrimSuffix(u.Hostname(), "."), "."); numeric.MatchString(last[len(last)-1]) {
			_, err := netip.ParseAddr(u.Hostname())
			require.NoError(t, err, "a browser would find the address it means")
		}
	})
}

// What was registered stays, byte for byte, and of the response's parameters each is there
// once, as it was sent.
func FuzzWithResponse(f *testing.F) {
	for _, uri := range redirectAttacks {
		f.Add(uri, "code", "xyz", "a&b=c#d")
	}
	f.Add("https://app.example.com/cb?code=old&a=1&%63ode=x&state", "code", "n&ew", "st ate")
	f.Add("https://app.example.com/cb?&&=&%zz&a;b=1?x=2", "error", "access_denied", "\x00\xff")
	f.Fuzz(func(t *testing.T, uri, name, value, state string) {
		if !slices.Contains([]string{"code", "error", "error_description"}, name) || strings.Contains(uri, "#") {
			return
		}
		target := withResponse(uri, form{{name, value}, {"state", state}, {"iss", "https://as.example"}})
		base, query, asked := strings.Cut(uri, "?")
		rest, ok := strings.CutPrefix(target, base+"?")
		require.True(t, ok, target)
		pairs := strings.Split(rest, "&")
		added := pairs[len(pairs)-3:]
		for i, p := range []param{{name, value}, {"state", state}, {"iss", "https://as.example"}} {
			require.Equal(t, p.name+"="+strings.ReplaceAll(url.QueryEscape(p.value), "+", "%20"), added[i])
		}
		kept := pairs[:len(pairs)-3]
		if !asked {
			require.Empty(t, kept)
			return
		}
		var want []string
		for pair := range strings.SplitSeq(query, "&") {
			key, _, _ := strings.Cut(pair, "=")
			if plain, err := url.QueryUnescape(key); err == nil && slices.Contains(responseParams, plain) {
				continue
			}
			want = append(want, pair)
		}
		require.Equal(t, strings.Join(want, "&"), strings.Join(kept, "&"))
	})
}

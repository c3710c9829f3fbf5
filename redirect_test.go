package authwright_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// What may be registered as a redirect URI: RFC 6749, section 3.1.2.2, and RFC 9700,
// section 2.1.
func TestRedirectRegistration(t *testing.T) {
	t.Parallel()

	// none of uris can be registered, nor used where a host has stored it all the same.
	none := func(t *testing.T, uris ...string) {
		t.Helper()
		for _, uri := range uris {
			_, err := authwright.NewMemory(&authwright.Client{ID: "spa", RedirectURIs: []string{uri}})
			require.ErrorContains(t, err, "RedirectURIs", uri)
			w := newWorld(t, registered("spa", uri))
			for _, prompt := range []string{"", "none"} {
				errorPage(t, w.signedIn("alice").authorize(request("client_id", "spa", "redirect_uri", uri, "prompt", prompt)))
			}
		}
	}
	fine := func(t *testing.T, uris ...string) {
		t.Helper()
		for _, uri := range uris {
			w := newWorld(t)
			w.enroll(&authwright.Client{ID: "fine", RedirectURIs: []string{uri}, Scopes: []string{"read", "write"}})
			b := w.signedIn("alice")
			a := b.decide(b.authorize(request("client_id", "fine", "redirect_uri", uri)), "approve", "read")
			require.NotEmpty(t, a.location(t).Get("code"))
			require.True(t, strings.HasPrefix(a.header.Get("Location"), uri), a.header.Get("Location"))
		}
	}

	t.Run("RU-01 a client without a redirect URI has no use of the endpoint", func(t *testing.T) {
		_, err := authwright.NewMemory(&authwright.Client{ID: "spa"})
		require.ErrorContains(t, err, "RedirectURIs")
		w := newWorld(t, registered("spa"))
		for _, uri := range []string{"", "https://spa.example/cb"} {
			errorPage(t, w.signedIn("alice").authorize(request("client_id", "spa", "redirect_uri", uri)))
		}
	})
	t.Run("RU-01 a redirect URI is complete", func(t *testing.T) {
		none(t, "", "/cb", "cb", "//spa.example/cb", "spa.example/cb", "https://", "https:///cb", "https:/cb", "https:spa.example/cb",
			"https://spa.example", "https://spa.example?x=1", "com.example.app:", "com.example.app:cb", "HTTPS://spa.example/cb")
		fine(t, "https://spa.example/", "https://spa.example:8443/cb?x=1", "https://[2001:db8::1]/cb")
	})
	t.Run("RU-02 a redirect URI with a fragment is refused", func(t *testing.T) {
		none(t, "https://spa.example/cb#f", "https://spa.example/cb#", "https://spa.example/cb?x=1#", "com.example.app:/cb#f", "http://127.0.0.1/cb#")
	})
	t.Run("RU-08 plain http is for the loopback interface only", func(t *testing.T) {
		none(t, "http://spa.example/cb", "http://10.0.0.1/cb", "http://192.168.1.1/cb", "http://0.0.0.0/cb", "http://[::]/cb", "http://[::2]/cb",
			"http://localhost.evil.example/cb", "http://127.0.0.1.evil.example/cb", "http://notlocalhost/cb", "HTTP://127.0.0.1/cb",
			"http://user@127.0.0.1/cb", "http://127.0.0.1@evil.example/cb", `http://127.0.0.1\@evil.example/cb`)
		fine(t, "http://127.0.0.1/cb", "http://[::1]:8080/cb", "http://localhost/cb")
	})
	t.Run("RU-09 a private-use scheme is a reversed domain name", func(t *testing.T) {
		none(t, "app:/cb", "app://cb", "myapp:/oauth/cb", "x-app:/cb", "COM.example.app:/cb")
		fine(t, "com.example.app:/cb", "com.example.app://callback/cb")
	})
	t.Run("RU-09 a scheme that does not lead to an application is refused", func(t *testing.T) {
		for _, scheme := range []string{
			"javascript", "data", "file", "blob", "about", "vbscript", "view-source", "ws", "wss", "mailto", "tel", "ftp",
			"JavaScript", "DATA",
		} {
			none(t, scheme+":alert(1)", scheme+":/cb", scheme+"://spa.example/cb", scheme+":text/html,x.y")
		}
		none(t, "java\tscript:alert(1)", " javascript:alert(1)", "view-source:https://spa.example/cb")
	})
	t.Run("RU-18 no pattern is accepted", func(t *testing.T) {
		none(t, "*", "https://*", "https://*/cb", "https://*.spa.example/cb", "https://spa.example/*", "https://spa.example/cb?*", "https://spa.example:*/cb",
			"https://spa.example/{path}", "https://spa.example/(a|b)", "https://spa.example/^cb", "http://127.0.0.1:*/cb", "com.example.*:/cb")
	})
	t.Run("RU-18 nothing is read as a pattern", func(t *testing.T) {
		w := newWorld(t, registered("spa", "https://spa.example/cb.?[a]+", "https://spa.example/", "https://spa.example/cb?x=."))
		for _, uri := range []string{"https://spa.example/cb", "https://spa.example/cbxa", "https://spa.example/cb?x=1", "https://sub.spa.example/"} {
			errorPage(t, w.signedIn("alice").authorize(request("client_id", "spa", "redirect_uri", uri)))
		}
	})
}

// How a redirect URI is compared with those that are registered: RFC 9700, section 4.1.3.
func TestRedirectMatching(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alwaysAsk)
	b := w.signedIn("alice")
	for id, uris := range map[string][]string{
		"plain":     {"https://plain.example/cb"},
		"query":     {"https://query.example/a/cb?x=1&y=%7E2"},
		"two":       {"https://two.example/a", "https://two.example/b"},
		"six":       {"http://[::1]/cb?x=1"},
		"port":      {"http://127.0.0.1:8080/cb"},
		"tls":       {"https://127.0.0.1/cb"},
		"localhost": {"http://localhost/cb"},
	} {
		w.enroll(&authwright.Client{ID: id, RedirectURIs: uris, Scopes: []string{"read", "write"}})
	}
	w.enroll(&authwright.Client{ID: "backend", Secrets: []authwright.ClientSecret{stored(webSecret)}, RedirectURIs: []string{"http://localhost/cb"}, Scopes: []string{"read", "write"}})
	accepted := func(t *testing.T, id string, uris ...string) {
		t.Helper()
		for _, uri := range uris {
			a := b.decide(b.authorize(request("client_id", id, "redirect_uri", uri)), "approve", "read")
			require.NotEmpty(t, a.location(t).Get("code"))
			require.True(t, strings.HasPrefix(a.header.Get("Location"), uri), a.header.Get("Location"))
		}
	}
	rejected := func(t *testing.T, id string, uris ...string) {
		t.Helper()
		for _, uri := range uris {
			errorPage(t, b.authorize(request("client_id", id, "redirect_uri", uri)))
		}
	}

	t.Run("RU-03 matching is byte by byte", func(t *testing.T) {
		accepted(t, "plain", "https://plain.example/cb")
		rejected(t, "plain", "https://plain.example/cb/", "HTTPS://plain.example/cb", "https://Plain.example/cb", "https://plain.example/CB",
			"https://plain.example:443/cb", "https://plain.example:/cb", "https://plain.example./cb", "https://plain.example/%63b",
			"https://plain.example/cb?", "https://plain.example/cb?x=1", "https://plain.example/cb#", "https://plain.example/cb#f",
			"https://user@plain.example/cb", "https://@plain.example/cb", "https://plain.example@evil.example/cb",
			"https://plain.example/a/../cb", "https://plain.example/./cb", "https://plain.example//cb", "https://plain.example/cb/x", "https://plain.example/cbx",
			"https://plain.example/c", "https://plain.example/", "https://plain.example", "http://plain.example/cb", "//plain.example/cb", "/cb",
			"https://www.plain.example/cb", "https://plain.example.evil.example/cb", `https://plain.example\cb`, " https://plain.example/cb",
			"https://plain.example/cb ", "https://plain.example/cb\n", "https://plain.example/cb https://evil.example/")
	})
	t.Run("RU-03 the query is part of the URI", func(t *testing.T) {
		accepted(t, "query", "https://query.example/a/cb?x=1&y=%7E2")
		rejected(t, "query", "https://query.example/a/cb", "https://query.example/a/cb?x=1", "https://query.example/a/cb?y=%7E2&x=1",
			"https://query.example/a/cb?x=1&y=%7E2&z=3", "https://query.example/a/cb?x=1&y=%7e2", "https://query.example/a/cb?x=1&y=~2",
			"https://query.example/a/cb?x=1&y=%257E2", "https://query.example/a/cb?x=2&y=%7E2", "https://query.example/a/cb?X=1&y=%7E2")
	})
	t.Run("RU-04 the port of a loopback address is free", func(t *testing.T) {
		accepted(t, "cli", "http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:51004/cb", "http://127.0.0.1:65535/cb")
		accepted(t, "six", "http://[::1]/cb?x=1", "http://[::1]:51004/cb?x=1")
	})
	t.Run("RU-04 nothing but the port of a loopback address is free", func(t *testing.T) {
		rejected(t, "cli", "https://127.0.0.1:51004/cb", "HTTP://127.0.0.1:51004/cb", "http://127.0.0.2:51004/cb", "http://127.1:51004/cb",
			"http://2130706433:51004/cb", "http://0x7f.0.0.1:51004/cb", "http://127.0.0.1.:51004/cb", "http://user@127.0.0.1:51004/cb", "http://127.0.0.1:51004/",
			"http://127.0.0.1:51004/cb/", "http://127.0.0.1:51004/CB", "http://127.0.0.1:51004/%63b", "http://127.0.0.1:51004/cb?x=1", "http://127.0.0.1:51004/cb?",
			"http://127.0.0.1:51004/cb#", "http://127.0.0.1:51004", "http://127.0.0.1:/cb", "http://127.0.0.1:x/cb", "http://127.0.0.1:8o/cb", "http://127.0.0.1:-1/cb",
			"http://127.0.0.1:510040/cb", "http://127.0.0.1:80:80/cb")
		rejected(t, "six", "http://[::1]:51004/cb", "http://[::1]:51004/cb?x=2", "http://[0:0:0:0:0:0:0:1]/cb?x=1", "http://::1/cb?x=1", "http://[::ffff:127.0.0.1]/cb?x=1")
	})
	t.Run("RU-05 the port is free whether one is registered or not", func(t *testing.T) {
		accepted(t, "port", "http://127.0.0.1:8080/cb", "http://127.0.0.1:9090/cb", "http://127.0.0.1/cb")
		accepted(t, "cli", "http://127.0.0.1:9090/cb")
	})
	t.Run("RU-06 the spellings of the loopback interface do not match each other", func(t *testing.T) {
		rejected(t, "cli", "http://localhost/cb", "http://localhost:51004/cb", "http://[::1]/cb", "http://[::1]:51004/cb")
		rejected(t, "six", "http://127.0.0.1/cb?x=1", "http://localhost:51004/cb?x=1")
		rejected(t, "localhost", "http://127.0.0.1/cb", "http://[::1]:51004/cb", "http://LOCALHOST/cb", "http://localhost./cb")
	})
	t.Run("RU-06 https gets no exception", func(t *testing.T) {
		accepted(t, "tls", "https://127.0.0.1/cb")
		rejected(t, "tls", "https://127.0.0.1:8443/cb", "http://127.0.0.1/cb", "http://127.0.0.1:8443/cb")
	})
	t.Run("RU-06 what only looks like the loopback interface never matches", func(t *testing.T) {
		for _, host := range []string{"127.0.0.1", "localhost"} {
			id := map[string]string{"127.0.0.1": "cli", "localhost": "localhost"}[host]
			for _, uri := range []string{
				".evil.example/cb", "@evil.example/cb", ":80@evil.example/cb", ":80.evil.example/cb", `:80\@evil.example/cb`, `\@evil.example/cb`,
				"%2eevil.example/cb", ":80%40evil.example/cb", ":80#@evil.example/cb", "evil.example/cb", "-evil.example/cb", ":@evil.example:80/cb",
			} {
				rejected(t, id, "http://"+host+uri)
			}
			rejected(t, id, "http://user@"+host+"/cb", "http://user:pass@"+host+":80/cb", "http://@"+host+"/cb", "http://evil.example/"+host+"/cb")
		}
	})
	t.Run("RU-07 the port of localhost is free for public clients only", func(t *testing.T) {
		accepted(t, "localhost", "http://localhost/cb", "http://localhost:51004/cb")
		accepted(t, "backend", "http://localhost/cb")
		rejected(t, "backend", "http://localhost:51004/cb")
	})
	t.Run("RU-10 redirect_uri may be left out if there is only one", func(t *testing.T) {
		a := b.decide(b.authorize(request("client_id", "plain", "redirect_uri", "")), "approve", "read")
		require.True(t, strings.HasPrefix(a.header.Get("Location"), "https://plain.example/cb?code="), a.header.Get("Location"))
		rejected(t, "two", "")
		accepted(t, "two", "https://two.example/a", "https://two.example/b")
	})
}

// Where the browser is sent, and where it is not.
func TestRedirectTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alwaysAsk)
	b := w.signedIn("alice")
	faults := map[string]url.Values{
		"scope":         request("scope", "admin"),
		"response_type": request("response_type", "token"),
		"missing":       request("response_type", ""),
		"pkce":          request("code_challenge", ""),
		"response_mode": request("response_mode", "cookie"),
		"request":       request("request", "e30.e30."),
		"resource":      request("resource", "https://evil.example/"),
		"max_age":       request("max_age", "soon"),
		"client":        request("client_id", "machine"),
	}
	w.enroll(&authwright.Client{ID: "machine", RedirectURIs: []string{"https://web.example/cb"}, GrantTypes: []string{"client_credentials"}})

	t.Run("RU-11 with OpenID Connect redirect_uri must be there", func(t *testing.T) {
		w := newWorld(t, openIDWith(nil))
		w.enroll(&authwright.Client{ID: "rp", RedirectURIs: []string{"https://rp.example/cb"}, Scopes: []string{"openid", "read"}})
		b := w.signedIn("alice")
		for _, scope := range []string{"openid", "read openid"} {
			errorPage(t, b.authorize(request("client_id", "rp", "redirect_uri", "", "scope", scope)))
			consentPage(t, b.authorize(request("client_id", "rp", "redirect_uri", "https://rp.example/cb", "scope", scope)))
		}
		consentPage(t, b.authorize(request("client_id", "rp", "redirect_uri", "", "scope", "read")))
	})
	t.Run("RU-12 a wrong redirect_uri is never redirected to, whatever else is wrong", func(t *testing.T) {
		for _, uri := range []string{"https://evil.example/cb", "https://web.example/cb/", "javascript:alert(1)", "//evil.example"} {
			requests := []url.Values{request(), request("prompt", "none"), request("prompt", "none login")}
			for _, q := range faults {
				requests = append(requests, maps.Clone(q))
			}
			for _, q := range requests {
				q.Set("redirect_uri", uri)
				for _, browser := range []*browser{b, w.browser()} {
					a := browser.authorize(q)
					errorPage(t, a)
					require.NotContains(t, a.body, "evil.example")
				}
			}
		}
	})
	t.Run("RU-12 a redirect URI that was withdrawn meanwhile is not redirected to", func(t *testing.T) {
		w := newWorld(t)
		b := w.signedIn("alice")
		q := request("client_id", "spa", "redirect_uri", "https://spa.example/cb")
		for _, decision := range []string{"approve", "deny"} {
			page := b.authorize(q)
			update := func(uri string) {
				require.NoError(t, w.store.UpdateClient(t.Context(), &authwright.Client{ID: "spa", RedirectURIs: []string{uri}, Scopes: []string{"read", "write"}}))
			}
			update("https://spa.example/new")
			errorPage(t, b.decide(page, decision, "read"))
			errorPage(t, b.authorize(q))
			update("https://spa.example/cb")
		}
	})
	t.Run("RU-13 the query of the URI stays as it is", func(t *testing.T) {
		const uri = "https://odd.example/cb?x=a%20b&y=%7e&z=a+b&flag&empty=&x=2&v=%c3%A9&a=1"
		w.enroll(&authwright.Client{ID: "odd", RedirectURIs: []string{uri}, Scopes: []string{"read", "write"}})
		q := request("client_id", "odd", "redirect_uri", uri)
		for prefix, a := range map[string]answer{
			"&code=":  b.decide(b.authorize(q), "approve", "read"),
			"&error=": b.decide(b.authorize(q), "deny"),
		} {
			require.True(t, strings.HasPrefix(a.header.Get("Location"), uri+prefix), a.header.Get("Location"))
		}
	})
	t.Run("RU-14 a response parameter is there once", func(t *testing.T) {
		const uri = "https://twice.example/cb?state=1&code=2&iss=3&error=4&error_description=5&error_uri=6&keep=7&st%61te=8&code"
		w.enroll(&authwright.Client{ID: "twice", RedirectURIs: []string{uri}, Scopes: []string{"read", "write"}})
		q := request("client_id", "twice", "redirect_uri", uri)

		good := b.decide(b.authorize(q), "approve", "read").location(t)
		require.NotEqual(t, "2", good.Get("code"))
		require.Len(t, good["code"], 1)
		require.Equal(t, url.Values{"code": good["code"], "state": {"xyz"}, "iss": {w.issuer}, "keep": {"7"}}, good)

		bad := b.decide(b.authorize(q), "deny").location(t)
		require.Equal(t, url.Values{"error": {"access_denied"}, "state": {"xyz"}, "iss": {w.issuer}, "keep": {"7"}}, bad)

		q.Del("state")
		require.NotContains(t, b.decide(b.authorize(q), "approve", "read").location(t), "state")
	})
	t.Run("RU-15 no endpoint forwards to a URL from a parameter", func(t *testing.T) {
		evil := url.Values{}
		for _, name := range []string{"next", "return_to", "returnTo", "return_url", "url", "target", "continue", "redirect", "post_logout_redirect_uri", "iss", "error_uri"} {
			evil.Set(name, "https://evil.example/")
		}
		a := w.browser().raw(request("prompt", "none").Encode() + "&" + evil.Encode())
		require.True(t, strings.HasPrefix(a.header.Get("Location"), "https://web.example/cb?error="), a.header.Get("Location"))
		a = w.browser().still().raw(request().Encode() + "&" + evil.Encode())
		require.True(t, strings.HasPrefix(a.location(t).Get("next"), "/authorize?"), a.header.Get("Location"))

		evil.Set("redirect_uri", "https://evil.example/")
		evil.Set("client_id", "web")
		for _, a := range []answer{
			b.raw(evil.Encode()),
			b.post("/consent?"+evil.Encode(), evil),
			b.get(w.issuer + "/consent?" + evil.Encode()),
		} {
			require.GreaterOrEqual(t, a.status, 400)
			require.Empty(t, a.header.Get("Location"))
			require.NotContains(t, a.body, `href="http`)
		}
		page := b.authorize(request())
		_, handle := page.question(t)
		b.signIn("bob") // so that the request starts again
		a = b.still().post("/consent?"+evil.Encode(), url.Values{"consent": {handle}, "decision": {"approve"}})
		require.True(t, strings.HasPrefix(a.header.Get("Location"), "/authorize?"), a.header.Get("Location"))
		errorPage(t, b.get(w.ts.URL+a.header.Get("Location")))
	})
	t.Run("RU-15 nor does the end of a session", func(t *testing.T) {
		w := newWorld(t, openIDWith(func(http.ResponseWriter, *http.Request) error { return nil }))
		w.enroll(&authwright.Client{ID: "rp", RedirectURIs: []string{"https://rp.example/cb"}, PostLogoutRedirectURIs: []string{"https://rp.example/bye"}})
		for _, b := range []*browser{w.signedIn("alice"), w.browser()} {
			for _, q := range []string{"", "client_id=rp&", "client_id=web&"} {
				for _, uri := range []string{"https://evil.example/", "https://rp.example/bye/", "https://rp.example/cb", "//evil.example"} {
					errorPage(t, b.get(w.issuer+"/logout?"+q+"confirm=yes&post_logout_redirect_uri="+url.QueryEscape(uri)))
				}
			}
		}
	})
	t.Run("RU-17 nobody is sent on at once to a client that nobody has vouched for", func(t *testing.T) {
		w.enroll(&authwright.Client{ID: "stranger", RedirectURIs: []string{"https://stranger.example/cb"}, Scopes: []string{"read", "write"}, Unverified: true})
		a := b.authorize(request("client_id", "stranger", "redirect_uri", "https://stranger.example/cb", "scope", "admin"))
		errorPage(t, a)
		require.Regexp(t, `id="back"[^>]*href="https://stranger\.example/cb\?error=invalid_scope&amp;`, a.body)
	})
	t.Run("RU-16 nobody is sent to a client's address before the login", func(t *testing.T) {
		for name, q := range faults {
			b := w.browser()
			a := b.still().authorize(q)
			require.Equal(t, http.StatusSeeOther, a.status)
			require.True(t, strings.HasPrefix(a.header.Get("Location"), "/login?"), "%s: %s", name, a.header.Get("Location"))
			a = b.authorize(q)
			require.NotEmpty(t, a.location(t).Get("error"), name)
			require.True(t, strings.HasPrefix(a.header.Get("Location"), "https://web.example/cb?"), name)
			silent := maps.Clone(q)
			silent.Set("prompt", "none")
			require.NotEmpty(t, w.browser().still().authorize(silent).location(t).Get("error"), "with prompt=none there is no login")
		}
	})
}

// signIn signs name in, in the place of whoever is.
func (b *browser) signIn(name string) {
	u, err := url.Parse(b.w.ts.URL)
	require.NoError(b.w.t, err)
	b.Jar.SetCookies(u, []*http.Cookie{b.w.session(name)})
}

// registered is a change of Config with which the client id is found to have uris,
// whatever the store would have said about them.
func registered(id string, uris ...string) func(*authwright.Config) {
	return func(cfg *authwright.Config) {
		cfg.Storage = registry{cfg.Storage, func(c *authwright.Client) {
			if c.ID == id {
				c.RedirectURIs = uris
			}
		}}
	}
}

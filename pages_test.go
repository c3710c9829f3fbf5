package authwright_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// The pages a browser shows on behalf of the server: RFC 9700, sections 4.2.4 and 4.16.
func TestPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, alwaysAsk, openIDWith(func(http.ResponseWriter, *http.Request) error { return nil }))
	b := w.signedIn("alice")
	pages := w.pages(t)

	t.Run("UI-01 no page can be framed", func(t *testing.T) {
		for name, a := range pages {
			require.Contains(t, a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'", name)
			require.Equal(t, "DENY", a.header.Get("X-Frame-Options"), name)
		}
	})
	t.Run("UI-01 no page of the host can be framed either", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) { cfg.Authenticator, cfg.Consent = hostPages{w.currentUser}, hostPages{} })
		for body, a := range map[string]answer{"log in": w.browser().authorize(request()), "consent": w.signedIn("alice").authorize(request())} {
			require.Equal(t, body, a.body)
			require.Contains(t, a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
			require.Equal(t, "DENY", a.header.Get("X-Frame-Options"))
			require.Equal(t, "no-referrer", a.header.Get("Referrer-Policy"))
			require.Equal(t, "no-store", a.header.Get("Cache-Control"))
		}
	})
	t.Run("UI-07 the page says who asks for what, where it leads and until when", func(t *testing.T) {
		page := b.authorize(request())
		for _, text := range []string{"Web Notes", "alice", "Read your notes", "Change your notes", "web.example", "20 February 2027"} {
			require.Contains(t, page.body, text)
		}
		require.NotContains(t, page.body, "Administer everything")
		require.NotContains(t, page.body, "on this device")
		require.NotContains(t, b.authorize(request("scope", "read")).body, "Change your notes")

		page = b.authorize(request("client_id", "cli", "redirect_uri", "http://127.0.0.1:51004/cb"))
		require.Contains(t, page.body, "Command Line")
		require.Contains(t, page.body, "<bdi>127.0.0.1</bdi></strong>, an application on this device")

		const uri = "com.example.app://bank.example/cb" // any application can write that
		w.enroll(&authwright.Client{ID: "app", RedirectURIs: []string{uri}, Scopes: []string{"read", "write"}})
		page = b.authorize(request("client_id", "app", "redirect_uri", uri))
		require.Contains(t, page.body, "<bdi>com.example.app</bdi></strong>, an application on this device")
		require.NotContains(t, page.body, ">bank.example<")
	})
	t.Run("UI-07 access that is not refreshed ends with its token", func(t *testing.T) {
		w.enroll(&authwright.Client{ID: "once", RedirectURIs: []string{"https://web.example/cb"}, Scopes: []string{"read", "write"}, GrantTypes: []string{"authorization_code"}})
		require.Contains(t, b.authorize(request("client_id", "once")).body, "22 November 2026")
	})
	t.Run("UI-09 the page names the hosts of a client that introduced itself, and warns of one on the device", func(t *testing.T) {
		const id, uri = "https://app.example/client.json", "http://127.0.0.1/cb"
		w.enroll(&authwright.Client{ID: id, Name: "Your Bank", RedirectURIs: []string{uri, "https://cb.example/cb"}, Scopes: []string{"read", "write"}, Unverified: true})
		page := b.authorize(request("client_id", id, "redirect_uri", uri)).body
		for _, text := range []string{"<bdi>app.example</bdi>", "<bdi>127.0.0.1</bdi>", "an application on this device", "Nobody here has checked"} {
			require.Contains(t, page, text)
		}
		page = b.authorize(request("client_id", id, "redirect_uri", "https://cb.example/cb")).body
		require.Contains(t, page, "<bdi>cb.example</bdi>")
		require.NotContains(t, page, "on this device")
	})
	t.Run("UI-11 no page loads anything or links to anywhere else", func(t *testing.T) {
		for name, a := range pages {
			if name == "form post" {
				continue // it is a redirect in the shape of a page
			}
			body := a.body
			if name == "expired" { // with its way back to the client, which nobody follows but the user
				body = wayBack.ReplaceAllString(body, "")
			}
			require.NotRegexp(t, `(?i)<(script|img|link|iframe|object|embed|video|audio|base)\b`, body, name)
			require.NotRegexp(t, `(?i)(src|href|action|srcset|background)\s*=\s*["']?\s*([a-z][a-z0-9+.-]*:|//)`, body, name)
			require.NotRegexp(t, `(?i)url\(|@import`, body, name)
			require.Contains(t, a.header.Get("Content-Security-Policy"), "default-src 'none'", name)
		}
	})
	t.Run("UI-12 no page sends a referrer", func(t *testing.T) {
		for name, a := range pages {
			require.Equal(t, "no-referrer", a.header.Get("Referrer-Policy"), name)
		}
	})
	t.Run("UI-13 what a client calls itself is escaped", func(t *testing.T) {
		const name = `"><script>alert(1)</script><b>'&amp;`
		w := newWorld(t)
		w.enroll(&authwright.Client{ID: name, Name: name, RedirectURIs: []string{"https://web.example/cb"}, Scopes: []string{"read", "write"}})
		w.enroll(&authwright.Client{
			ID: "links", RedirectURIs: []string{"https://web.example/cb"}, Scopes: []string{"read", "write"},
			URI: "https://x.example/<b>", PolicyURI: "https://x.example/<b>", TermsURI: "https://x.example/<b>",
		})
		w.enroll(&authwright.Client{ID: "<i>", RedirectURIs: []string{"https://web.example/cb"}, Scopes: []string{"read", "write"}})
		b := w.signedIn("<em>mallory")
		page := b.authorize(request("client_id", name))
		consentPage(t, page)
		w.advance(11 * time.Minute)
		expired := b.decide(page, "approve", "read")
		errorPage(t, expired)
		for _, a := range []answer{page, expired} {
			require.Contains(t, html.UnescapeString(a.body), name)
			require.NotRegexp(t, `<(script|b|em)>`, a.body)
		}
		require.NotContains(t, b.authorize(request("client_id", "<i>")).body, "<i>")
		links := b.authorize(request("client_id", "links")).body
		require.NotContains(t, links, "<b>")
		require.NotContains(t, links, `="https://x.example`, "neither loaded nor linked to")
	})
	t.Run("UI-14 the cookie is for this host only and for no script", func(t *testing.T) {
		cookies := func(issuer string) []*http.Cookie {
			w := newWorld(t, func(cfg *authwright.Config) {
				if issuer != "" {
					cfg.Issuer = issuer
				}
			})
			page := w.signedIn("alice").get(w.ts.URL + "/authorize?" + request().Encode())
			consentPage(t, page)
			return (&http.Response{Header: page.header}).Cookies()
		}
		got := cookies("https://as.example")
		require.Len(t, got, 1)
		require.True(t, strings.HasPrefix(got[0].Name, "__Host-"), got[0].Name)
		require.True(t, got[0].Secure && got[0].HttpOnly && got[0].Path == "/" && got[0].Domain == "", got[0].Raw)
		require.Equal(t, http.SameSiteLaxMode, got[0].SameSite)
		got = cookies("") // http, on a developer's machine
		require.Len(t, got, 1)
		require.True(t, got[0].HttpOnly && got[0].Domain == "", got[0].Raw)
		require.Equal(t, http.SameSiteLaxMode, got[0].SameSite)
	})
	t.Run("UI-15 no policy keeps a form from leading to the client", func(t *testing.T) {
		for name, a := range pages {
			require.NotContains(t, a.header.Get("Content-Security-Policy"), "form-action", name)
		}
	})
}

var wayBack = regexp.MustCompile(`<a id="back"[^>]*href="([^"]*)"`)

// pages returns one page of each kind.
func (w *world) pages(t *testing.T) map[string]answer {
	t.Helper()
	b := w.signedIn("alice")
	expired := b.authorize(request())
	w.advance(11 * time.Minute)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.issuer+"/authorize?"+request().Encode(), nil)
	require.NoError(t, err)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Sec-Fetch-Dest", "document")
	pages := map[string]answer{
		"consent":       b.authorize(request()),
		"local consent": b.authorize(request("client_id", "cli", "redirect_uri", "http://127.0.0.1/cb")),
		"error":         b.authorize(request("client_id", "nobody")),
		"expired":       b.decide(expired, "approve"),
		"unknown":       b.post("/consent?"+request().Encode(), url.Values{"consent": {"x"}}),
		"bounce":        w.do(w.browser().Client, r),
		"logout":        b.get(w.issuer + "/logout"),
		"logged out":    b.post("/logout", url.Values{"confirm": {"yes"}}),
		"form post":     b.decide(b.authorize(request("response_mode", "form_post")), "approve", "read"),
	}
	for name, a := range pages {
		require.Equal(t, "text/html; charset=utf-8", a.header.Get("Content-Type"), name)
		require.Contains(t, a.body, "</html>", name)
	}
	return pages
}

// openIDWith switches OpenID Connect on, and its logout if that is not nil.
func openIDWith(logout func(http.ResponseWriter, *http.Request) error) func(*authwright.Config) {
	return func(cfg *authwright.Config) {
		cfg.OpenID = &authwright.OpenID{Logout: logout}
		cfg.Scopes = append(cfg.Scopes, authwright.Scope{Name: "openid"})
		cfg.SigningKeys = append(cfg.SigningKeys, authwright.SigningKey{Signer: openIDKey()})
	}
}

// openIDKey is one RSA key for all tests, which is slow to make.
var openIDKey = sync.OnceValue(func() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil // and no server can be made
	}
	return key
})

// hostPages are a host's own login and consent pages.
type hostPages struct {
	currentUser func(*http.Request) (*authwright.User, error)
}

func (h hostPages) CurrentUser(r *http.Request) (*authwright.User, error) { return h.currentUser(r) }

func (h hostPages) Login(w http.ResponseWriter, _ *http.Request, _ *authwright.AuthorizeRequest) {
	fmt.Fprint(w, "log in")
}

func (h hostPages) RenderConsent(w http.ResponseWriter, _ *http.Request, c *authwright.Consent) error {
	if c.Fields() == "" {
		return errors.New("no fields")
	}
	_, err := fmt.Fprint(w, "consent")
	return err
}

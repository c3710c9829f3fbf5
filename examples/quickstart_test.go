package examples_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	alice = url.Values{"username": {"alice"}, "password": {"wonderland"}}
	bob   = url.Values{"username": {"bob"}, "password": {"builder"}}
)

// A person opens the page and clicks on what it offers.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	issuer := start(t, "quickstart")
	home := newBrowser(t).open(issuer)
	require.Equal(t, http.StatusOK, home.status)
	require.Contains(t, home.text("request"), "code_challenge_method=S256")

	login := home.follow("authorize")
	require.Equal(t, "/login", login.url.Path)
	login = login.submit("login", url.Values{"username": {"alice"}, "password": {"sesame"}})
	require.Equal(t, http.StatusUnauthorized, login.status)
	require.NotEmpty(t, login.text("error"))
	consent := login.submit("login", alice)
	require.Contains(t, consent.body, "Quickstart Notes")
	require.Contains(t, consent.body, "Write notes in your name")

	home = consent.submit("approve", nil)
	require.Equal(t, "/", home.url.Path)
	require.Contains(t, home.text("login"), "303 See Other\nLocation: /login?next=")
	require.Contains(t, home.text("login"), "username=alice&password=…")
	require.NotContains(t, home.body, "wonderland")
	require.Contains(t, home.text("consent"), "decision=approve")
	require.Contains(t, home.text("code"), "GET /app/callback?code=")
	require.Contains(t, home.body, "consent_given")

	home = home.submit("redeem", nil)
	require.Contains(t, home.text("token"), "grant_type=authorization_code&code=")
	require.Contains(t, home.text("token"), "HTTP/1.1 200 OK")
	require.Contains(t, home.text("access-token"), `"typ": "at+jwt"`)
	require.Contains(t, home.text("access-token"), `"email": "alice@example.com"`)
	require.Contains(t, home.text("access-token"), `"notes.create"`)

	home = home.submit("read", nil)
	require.Contains(t, home.text("api"), "Authorization: Bearer ey")
	require.Contains(t, home.text("api"), "Follow the white rabbit")
	home = home.submit("write", nil)
	require.Contains(t, home.text("api"), "HTTP/1.1 201 Created")
	require.Contains(t, home.submit("read", nil).text("api"), "Written by web at ")

	home = home.submit("refresh-tokens", nil)
	require.Contains(t, home.text("refresh"), "HTTP/1.1 200 OK")
	home = home.submit("refresh-tokens", nil)
	require.Equal(t, 2, strings.Count(home.body, "<code>token_rotated</code>"))
	home = home.submit("replay-token", nil)
	require.Equal(t, 2, strings.Count(home.text("replay"), "HTTP/1.1 400 Bad Request"), "the old one and, from now on, the new one")
	require.Equal(t, 2, strings.Count(home.text("replay"), `"error": "invalid_grant"`))
	require.Contains(t, home.body, "<code>token_replayed</code>")
	require.Contains(t, home.body, "<code>grant_revoked</code>")

	again := home.submit("restart", nil)
	require.NotContains(t, again.body, "grant_revoked", "a new walk has a new timeline")
	require.Contains(t, again.follow("authorize").submit("approve", nil).text("login"), "signed in already")
	require.Nil(t, again.submit("log-out", nil).find("log-out"))
	require.Equal(t, "/login", again.follow("authorize").url.Path)
}

func TestQuickstartWhenSomethingIsRefused(t *testing.T) {
	t.Parallel()
	issuer := start(t, "quickstart")
	consent := func(t *testing.T, who url.Values) *page {
		return newBrowser(t).open(issuer).follow("authorize").submit("login", who)
	}
	t.Run("the user says no", func(t *testing.T) {
		t.Parallel()
		home := consent(t, alice).submit("deny", nil)
		require.Contains(t, home.text("code"), "access_denied")
		require.Nil(t, home.find("redeem"))
	})
	t.Run("a scope is unticked", func(t *testing.T) {
		t.Parallel()
		home := consent(t, alice).submit("approve", url.Values{"scope": {"notes:write"}}).submit("redeem", nil)
		require.NotContains(t, home.text("access-token"), "alice@example.com")
		home = home.submit("read", nil)
		require.Contains(t, home.text("api"), "HTTP/1.1 403 Forbidden")
		require.Contains(t, home.text("api"), `error="insufficient_scope"`)
	})
	t.Run("the user lacks a permission", func(t *testing.T) {
		t.Parallel()
		home := consent(t, bob).submit("approve", nil).submit("redeem", nil)
		require.Contains(t, home.submit("read", nil).text("api"), "Can we fix it?")
		require.Contains(t, home.submit("write", nil).text("api"), "bob may not create notes")
	})
	t.Run("the callback is forged", func(t *testing.T) {
		t.Parallel()
		b := newBrowser(t)
		home := b.open(issuer)
		require.Equal(t, http.StatusBadRequest, b.open(issuer+"/app/callback?code=evil&state=evil&iss="+issuer).status)
		link, err := url.Parse(home.find("authorize").attr["href"])
		require.NoError(t, err)
		mixedUp := url.Values{"code": {"evil"}, "state": {link.Query().Get("state")}, "iss": {"https://evil.example"}}
		require.Equal(t, http.StatusBadRequest, b.open(issuer+"/app/callback?"+mixedUp.Encode()).status)
		require.NotNil(t, b.open(issuer).find("authorize"), "the walk goes on where it was")
	})
}

func TestQuickstartRefusesStrangers(t *testing.T) {
	t.Parallel()
	issuer := start(t, "quickstart")
	t.Run("the login is to lead elsewhere", func(t *testing.T) {
		t.Parallel()
		for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "/\t/evil.example", "evil"} {
			p := newBrowser(t).open(issuer + "/login?" + url.Values{"next": {next}}.Encode())
			require.Equal(t, issuer+"/", p.submit("login", alice).url.String(), next)
		}
	})
	t.Run("a form comes from another site", func(t *testing.T) {
		t.Parallel()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, issuer+"/login", strings.NewReader(bob.Encode()))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "https://evil.example")
		p := newBrowser(t).do(req)
		require.Equal(t, http.StatusForbidden, p.status)
		require.Empty(t, p.header.Get("Set-Cookie"))
	})
	t.Run("the site is called by another name", func(t *testing.T) {
		t.Parallel()
		b := newBrowser(t)
		p := b.open(strings.Replace(issuer, "localhost", "127.0.0.1", 1))
		require.Equal(t, issuer+"/", p.header.Get("Location"))
	})
}

// The public client is for people with a terminal.
func TestQuickstartCLI(t *testing.T) {
	t.Parallel()
	issuer := start(t, "quickstart")
	b := newBrowser(t)
	back := b.open(authorizeURL(issuer, "cli", "notes:read")).submit("login", bob).submit("approve", nil)
	first := redeem(t, issuer, "cli", codeOf(t, back, issuer))
	require.Equal(t, "notes:read", first.Scope)
	second := refresh(t, issuer, "cli", first.Refresh)
	require.NotEmpty(t, second.Refresh)
	require.Equal(t, "invalid_grant", refresh(t, issuer, "cli", first.Refresh).Error)
}

// Strangers cannot fill the memory: the oldest walk makes room for the newest.
func TestQuickstartForgets(t *testing.T) {
	t.Parallel()
	issuer := start(t, "quickstart")
	b := newBrowser(t)
	link := b.open(issuer).find("authorize").attr["href"]
	for range 999 {
		resp, err := http.Get(issuer)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
	}
	require.Equal(t, link, b.open(issuer).find("authorize").attr["href"])
	resp, err := http.Get(issuer)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.NotEqual(t, link, b.open(issuer).find("authorize").attr["href"])
}

// A connection that says nothing, as browsers open them in advance, does not keep the
// program from ending well.
func TestQuickstartEnds(t *testing.T) {
	t.Parallel()
	var silent net.Conn
	t.Cleanup(func() { silent.Close() }) // after the end of the program
	issuer := start(t, "quickstart")
	var err error
	silent, err = net.Dial("tcp", strings.TrimPrefix(issuer, "http://"))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, newBrowser(t).open(issuer).status, "so that the one before it has been accepted")
}

func TestQuickstartSlowClients(t *testing.T) {
	t.Parallel()
	issuer := start(t, "quickstart")
	host := strings.TrimPrefix(issuer, "http://")
	t.Run("D04 connections that never finish a request stop nobody, and are closed", func(t *testing.T) {
		t.Parallel()
		slow := make([]net.Conn, 500)
		for i := range slow {
			conn, err := net.Dial("tcp", host)
			require.NoError(t, err)
			defer conn.Close()
			_, err = conn.Write([]byte("GET / HTTP/1.1\r\nHost: " + host + "\r\nX-Slow: "))
			require.NoError(t, err)
			slow[i] = conn
		}
		require.Equal(t, http.StatusOK, newBrowser(t).open(issuer).status)
		deadline := time.Now().Add(15 * time.Second)
		for _, conn := range slow {
			require.NoError(t, conn.SetReadDeadline(deadline))
			_, err := io.ReadAll(conn)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server still waits")
		}
	})
	t.Run("D04 a request with an endless header is refused", func(t *testing.T) {
		t.Parallel()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer, nil)
		require.NoError(t, err)
		req.Header.Set("X-Long", strings.Repeat("x", 128<<10))
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, newBrowser(t).do(req).status)
	})
}

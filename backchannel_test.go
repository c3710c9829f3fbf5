package authwright_test

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// failingIndex answers with an error while there is one.
type failingIndex struct {
	authwright.Index
	down *error
}

func (f failingIndex) GrantsBySubject(ctx context.Context, subject, page string, limit int) ([]*authwright.Grant, string, error) {
	if *f.down != nil {
		return nil, "", *f.down
	}
	return f.Index.GrantsBySubject(ctx, subject, page, limit)
}

// A listener is a client's back-channel logout endpoint.
type listener struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request // with their forms
	status   int
	hold     chan struct{} // if not nil, answers wait for it to be closed
}

func listen(t *testing.T) *listener {
	l := &listener{status: http.StatusOK}
	l.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.hold != nil {
			<-l.hold
		}
		_ = r.ParseForm()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.requests = append(l.requests, r)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(l.status)
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *listener) got() []*http.Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

// provider starts a provider that may reach l, with the client rp that listens there.
func (l *listener) provider(t *testing.T, changes ...func(*authwright.Config)) *world {
	t.Helper()
	w := newProvider(t, append([]func(*authwright.Config){func(cfg *authwright.Config) {
		cfg.FetchRoots = x509.NewCertPool()
		cfg.FetchRoots.AddCert(l.Certificate())
		cfg.InsecureFetchLoopback = true
	}}, changes...)...)
	for _, id := range []string{"rp", "es256"} {
		c, err := w.store.Client(t.Context(), id)
		require.NoError(t, err)
		c.BackchannelLogoutURI = l.URL + "/backchannel?client=" + id
		require.NoError(t, w.store.UpdateClient(t.Context(), c))
	}
	return w
}

func (w *world) closed(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, w.srv.Close(ctx))
}

func TestBackchannelLogout(t *testing.T) {
	t.Parallel()
	l := listen(t)
	w := l.provider(t)
	b := w.signedIn("alice").has("sid", "one")
	hint := b.signsInTo(asking())["id_token"].(string)
	b.signsInTo(asking("scope", "openid offline_access"))
	b.signsInTo(asking("client_id", "es256"))
	b.signsInTo(asking("client_id", "ps256")) // does not listen
	w.signedIn("alice").has("sid", "two").signsInTo(asking("client_id", "eddsa"))
	w.advance(time.Hour)
	b.signedOut(b.ends("id_token_hint", hint))
	w.closed(t)

	tokens := map[string]string{}
	for _, r := range l.got() {
		require.NotContains(t, tokens, r.URL.Query().Get("client"), "each client is told once")
		tokens[r.URL.Query().Get("client")] = r.PostForm.Get("logout_token")
	}
	t.Run("LO-07 every client of the session is told, by a form", func(t *testing.T) {
		require.Len(t, l.got(), 2)
		for _, r := range l.got() {
			require.Equal(t, http.MethodPost, r.Method)
			require.Equal(t, formType, r.Header.Get("Content-Type"))
			require.Len(t, r.PostForm, 1)
			require.Empty(t, r.Cookies())
		}
	})
	t.Run("LO-07 the logout token says who, where and when", func(t *testing.T) {
		got, now := w.idToken(tokens["rp"], "RS256"), float64(w.now().Unix())
		require.NotEmpty(t, got["jti"])
		delete(got, "jti")
		require.Equal(t, map[string]any{
			"iss": w.issuer, "aud": "rp", "sub": "alice", "sid": "one", "iat": now, "exp": now + 120,
			"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
		}, got)
		require.Equal(t, "logout+jwt", segment(t, tokens["rp"], 0)["typ"])
		require.NotEqual(t, claims(t, tokens["rp"])["jti"], claims(t, tokens["es256"])["jti"])
	})
	t.Run("LO-07 it is signed as the client's ID tokens are", func(t *testing.T) {
		require.Equal(t, "es256", w.idToken(tokens["es256"], "ES256")["aud"])
	})
	t.Run("LO-07 it is neither a hint nor an access token", func(t *testing.T) {
		b := w.signedIn("alice")
		errorPage(t, b.ends("id_token_hint", tokens["rp"]))
		require.Equal(t, http.StatusUnauthorized, w.userinfo(tokens["rp"]).status)
	})
	t.Run("LO-07 without sessions of the host's there is no sid", func(t *testing.T) {
		l := listen(t)
		w := l.provider(t)
		b := w.signedIn("alice")
		b.signedOut(b.ends("id_token_hint", b.signsInTo(asking())["id_token"].(string)))
		w.closed(t)
		require.Len(t, l.got(), 1)
		require.NotContains(t, claims(t, l.got()[0].PostForm.Get("logout_token")), "sid")
	})
	t.Run("LO-07 a client that cannot refresh is told long after its tokens expired", func(t *testing.T) {
		l := listen(t)
		w := l.provider(t)
		c, err := w.store.Client(t.Context(), "rp")
		require.NoError(t, err)
		c.GrantTypes = []string{"authorization_code"}
		require.NoError(t, w.store.UpdateClient(t.Context(), c))
		b := w.signedIn("alice")
		got := b.signsInTo(asking())
		w.advance(24 * time.Hour)
		_, err = w.store.DeleteExpired(t.Context(), w.now(), 0)
		require.NoError(t, err)
		b.signedOut(b.ends("id_token_hint", got["id_token"].(string)))
		w.closed(t)
		require.Len(t, l.got(), 1)
	})
	t.Run("MD-14 the provider says that it does this", func(t *testing.T) {
		m := w.transmit(http.MethodGet, "/.well-known/openid-configuration", "", nil).json(t)
		require.Equal(t, true, m["backchannel_logout_supported"])
		require.Equal(t, true, m["backchannel_logout_session_supported"])
	})
}

func TestBackchannelLogoutFails(t *testing.T) {
	t.Parallel()
	const warning = "back-channel logout failed"
	logOut := func(t *testing.T, w *world) {
		t.Helper()
		b := w.signedIn("alice")
		b.signedOut(b.ends("id_token_hint", b.signsInTo(asking())["id_token"].(string)))
	}
	for _, test := range []struct {
		name   string
		status int
		fails  bool
	}{
		{"LO-08 200 is success", http.StatusOK, false},
		{"LO-08 204 is success", http.StatusNoContent, false},
		{"LO-08 400 is none", http.StatusBadRequest, true},
		{"LO-08 500 is none", http.StatusInternalServerError, true},
		{"LO-10 a redirect is none, and is not followed", http.StatusTemporaryRedirect, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := listen(t)
			l.status = test.status
			w := l.provider(t)
			logOut(t, w)
			w.closed(t)
			require.Len(t, l.got(), 1)
			if test.fails {
				require.Contains(t, w.log(), warning)
			} else {
				require.NotContains(t, w.log(), warning)
			}
		})
	}
	t.Run("LO-08 a client that takes its time keeps nobody waiting but Close", func(t *testing.T) {
		t.Parallel()
		l := listen(t)
		l.hold = make(chan struct{})
		w := l.provider(t)
		logOut(t, w)
		require.Empty(t, l.got())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, w.srv.Close(ctx), context.Canceled)
		close(l.hold)
		w.closed(t)
		require.Len(t, l.got(), 1)
	})
	t.Run("LO-10 addresses of the inside are not reached", func(t *testing.T) {
		t.Parallel()
		l := listen(t)
		w := l.provider(t, func(cfg *authwright.Config) { cfg.InsecureFetchLoopback = false })
		logOut(t, w)
		w.closed(t)
		require.Empty(t, l.got())
		require.Contains(t, w.log(), warning)
		require.NotContains(t, w.log(), "logout_token")
	})
	t.Run("LO-10 nor is a token sent in the clear", func(t *testing.T) {
		t.Parallel()
		var calls int
		clear := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls++ }))
		t.Cleanup(clear.Close)
		for _, uri := range []string{clear.URL + "/bye", "https://rp.example", "https://rp.example/bye#x", "ftp://rp.example/bye", "/bye"} {
			c := authwright.Client{ID: "x", RedirectURIs: []string{rpCallback}, BackchannelLogoutURI: uri}
			require.ErrorContains(t, c.Validate(), "BackchannelLogoutURI", uri)
		}
		l := listen(t)
		w := l.provider(t, func(cfg *authwright.Config) {
			cfg.Storage = registry{cfg.Storage, func(c *authwright.Client) {
				if c.BackchannelLogoutURI != "" {
					c.BackchannelLogoutURI = clear.URL + "/bye"
				}
			}}
		})
		logOut(t, w)
		w.closed(t)
		require.Zero(t, calls)
		require.Contains(t, w.log(), warning)
	})
}

// A client that introduces itself is looked up by its document, which may be as slow.
func TestBackchannelLogoutOfDocument(t *testing.T) {
	t.Parallel()
	var l *listener
	hold := make(chan struct{})
	var once sync.Once
	documents := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first := false
		once.Do(func() { first = true })
		if !first {
			<-hold
		}
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write([]byte(`{"client_id":"https://` + r.Host + `/doc","redirect_uris":["https://app.example/cb"],"backchannel_logout_uri":"` + l.URL + `/b"}`))
	}))
	t.Cleanup(documents.Close)
	l = listen(t)
	w := l.provider(t, func(cfg *authwright.Config) { cfg.ClientDocuments = new(authwright.ClientDocuments) })
	b := w.signedIn("alice")
	q := asking("client_id", documents.URL+"/doc", "redirect_uri", "https://app.example/cb")
	a := b.decide(b.authorize(q), "approve", "openid")
	f := codeForm(a.location(t).Get("code"), "redirect_uri", "", "client_id", documents.URL+"/doc")
	resp := w.token(f)
	require.Equal(t, http.StatusOK, resp.status, resp.body)
	hint := resp.json(t)["id_token"].(string)
	w.advance(2 * time.Hour) // the document is to be fetched again
	t.Run("LO-08 the user does not wait for a client's document", func(t *testing.T) {
		a := b.post("/logout", url.Values{"confirm": {"yes"}})
		require.Contains(t, a.body, "You are signed out")
		close(hold)
		w.closed(t)
		require.Len(t, l.got(), 1)
		require.Equal(t, claims(t, hint)["aud"], claims(t, l.got()[0].PostForm.Get("logout_token"))["aud"])
	})
}

package authwright_test

import (
	"context"
	"crypto"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// Ways in which a host lets its server down. What is done afterwards, or too late, has been done:
// only the news of it is lost.
const (
	fails            = "fails"
	failsAfterwards  = "fails afterwards"
	hangs            = "hangs"
	answersLate      = "answers late"
	panics           = "panics"
	panicsAfterwards = "panics afterwards"
	cancelled        = "is cancelled"
	leftAfterwards   = "is cancelled afterwards"

	// The host's own code may have a storage like ours behind it.
	conflicts   = "returns ErrConflict"
	findsNobody = "returns ErrNotFound"
)

// A mishap befalls the n-th thing that a server asks of its host.
type mishap struct {
	mu      sync.Mutex
	kind    string
	n       int // zero: never
	asked   int
	place   string // where it happened
	written int    // how often something was stored

	ctx    context.Context // of whatever was asked last, for those who are given none
	cancel context.CancelFunc
}

// at carries out do, unless this is where the mishap happens.
func (m *mishap) at(ctx context.Context, place string, do func() error) error {
	m.mu.Lock()
	m.asked++
	happens, kind, cancel := m.asked == m.n, m.kind, m.cancel
	if happens {
		m.place = place
	}
	if ctx == nil {
		ctx = m.ctx
	}
	m.ctx = ctx
	m.mu.Unlock()
	if !happens {
		return do()
	}
	switch kind {
	case failsAfterwards, panicsAfterwards, answersLate, leftAfterwards:
		if err := do(); err != nil {
			return err
		}
	case cancelled:
		cancel()
		return do()
	}
	switch kind {
	case panics, panicsAfterwards:
		panic(errDown)
	case hangs, answersLate:
		<-ctx.Done() // for ever, if nobody has set a limit
		if kind == answersLate {
			return nil
		}
		return ctx.Err()
	case leftAfterwards:
		cancel()
		return nil
	}
	if slices.Contains([]string{"CurrentUser", "Sign", "Claims", "UserInfo", "Logout", "RenderConsent", "Admit"}, place) {
		switch kind {
		case conflicts:
			return fmt.Errorf("in the host: %w", authwright.ErrConflict)
		case findsNobody:
			return fmt.Errorf("in the host: %w", authwright.ErrNotFound)
		}
	}
	return errDown
}

// wrote is do, counted if it has stored something.
func (m *mishap) wrote(do func() error) func() error {
	return func() error {
		err := do()
		if err == nil {
			m.mu.Lock()
			m.written++
			m.mu.Unlock()
		}
		return err
	}
}

// frail is everything that a host supplies, with a mishap.
type frail struct {
	*authwright.Memory
	*mishap
}

func (f frail) Client(ctx context.Context, id string) (c *authwright.Client, err error) {
	err = f.at(ctx, "Client", func() error { c, err = f.Memory.Client(ctx, id); return err })
	return c, err
}

func (f frail) Grant(ctx context.Context, id string) (g *authwright.Grant, err error) {
	err = f.at(ctx, "Grant", func() error { g, err = f.Memory.Grant(ctx, id); return err })
	return g, err
}

func (f frail) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	return f.at(ctx, "SaveGrant", f.wrote(func() error { return f.Memory.SaveGrant(ctx, g) }))
}

func (f frail) UseOnce(ctx context.Context, key string, until time.Time) error {
	return f.at(ctx, "UseOnce", f.wrote(func() error { return f.Memory.UseOnce(ctx, key, until) }))
}

func (f frail) GrantsBySubject(ctx context.Context, subject, page string, limit int) (all []*authwright.Grant, next string, err error) {
	err = f.at(ctx, "GrantsBySubject", func() error { all, next, err = f.Memory.GrantsBySubject(ctx, subject, page, limit); return err })
	return all, next, err
}

func (f frail) GrantsByClient(ctx context.Context, id, page string, limit int) (all []*authwright.Grant, next string, err error) {
	err = f.at(ctx, "GrantsByClient", func() error { all, next, err = f.Memory.GrantsByClient(ctx, id, page, limit); return err })
	return all, next, err
}

func (f frail) AddClient(ctx context.Context, c *authwright.Client) error {
	return f.at(ctx, "AddClient", f.wrote(func() error { return f.Memory.AddClient(ctx, c) }))
}

func (f frail) UpdateClient(ctx context.Context, c *authwright.Client) error {
	return f.at(ctx, "UpdateClient", f.wrote(func() error { return f.Memory.UpdateClient(ctx, c) }))
}

func (f frail) DeleteClient(ctx context.Context, id string) error {
	return f.at(ctx, "DeleteClient", f.wrote(func() error { return f.Memory.DeleteClient(ctx, id) }))
}

// RenderConsent implements ConsentRenderer.
func (f frail) RenderConsent(w http.ResponseWriter, r *http.Request, c *authwright.Consent) error {
	return f.at(r.Context(), "RenderConsent", func() error {
		_, err := fmt.Fprintf(w, `<form method="post" action="%s">%s</form>`, c.Action, c.Fields())
		return err
	})
}

type frailLogin struct {
	authwright.Authenticator
	*mishap
}

func (f frailLogin) CurrentUser(r *http.Request) (u *authwright.User, err error) {
	err = f.at(r.Context(), "CurrentUser", func() error { u, err = f.Authenticator.CurrentUser(r); return err })
	return u, err
}

func (f frailLogin) Login(w http.ResponseWriter, r *http.Request, req *authwright.AuthorizeRequest) {
	if err := f.at(r.Context(), "Login", func() error { return nil }); err != nil {
		http.Error(w, "try later", http.StatusServiceUnavailable) // as hosts do
		return
	}
	f.Authenticator.Login(w, r, req)
}

type frailSigner struct {
	crypto.Signer
	*mishap
}

func (f frailSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) (sig []byte, err error) {
	var none context.Context // a signer is given none
	err = f.at(none, "Sign", func() error { sig, err = f.Signer.Sign(random, digest, opts); return err })
	return sig, err
}

// A sweep is a server whose host lets it down once.
type sweep struct {
	*target
	*mishap
	t      *testing.T
	direct func(*http.Request) error // what the host itself calls
}

// direct is the path of what no endpoint is for.
const direct = "/direct"

func newSweep(t *testing.T, change func(*authwright.Config)) *sweep {
	s := &sweep{mishap: new(mishap), t: t}
	s.target = newTarget(t, func(cfg *authwright.Config) {
		host := frail{cfg.Storage.(*authwright.Memory), s.mishap}
		cfg.Storage, cfg.Index, cfg.Consent = host, host, host
		cfg.Authenticator = frailLogin{cfg.Authenticator, s.mishap}
		for i, key := range cfg.SigningKeys {
			cfg.SigningKeys[i].Signer = frailSigner{key.Signer, s.mishap}
		}
		cfg.Claims = func(ctx context.Context, _ *authwright.Grant) (map[string]any, error) {
			return nil, s.at(ctx, "Claims", func() error { return nil })
		}
		cfg.OnEvent = func(ctx context.Context, _ authwright.Event) { _ = s.at(ctx, "OnEvent", func() error { return nil }) }
		cfg.OpenID.UserInfo = func(ctx context.Context, subject string) (map[string]any, error) {
			return knownOf(subject), s.at(ctx, "UserInfo", func() error { return nil })
		}
		cfg.OpenID.Logout = func(_ http.ResponseWriter, r *http.Request) error {
			return s.at(r.Context(), "Logout", func() error { return nil })
		}
		cfg.Registration.Clients = host
		cfg.Registration.Admit = func(r *http.Request, _ *authwright.Client) error {
			return s.at(r.Context(), "Admit", func() error { return nil })
		}
		if change != nil {
			change(cfg)
		}
	})
	c, err := s.store.Client(t.Context(), "web")
	require.NoError(t, err)
	c.Scopes = append(c.Scopes, "openid", "email")
	require.NoError(t, s.store.UpdateClient(t.Context(), c))
	return s
}

// serve is the host: the server, and a page of its own.
func (s *sweep) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != direct {
		s.ServeHTTP(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	if err := s.direct(r.WithContext(ctx)); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// ask sends r, and reports whether the connection broke instead of an answer.
func (s *sweep) ask(r *http.Request) (a answer, broke bool) {
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	s.cancel = cancel
	w, began := httptest.NewRecorder(), time.Now()
	func() {
		defer func() {
			if v := recover(); v != nil {
				require.Equal(s.t, errDown, v)
				broke = true // as net/http has it
			}
		}()
		s.serve(w, r.WithContext(ctx))
	}()
	require.LessOrEqual(s.t, time.Since(began), 10*time.Second, "no longer than RequestTimeout")
	require.NoError(s.t, s.Close(s.t.Context()))
	return answer{w.Code, w.Header(), w.Body.String()}, broke
}

// blameless checks that a says no more than that the server cannot answer now.
func blameless(t *testing.T, a answer) {
	t.Helper()
	said := fmt.Sprint(a.header, a.body)
	require.NotContains(t, said, "10.1.2.3")
	require.NotContains(t, said, "access_token")
	require.NotContains(t, a.header.Get("Location"), "code=")
	if location := a.header.Get("Location"); location != "" {
		_, query, _ := strings.Cut(location, "?")
		require.Contains(t, []string{"server_error", "temporarily_unavailable"}, once(query, "error"), location)
		return
	}
	require.Contains(t, []int{http.StatusInternalServerError, http.StatusServiceUnavailable}, a.status, a.body)
	if strings.HasPrefix(a.body, "{") {
		require.Contains(t, []any{"server_error", "temporarily_unavailable"}, a.json(t)["error"])
	}
}

// For every errand of every endpoint, everything that the server asks of its host on the way goes
// wrong once, in every way. The clock is the test's own, and no goroutine may be left in the end.
func TestFaultSweep(t *testing.T) {
	t.Parallel()
	for _, e := range errands {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			for _, kind := range []string{fails, failsAfterwards, hangs, answersLate, panics, panicsAfterwards, cancelled, leftAfterwards, conflicts, findsNobody} {
				for n, more := 1, true; more; n++ {
					synctest.Test(t, func(t *testing.T) { more = e.goesWrong(t, kind, n) })
				}
			}
		})
	}
}

// goesWrong runs e with a mishap, and then once more without. It reports whether there was one.
func (e errand) goesWrong(t *testing.T, kind string, n int) bool {
	s := newSweep(t, e.change)
	do := e.begin(s)
	s.kind, s.n, s.asked, s.written = kind, n, 0, 0
	a, broke := s.ask(do.request())
	where := fmt.Sprintf("%s %s at call %d", s.place, kind, n)
	t.Log(where)
	s.n = 0
	if s.place == "" {
		require.Greater(t, n, 1, "something was asked of the host")
		require.NoError(t, do.done(a))
		return false
	}
	if s.place == "Admit" && a.status == http.StatusBadRequest {
		require.Contains(t, a.body, "invalid_client_metadata", "by an error the host refuses")
		return true
	}
	if broke {
		require.Contains(t, []string{panics, panicsAfterwards}, kind, where)
		require.True(t, a.body == "" && a.header.Get("Location") == "" || slices.Contains([]string{"RenderConsent", "Login"}, s.place), where)
	} else if do.done(a) != nil {
		blameless(t, a)
	}
	if do.whole && s.place != "SaveGrant" && s.place != "OnEvent" && (broke || do.done(a) != nil) {
		require.Zero(t, s.written, "what is refused spends nothing")
	}
	done := do.done
	if do.again != nil && s.written > 0 {
		done = do.again
	}
	a, broke = s.ask(do.request())
	require.False(t, broke, where)
	require.NoError(t, done(a), "again, after %s: %d %s %s", where, a.status, a.header.Get("Location"), a.body)
	if do.after != nil {
		do.after()
	}
	return true
}

// A host whose own storage reports a lost race has not lost ours, which would be tried again.
func TestHostErrors(t *testing.T) {
	t.Parallel()
	asked := 0
	w := newWorld(t, func(cfg *authwright.Config) {
		cfg.Claims = func(context.Context, *authwright.Grant) (map[string]any, error) {
			asked++
			return nil, fmt.Errorf("in the host: %w", authwright.ErrConflict)
		}
	})
	a := w.token(codeForm(w.code(request())), "web", webSecret)
	require.Equal(t, http.StatusInternalServerError, a.status)
	require.Equal(t, "server_error", a.json(t)["error"])
	require.Equal(t, 1, asked)
}

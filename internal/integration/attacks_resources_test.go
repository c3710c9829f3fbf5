package integration_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// TestAttacksOnResources is section D of docs/threat-model.md.
func TestAttacksOnResources(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "D01 a body without end", run: endlessBody},
		{name: "D02 very many parameters", run: manyParameters},
		{name: "D05 requests of strangers", run: strangersRequests},
		{name: "D13 a log that says what a stranger wants", run: injectedLog},
	})
}

// TestNoGoroutineIsLeft runs alone, because it looks at the whole process.
func TestNoGoroutineIsLeft(t *testing.T) {
	t.Run("D09 when a server has been used, and given up", func(t *testing.T) {
		v := newVictim(t, new(authwright.Memory))
		v.start(nil)
		w, s := v.broken(func(cfg *authwright.Config) { cfg.RequestTimeout = 50 * time.Millisecond })
		got := w.tokens()
		s.hangs.Store(true)
		w.token(refreshing(got.Refresh), "c1", secretOf1).unavailable(t)
		v.broughtDown()
		w.broughtDown()
		var stacks strings.Builder
		require.NoError(t, pprof.Lookup("goroutine").WriteTo(&stacks, 2))
		for _, own := range []string{"authwright.(*", "resource.(*", "sqlstore.", "redisstore."} {
			require.NotContains(t, stacks.String(), "authwright/"+own)
		}
	})
}

// broughtDown ends every connection and waits for it.
func (v *victim) broughtDown() {
	v.ts.CloseClientConnections()
	v.ts.Close()
}

// A bottomless body counts what has been read of it.
type bottomless struct{ read atomic.Int64 }

func (b *bottomless) Read(p []byte) (int, error) {
	if b.read.Load() > 9<<20 {
		return 0, io.EOF
	}
	for i := range p {
		p[i] = 'a'
	}
	b.read.Add(int64(len(p)))
	return len(p), nil
}

// A silentWriter is a response that nobody reads.
type silentWriter struct {
	header http.Header
	status int
}

func (w *silentWriter) Header() http.Header         { return w.header }
func (w *silentWriter) WriteHeader(status int)      { w.status = status }
func (w *silentWriter) Write(b []byte) (int, error) { return len(b), nil }

func endlessBody(t *testing.T, v *victim) {
	for _, path := range append(everyEndpoint, "/token", "/authorize", "/consent", "/logout", "/userinfo") {
		body := new(bottomless)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, path, io.NopCloser(body))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.ContentLength = -1
		w := &silentWriter{header: http.Header{}}
		v.srv.ServeHTTP(w, r)
		require.Equal(t, http.StatusRequestEntityTooLarge, w.status, path)
		require.Less(t, body.read.Load(), int64(128<<10), path)
	}
	f := redeeming(strings.Repeat("a", 9<<20))
	require.Equal(t, http.StatusRequestEntityTooLarge, v.token(f, "c1", secretOf1).status)
}

func manyParameters(t *testing.T, v *victim) {
	for _, many := range []string{strings.Repeat("&", 1<<20), strings.Repeat("a=b&", 100_000), strings.Repeat("&", 30_000), strings.Repeat("a=b&", 5000), strings.Repeat("client_id=c1&", 101)} {
		begun := time.Now()
		for _, path := range append(everyEndpoint, "/token") {
			r := v.form(path, nil)
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(many)), int64(len(many))
			a := v.do(r)
			require.GreaterOrEqual(t, a.status, 400)
			require.Less(t, a.status, 500)
			require.Equal(t, "invalid_request", a.json(t)["error"])
		}
		require.Less(t, time.Since(begun), 5*time.Second) // of a machine that does other things
		if len(many) < 1<<19 {
			v.stranger().authorizeRaw(many).errorPage(t)
		}
	}
}

// A countedStore counts what is written.
type countedStore struct {
	victimStore
	writes atomic.Int64
}

func (s *countedStore) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	s.writes.Add(1)
	return s.victimStore.SaveGrant(ctx, g)
}

func (s *countedStore) UseOnce(ctx context.Context, key string, until time.Time) error {
	s.writes.Add(1)
	return s.victimStore.UseOnce(ctx, key, until)
}

func strangersRequests(t *testing.T, v *victim) {
	s := &countedStore{victimStore: v.store}
	w := &victim{t: t, store: s}
	w.start(nil)
	nobody := &http.Client{Transport: w.ts.Client().Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	p := person{nobody, w}
	for range 50 {
		require.Equal(t, http.StatusSeeOther, p.authorize(asking()).status) // to the login page
		p.authorize(asking("client_id", "nobody")).errorPage(t)
		p.authorize(asking("prompt", "none")).failed(t, w, "login_required")
		p.post("/consent", probing("consent", strings.Repeat("A", 64))).errorPage(t)
		w.token(probing("client_id", "p1")).refused(t, "invalid_grant")
		w.token(refreshing(strings.Repeat("A", 64)), "nobody", "x").refused(t, "invalid_client")
		w.post("/revoke", probing("client_id", "p1", "token", "x"))
	}
	require.Zero(t, s.writes.Load())
	w.signedIn("alice").authorize(asking()).question(t) // whom a client and a user are known of
	require.Equal(t, int64(1), s.writes.Load())
}

func injectedLog(t *testing.T, v *victim) {
	evil := "\n\r{\"level\":\"ERROR\"}\x1b[31m\u2028" + strings.Repeat("x", 10<<10)
	before := len(v.log())
	v.signedIn("alice").authorize(asking("client_id", evil)).errorPage(t)
	v.token(probing("client_id", evil)).refused(t, "invalid_client")
	v.token(probing(), evil, evil).refused(t, "invalid_client")
	v.signedIn("alice").authorize(asking("scope", evil))
	v.stranger().get(v.issuer + "/authorize?client_id=" + strings.Repeat("y", 2000))
	records := strings.Split(strings.TrimSpace(v.log()[before:]), "\n")
	require.NotEmpty(t, records)
	for _, record := range records {
		require.Less(t, len(record), 1024)
		var r struct{ Msg, Level string }
		require.NoError(t, json.Unmarshal([]byte(record), &r), record)
		require.Equal(t, "authwright: request refused", r.Msg)
		require.NotContains(t, record, "\x1b")
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, e := range v.events {
		require.LessOrEqual(t, len(e.ClientID), 128)
	}
}

// TestAttacksOnConcurrency is what of section X of docs/threat-model.md needs no process
// of its own.
func TestAttacksOnConcurrency(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "X06 a code that could not be stored", run: unstoredCode},
		{name: "X09 a storage that hangs", run: hangingStore},
		{name: "X15 replicas whose clocks differ", run: skewedClocks},
		{name: "X18 16 writers", run: manyWriters},
	})
}

func unstoredCode(t *testing.T, v *victim) {
	w, s := v.broken()
	alice := w.signedIn("alice")
	page := alice.authorize(asking())
	s.writes.Store(true)
	alice.decide(page, "approve", "read").failed(t, w, "temporarily_unavailable")
	alice.authorize(asking()).failed(t, w, "temporarily_unavailable")
	w.updateClient("c1", func(c *authwright.Client) { c.Consent = authwright.ConsentSkip })
	alice.authorize(asking()).failed(t, w, "temporarily_unavailable")
	require.False(t, w.happened(authwright.EventCodeIssued))
	s.writes.Store(false)
	require.NotEmpty(t, alice.decide(page, "approve", "read").toClient(t, c1URI).Get("code"))
}

func hangingStore(t *testing.T, v *victim) {
	w, s := v.broken(func(cfg *authwright.Config) { cfg.RequestTimeout = 200 * time.Millisecond })
	got := w.tokens()
	code := w.code(asking("scope", "read"))
	s.hangs.Store(true)
	begun := time.Now()
	w.token(refreshing(got.Refresh), "c1", secretOf1).unavailable(t)
	w.token(redeeming(code), "c1", secretOf1).unavailable(t)
	w.post("/revoke", refreshing("x", "token", got.Refresh), "c1", secretOf1).unavailable(t)
	w.signedIn("alice").authorize(asking("prompt", "consent")).failed(t, w, "temporarily_unavailable")
	require.Less(t, time.Since(begun), 10*time.Second)
	s.hangs.Store(false)
	w.live(w.refresh(got)) // nothing was spent
	w.token(redeeming(code), "c1", secretOf1).granted(t)
}

func skewedClocks(t *testing.T, v *victim) {
	const skew = 30 * time.Second
	late := &victim{t: t, store: v.store}
	late.start(func(cfg *authwright.Config) { cfg.Issuer = v.issuer })
	fast := &victim{t: t, store: v.store, ahead: skew}
	fast.start(func(cfg *authwright.Config) { cfg.Issuer = v.issuer })

	fast.token(redeeming(late.code(asking())), "c1", secretOf1).granted(t)
	late.token(redeeming(fast.code(asking())), "c1", secretOf1).granted(t)
	code := fast.code(asking())
	late.advance(time.Minute + skew) // its lifetime and the difference
	late.token(redeeming(code), "c1", secretOf1).refused(t, "invalid_grant")
	late.advance(-time.Minute - skew)

	// The grace, which is 30 seconds, is at most the difference longer.
	first := late.tokens()
	rotated := fast.refresh(first)
	late.advance(2*skew + time.Second)
	late.token(refreshing(first.Refresh), "c1", secretOf1).refused(t, "invalid_grant")
	late.dead(rotated)
}

func manyWriters(t *testing.T, v *victim) {
	v.updateClient("c1", func(c *authwright.Client) { c.Consent = authwright.ConsentSkip })
	var wg sync.WaitGroup
	forms := make([]*http.Request, 16)
	reactions := make([]reaction, len(forms))
	for i := range forms {
		forms[i] = v.form("/token", redeeming(v.code(asking(), "alice")), "c1", secretOf1)
	}
	for i, r := range forms {
		wg.Go(func() { reactions[i] = v.do(r) })
	}
	wg.Wait()
	for _, a := range reactions {
		v.live(a.granted(t))
	}
}

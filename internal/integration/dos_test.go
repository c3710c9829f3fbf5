package integration_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// The tests named TestDenialOfService measure what strangers cost. They run alone, because
// they look at the whole process, and print with -v what stands in
// docs/denial-of-service.md.

// A written store counts what is written, and what is tried.
type writtenStore struct {
	victimStore
	grants, keys, clients atomic.Int64 // that were written
	calls                 atomic.Int64 // of every method that writes
}

func (s *writtenStore) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	return s.count(&s.grants, s.victimStore.SaveGrant(ctx, g))
}

func (s *writtenStore) UseOnce(ctx context.Context, key string, until time.Time) error {
	return s.count(&s.keys, s.victimStore.UseOnce(ctx, key, until))
}

func (s *writtenStore) AddClient(ctx context.Context, c *authwright.Client) error {
	return s.count(&s.clients, s.victimStore.AddClient(ctx, c))
}

func (s *writtenStore) count(written *atomic.Int64, err error) error {
	s.calls.Add(1)
	if err == nil {
		written.Add(1)
	}
	return err
}

// besieged is a victim with everything switched on that strangers can reach. It keeps
// neither logs nor events, of which a test would take the memory for the server's.
func besieged(t *testing.T, store victimStore, changes ...func(*authwright.Config)) (*victim, *writtenStore) {
	t.Helper()
	v := newVictim(t, store)
	s := &writtenStore{victimStore: store}
	v.store = s
	v.start(func(cfg *authwright.Config) {
		cfg.Logger = slog.New(slog.NewJSONHandler(io.Discard, nil))
		cfg.OnEvent = nil
		cfg.Registration = &authwright.Registration{Clients: s}
		cfg.ClientDocuments = new(authwright.ClientDocuments)
		for _, change := range changes {
			change(cfg)
		}
	})
	return v, s
}

// A burden is a request that a stranger sends, and what it may cost.
type burden struct {
	name   string
	make   func() *http.Request
	status int

	size uint64        // if the request does not say
	most uint64        // bytes allocated; 1 MiB if zero
	cpu  time.Duration // where docs/threat-model.md names a figure
}

// A cost is what a burden was.
type cost struct {
	sent, allocated uint64
	status          int
	cpu             time.Duration
	written         int64
}

const repetitions = 5 // of a request, whose costs are divided

// weigh sends b to the handlers themselves: what net/http costs is no matter of the server.
func (v *victim) weigh(t *testing.T, b burden) (c cost) {
	t.Helper()
	s := v.store.(*writtenStore)
	written := s.written()
	w := new(silentWriter)
	serve := func(r *http.Request) {
		*w = silentWriter{header: http.Header{}}
		v.srv.ServeHTTP(w, r)
		require.Equal(t, b.status, w.status, b.name)
	}
	serve(b.make())
	var requests []*http.Request
	for range repetitions {
		requests = append(requests, b.make())
	}
	c.sent = max(b.size, sizeOf(requests[0]))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begun := cpuTime(t)
	for _, r := range requests {
		serve(r)
	}
	c.cpu = (cpuTime(t) - begun) / repetitions
	runtime.ReadMemStats(&after)
	c.allocated = (after.TotalAlloc - before.TotalAlloc) / repetitions
	c.status, c.written = w.status, s.written()-written
	return c
}

func (s *writtenStore) written() int64 { return s.grants.Load() + s.keys.Load() + s.clients.Load() }

func sizeOf(r *http.Request) uint64 {
	n := len(r.URL.RequestURI()) + max(0, int(r.ContentLength))
	for name, values := range r.Header {
		for _, value := range values {
			n += len(name) + len(value) + 4
		}
	}
	return uint64(n)
}

// cpuTime is what the process has used of all processors.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// weighAll weighs burdens, and prints what came of it as a table.
func (v *victim) weighAll(t *testing.T, burdens []burden) {
	t.Helper()
	var table strings.Builder
	fmt.Fprintf(&table, "%s\n\n| case | bytes sent | status | bytes allocated | CPU, µs | rows written |\n|---|---|---|---|---|---|\n", machine())
	for _, b := range burdens {
		t.Run(b.name, func(t *testing.T) {
			c := v.weigh(t, b)
			fmt.Fprintf(&table, "| %s | %d | %d | %d | %d | %d |\n", b.name, c.sent, c.status, c.allocated, c.cpu.Microseconds(), c.written)
			require.Zero(t, c.written)
			if b.most == 0 {
				b.most = 1 << 20
			}
			require.LessOrEqual(t, c.allocated, b.most)
			if b.cpu > 0 {
				require.Less(t, c.cpu, b.cpu)
			}
		})
	}
	t.Log("\n" + table.String())
}

// machine is what the figures come from.
func machine() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	_, model, _ := strings.Cut(string(info), "model name")
	model, _, _ = strings.Cut(strings.TrimLeft(model, "\t :"), "\n")
	return fmt.Sprintf("%s, %d of %s, %s", time.Now().Format(time.DateOnly), runtime.NumCPU(), model, runtime.Version())
}

// posting is a form that is sent to path, as it is written.
func posting(path, body string, header ...string) func() *http.Request {
	return sending(http.MethodPost, path, body, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, header...)...)
}

func sending(method, target, body string, header ...string) func() *http.Request {
	return func() *http.Request {
		r, err := http.NewRequest(method, target, strings.NewReader(body))
		if err != nil {
			panic(err) // of the test's own
		}
		r.RemoteAddr = "192.0.2.1:1024"
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Add(header[i], header[i+1])
		}
		return r
	}
}

// getting is an authorization request of nobody, with changes that are escaped already.
func getting(raw string, changes ...string) func() *http.Request {
	return sending(http.MethodGet, "/authorize?"+asking(changes...).Encode()+raw, "")
}

// asserting is a redemption by whom an assertion names.
func asserting(assertion string) func() *http.Request {
	return posting("/token", url.Values{"client_assertion_type": {proofAssertionType}, "client_assertion": {assertion}}.Encode())
}

const proofAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

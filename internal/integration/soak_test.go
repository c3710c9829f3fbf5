package integration_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

const (
	soakServers  = 3
	soakSkew     = 30 * time.Second // between the fastest clock and the slowest
	soakAccess   = time.Minute      // lifetimes are short, so that a run sees many ends
	soakCode     = 2 * time.Minute
	soakIdle     = 25 * time.Second // how long a client does nothing, at most
	soakPatience = 45 * time.Second // soakIdle, soakPatience and soakSkew make up less than a
	soakUnused   = 2 * time.Minute  // refresh token's lifetime, or clients were logged out by the clock

	soakWarm  = 165 * time.Second // when as many rows expire as come: after soakUnused, by any clock
	soakLong  = 8 * time.Minute   // from here on thirds of what is left are judged
	soakShare = 0.8               // of what the machine can do
)

// soakLength is AUTHWRIGHT_SOAK, or long enough to see that everything works.
func soakLength(t *testing.T) time.Duration {
	t.Helper()
	length, err := time.ParseDuration(cmp.Or(os.Getenv("AUTHWRIGHT_SOAK"), "15s"))
	require.NoError(t, err, "AUTHWRIGHT_SOAK")
	return length
}

// Three servers with clocks that differ work on one database, at four fifths of what the
// machine can do. All the time servers and the database are killed, the network between
// them fails, and keys change. No answer is wrong, nobody is logged out, and nothing grows.
// docs/soak.md has more.
//
// It measures, so it does not run beside other tests.
func TestSoak(t *testing.T) {
	engine := cmp.Or(os.Getenv("AUTHWRIGHT_SOAK_ENGINE"), "postgresql")
	if withoutEngine(engine) {
		return
	}
	s := newSoak(t, engine, newSoakPlan(soakLength(t)))
	s.calibrate(t)
	s.soak(t)
	for i := range s.replicas {
		s.readLog(i)
	}
	s.close()
	report := s.report(engine)
	t.Log("\n" + report)
	publishSoak(t, report)
	if s.faultCount > 0 {
		t.Logf("The troubles were: %v", s.windows)
	}
	for _, err := range s.faults {
		t.Error(err)
	}
	require.Zero(t, s.faultCount)
	if s.plan.length >= soakLong {
		for _, series := range s.samples.all() {
			require.NoError(t, judgeSoakSeries(series, s.began+soakWarm, s.ended))
		}
		require.Greater(t, time.Duration(s.calm(s.began, s.ended))*time.Second, s.plan.length/4, "too few seconds were calm to tell much")
	}
	for _, kind := range soakKinds {
		require.NotEmpty(t, s.counts[kind], "%s was never tried", kind)
	}
	require.Positive(t, s.kills)
	require.Positive(t, s.crashes)
	require.NotEmpty(t, s.outages)
}

// A soak is a run: first without trouble, to see what the machine can do, and then with.
type soak struct {
	soakTroubler
	samples *soakSamples
	db      *soakDirect

	capacity, rate float64       // requests in a second; lives that begin in a second
	began, ended   time.Duration // of what is not calibration
}

func newSoak(t *testing.T, engine string, plan soakPlan) *soak {
	t.Helper()
	var e durableEngine
	switch engine {
	case "postgresql":
		e = newDurablePostgres(t)
	case "redis":
		e = newDurableRedis(t)
	default:
		require.Fail(t, "AUTHWRIGHT_SOAK_ENGINE is neither postgresql nor redis", engine)
	}
	proxy := newToxiproxy(t, e.address())
	book, issuer := newSoakBook(), "http://"+lastingAddr(t)
	replicas := startSoakServers(t, issuer, strings.Replace(e.dsn(), e.address(), proxy.listen, 1), plan, book.begun)
	var servers []string
	for _, r := range replicas {
		servers = append(servers, r.url)
	}
	return &soak{
		soakTroubler: soakTroubler{soakClient: newSoakClient(book, issuer, servers), plan: plan, replicas: replicas, engine: e, proxy: proxy, outages: make(map[string]int)},
		samples:      newSoakSamples(),
		db:           newSoakDirect(t, e),
	}
}

// startSoakServers starts servers whose clocks are half of soakSkew ahead, or behind.
func startSoakServers(t *testing.T, issuer, storage string, plan soakPlan, began time.Time) (replicas []*replica) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "soak")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./soak").CombinedOutput()
	require.NoError(t, err, string(out))
	sum := sha256.Sum256([]byte(proofSecret))
	secrets := []authwright.ClientSecret{{Hash: "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:])}}
	for i := range soakServers {
		addr := lastingAddr(t)
		file := writeTargetConfig(t, map[string]any{
			"addr": addr, "issuer": issuer, "storage": storage, "began": began, "rotation": plan.rotation,
			"skew": []time.Duration{0, soakSkew / 2, -soakSkew / 2}[i],
			"code": soakCode, "access": soakAccess, "refresh": soakUnused, "grace": 5 * time.Minute, "request": 3 * time.Second,
			"clients": []*authwright.Client{
				{ID: "web", Secrets: secrets, RedirectURIs: []string{proofRedirect}, Scopes: []string{"read"}, Consent: authwright.ConsentSkip},
				{ID: "machine", Secrets: secrets, Scopes: []string{"read"}, GrantTypes: []string{"client_credentials"}},
			},
		})
		r := &replica{url: "http://" + addr}
		r.command = func() (*exec.Cmd, error) { return mortalCommand(program, file), nil }
		r.ready = func(ctx context.Context) error { return ask(ctx, r.url+"/.well-known/oauth-authorization-server") }
		require.NoError(t, r.start())
		t.Cleanup(r.kill)
		replicas = append(replicas, r)
	}
	return replicas
}

// calibrate lets some clients do what they can, without thinking. The first moments count
// for nothing: connections are made, and code is read.
func (s *soak) calibrate(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for range 32 {
		clients.Go(func() {
			for ctx.Err() == nil {
				s.newLife(ctx, true).run()
			}
		})
	}
	<-time.After(s.plan.calibration / 4)
	begun, requests, lives := s.now(), s.requests(), s.lives.Load()
	<-time.After(s.plan.calibration)
	took := (s.now() - begun).Seconds()
	s.capacity, s.rate = float64(s.requests()-requests)/took, soakShare*float64(s.lives.Load()-lives)/took
	stop()
	clients.Wait()
	require.Positive(t, s.rate)
	s.mu.Lock()
	s.operations = nil
	s.mu.Unlock()
}

// soak begins lives at a rate, whatever has become of those before, and makes trouble.
func (s *soak) soak(t *testing.T) {
	t.Helper()
	s.began = s.now()
	ctx, cancel := context.WithTimeout(t.Context(), s.plan.length)
	defer cancel()
	var clients, watchers sync.WaitGroup
	clients.Go(func() {
		for next := time.Now(); ctx.Err() == nil; next = next.Add(time.Duration(rand.ExpFloat64() / s.rate * float64(time.Second))) {
			<-time.After(time.Until(next))
			if s.waiting.Load() > max(64, int64(s.capacity)) {
				s.shed.Add(1)
				continue
			}
			clients.Go(s.newLife(ctx, false).run)
		}
	})
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	watchers.Go(func() { s.samples.take(ctx, s.soakClient, s.db) })
	watchers.Go(func() { s.watchMachine(watching, s.db) })
	watchers.Go(func() { s.watchLoad(watching, max(32, int64(s.capacity/2))) }) // half a second's work
	err := s.trouble(ctx)
	s.ended = s.now()
	clients.Wait()
	stop()
	watchers.Wait()
	require.NoError(t, err, "something did not start again")
}

// publishSoak writes the report between the lines that say where it belongs, if
// AUTHWRIGHT_SOAK_REPORT names a file.
func publishSoak(t *testing.T, report string) {
	t.Helper()
	name := os.Getenv("AUTHWRIGHT_SOAK_REPORT")
	if name == "" {
		return
	}
	const begin, end = "<!-- report -->\n", "<!-- end of report -->\n"
	old, err := os.ReadFile(name)
	if err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
		old = fmt.Append(nil, begin, end)
	}
	before, rest, found := strings.Cut(string(old), begin)
	_, after, closed := strings.Cut(rest, end)
	require.True(t, found && closed, "%s has no place for the report", name)
	require.NoError(t, os.WriteFile(name, []byte(before+begin+report+end+after), 0o600))
}

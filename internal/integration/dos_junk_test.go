package integration_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// junkRequests is how many of them are sent to each storage: 20,000, or what the environment
// variable AUTHWRIGHT_JUNK says.
func junkRequests(t *testing.T) int {
	t.Helper()
	text := os.Getenv("AUTHWRIGHT_JUNK")
	if text == "" {
		return 20_000
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err)
	return n
}

// TestDenialOfServiceByJunk sends every endpoint what strangers can make up. It names clients
// that exist and clients that do not; no user is signed in, and no client proves itself.
func TestDenialOfServiceByJunk(t *testing.T) {
	web := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	n, stores := junkRequests(t), victimStores()
	var table strings.Builder
	fmt.Fprintf(&table, "%s\n\n| storage | requests | CPU each, µs | heap before, KiB | after | RSS before, MiB | peak | goroutines before | after | written |\n|---|---|---|---|---|---|---|---|---|---|\n", machine())
	for _, name := range []string{"memory", "sqlite", "postgresql", "redis"} {
		if withoutEngine(name) {
			continue
		}
		t.Run("D05 "+name, func(t *testing.T) {
			store, dump := stores[name](t)
			v, s := besieged(t, store, reaching(web))
			v.throw(t, web.URL, 1000) // connections and caches fill
			atRest, heap, rss, goroutines := sorted(dump()), heapSize(), peakRSS(t), runtime.NumGoroutine()
			begun := cpuTime(t)
			v.throw(t, web.URL, n)
			cpu := cpuTime(t) - begun
			peak, after := peakRSS(t), heapSize()
			fmt.Fprintf(&table, "| %s | %d | %.0f | %d | %d | %d | %d | %d | %d | %d |\n", name, n, float64(cpu.Microseconds())/float64(n),
				heap>>10, after>>10, rss>>10, peak>>10, goroutines, runtime.NumGoroutine(), s.written())
			require.Zero(t, s.calls.Load(), "something was written, or tried to")
			require.Equal(t, atRest, sorted(dump()))
			require.Less(t, after, heap+4<<20)
			require.Less(t, peak, rss+128<<10)
			require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines+1 }, 10*time.Second, 10*time.Millisecond) // and the one that looks
		})
	}
	t.Log("\n" + table.String())
}

// sorted is what a storage holds, line by line.
func sorted(dump string) []string {
	lines := strings.Split(dump, "\n")
	slices.Sort(lines)
	return lines
}

// heapSize is what is left of the heap without garbage.
func heapSize() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// peakRSS is the most memory that the process has had since it was asked last, in KiB.
func peakRSS(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, text, _ := strings.Cut(string(status), "VmHWM:")
	text, _, _ = strings.Cut(strings.TrimSpace(text), " ")
	kib, err := strconv.Atoi(text)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)) // proc(5)
	return kib
}

// throw sends n requests, four at a time.
func (v *victim) throw(t *testing.T, web string, n int) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			j := junk{rand.New(rand.NewPCG(uint64(n), uint64(i))), web}
			w := new(silentWriter)
			for range n / 4 {
				*w = silentWriter{header: http.Header{}}
				v.srv.ServeHTTP(w, j.request())
				if w.status >= 500 && w.status != http.StatusServiceUnavailable {
					t.Errorf("status %d", w.status)
				}
			}
		})
	}
	wg.Wait()
}

// junk makes requests up.
type junk struct {
	*rand.Rand
	web string // a host that has documents, for those it is asked for
}

func (j junk) of(values ...string) string { return values[j.IntN(len(values))] }

// text is n characters of base64url.
func (j junk) text(n int) string {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	b := make([]byte, n)
	for i := range b {
		b[i] = digits[j.IntN(len(digits))]
	}
	return string(b)
}

func (j junk) client() string {
	return j.of("c1", "c2", "p1", "n1", j.text(20), j.web+"/"+j.text(8), "http://a.example/"+j.text(8), j.text(2100))
}

// token is a code, a refresh token, a JWT or nothing like it.
func (j junk) token() string {
	return j.of(j.text(64), j.text(64), j.text(j.IntN(200)), unverifiable(`{"alg":"RS256","typ":"at+jwt","kid":"`+j.text(43)+`"}`, `{"sub":"`+j.text(8)+`"}`))
}

func (j junk) query() string {
	q := asking("client_id", j.client(), "state", j.text(20), "code_challenge", j.text(43), "prompt", j.of("", "none", "login", "consent"),
		"redirect_uri", j.of(c1URI, p1URI, "", "https://"+j.text(8)+".example/cb"), "scope", j.of("read", "openid", "", j.text(30)),
		"claims", j.of("", `{"userinfo":{"`+j.text(5)+`":null}}`), "id_token_hint", j.of("", j.token()), "resource", j.of("", "https://"+j.text(8)+".example"))
	return q.Encode()
}

func (j junk) form() string {
	f := url.Values{
		"grant_type": {j.of("authorization_code", "refresh_token", "client_credentials", j.text(5))}, "client_id": {j.client()},
		"code": {j.token()}, "refresh_token": {j.token()}, "token": {j.token()}, "code_verifier": {j.text(43)}, "redirect_uri": {c1URI},
	}
	switch j.IntN(3) {
	case 0:
		f.Set("client_secret", j.text(40))
	case 1:
		f.Del("client_id")
		f.Set("client_assertion_type", proofAssertionType)
		f.Set("client_assertion", unverifiable(`{"alg":"RS256"}`, fmt.Sprintf(`{"iss":%q,"sub":%[1]q,"jti":%q}`, j.client(), j.text(8))))
	}
	return f.Encode()
}

func (j junk) request() (r *http.Request) {
	switch j.IntN(10) {
	case 0, 1:
		r = sending("GET", "/authorize?"+j.query(), "")()
	case 2:
		r = posting("/authorize", j.query())()
	case 3:
		r = posting("/consent?"+j.query(), url.Values{"consent": {j.token()}, "decision": {j.of("approve", "deny")}, "scope": {"read"}}.Encode())()
	case 4, 5, 6:
		r = posting(j.of("/token", "/token", "/revoke", "/introspect"), j.form())()
	case 7:
		r = sending(j.of("GET", "POST"), "/userinfo", "", "Authorization", j.of("Bearer ", "Basic ", "DPoP ")+j.token())()
	case 8:
		r = sending("POST", "/register", j.of("{}", j.text(100), `{"redirect_uris":["http://`+j.text(8)+`.example"]}`), "Content-Type", "application/json")()
	default:
		r = sending(j.of("GET", "PUT", "OPTIONS", "DELETE"), j.of("/jwks", "/logout?id_token_hint="+j.token(), "/register?client_id="+j.client(), "/"+j.text(10),
			"/.well-known/oauth-authorization-server"), "", "Authorization", "Bearer "+j.text(43), "Origin", "https://"+j.text(8)+".example")()
	}
	r.AddCookie(&http.Cookie{Name: j.of("__Host-authwright-browser", j.text(5)), Value: j.text(26)})
	r.RemoteAddr = fmt.Sprintf("198.51.%d.%d:1", j.IntN(256), j.IntN(256))
	return r
}

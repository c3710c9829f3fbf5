//go:build unix

package resource_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/authwright/authwright/resource"
)

// What a request with a token costs, beside one verification of a signature by the standard
// library, which is what it cannot cost less than:
//
//	go test -run '^$' -bench 'Verification|Require|Live' -benchmem -cpu 1 -count 10 ./resource
//
// Both are measured in turns and in CPU time, the collector's share included, so that x-bare, the
// one divided by the other, means something on a machine that has other things to do, too.

var benchAlgorithms = []string{"ES256", "EdDSA", "RS256"}

// pooled is how many tokens there are of a kind. Few enough to be remembered all.
const pooled = 512

// A sample is a token as authwright makes them, and the verification of its signature.
type sample struct {
	text string
	bare func() bool
}

func samples(k key) []sample {
	pool := make([]sample, pooled)
	for i := range pool {
		text := token(k, nil, object{
			"jti": rand.Text(), "grant_id": rand.Text(), "sub": fmt.Sprint("user-", i), "client_id": "notes-web", "scope": "notes:read notes:write",
		})
		pool[i] = sample{text, bare(k, text)}
	}
	return pool
}

// bare returns the verification of text without anything before and after it.
func bare(k key, text string) func() bool {
	dot := strings.LastIndexByte(text, '.')
	input := []byte(text[:dot])
	sum := sha256.Sum256(input)
	sig, _ := base64.RawURLEncoding.DecodeString(text[dot+1:])
	switch public := k.private.Public().(type) {
	case *ecdsa.PublicKey:
		der, _ := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])})
		return func() bool { return ecdsa.VerifyASN1(public, sum[:], der) }
	case ed25519.PublicKey:
		return func() bool { return ed25519.Verify(public, input, sig) }
	case *rsa.PublicKey:
		return func() bool { return rsa.VerifyPKCS1v15(public, 5, sum[:], sig) == nil }
	}
	return nil
}

// An answerer writes nowhere: what a recorder costs is not what is asked.
type answerer struct {
	header http.Header
	status int
}

func (a *answerer) Header() http.Header         { return a.header }
func (a *answerer) WriteHeader(status int)      { a.status = status }
func (a *answerer) Write(p []byte) (int, error) { return len(p), nil }

// A presenter sends tokens to a handler behind Require.
type presenter struct {
	tb testing.TB
	h  http.Handler
	r  *http.Request
	w  answerer
}

func newPresenter(tb testing.TB, v *resource.Verifier) *presenter {
	p := &presenter{tb: tb, r: httptest.NewRequest(http.MethodGet, "/notes?page=2", nil)}
	p.h = v.Require("notes:read")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	return p
}

// newRequests has what each token is sent in made beforehand, as net/http does.
func newRequests(pool []sample) []http.Header {
	headers := make([]http.Header, len(pool))
	for i, s := range pool {
		headers[i] = http.Header{"Authorization": {"Bearer " + s.text}, "Accept": {"application/json"}, "User-Agent": {"bench"}}
	}
	return headers
}

func (p *presenter) present(header http.Header) {
	p.r.Header = header
	p.w = answerer{header: p.w.header}
	if p.h.ServeHTTP(&p.w, p.r); p.w.status != http.StatusNoContent {
		p.tb.Fatal(p.w.status)
	}
}

// BenchmarkVerification is a signature and nothing else.
func BenchmarkVerification(b *testing.B) {
	for _, alg := range benchAlgorithms {
		b.Run("alg="+alg, func(b *testing.B) {
			pool := samples(newKey("k", alg))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !pool[i%pooled].bare() {
					b.Fatal("the signature is wrong")
				}
			}
		})
	}
}

// BenchmarkRequire is a request through the middleware.
func BenchmarkRequire(b *testing.B) { benchmarkRequire(b, nil) }

// BenchmarkLive is the same if every token is asked about.
func BenchmarkLive(b *testing.B) {
	benchmarkRequire(b, func(context.Context, string) (bool, error) { return true, nil })
}

func benchmarkRequire(b *testing.B, live func(context.Context, string) (bool, error)) {
	for _, alg := range benchAlgorithms {
		k := newKey("wVj5YUbXgM6Zr0a6NnW1a2hSkXoGkmh5WmIYkH2GgXo", alg) // as long as a thumbprint
		pool := samples(k)
		for _, kind := range []string{"new", "seen"} {
			b.Run("alg="+alg+"/token="+kind, func(b *testing.B) {
				benchmarkTokens(b, pool, newRequests(pool), func() *presenter {
					v, _ := verifier(k)
					v.Live = live
					p := newPresenter(b, v)
					if kind == "seen" {
						for _, h := range newRequests(pool) {
							p.present(h)
						}
					}
					p.present(newRequests([]sample{{text: token(k, nil, object{"grant_id": "g", "scope": "notes:read"})}})[0])
					return p
				}, kind == "new")
			})
		}
	}
}

// benchmarkTokens presents the tokens of pool over and over, each time to a new presenter if
// fresh is true, which is not timed.
func benchmarkTokens(b *testing.B, pool []sample, headers []http.Header, prepare func() *presenter, fresh bool) {
	var guarded, alone time.Duration
	p := prepare()
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		n := min(pooled, b.N-done)
		began := cpuTime()
		for i := range n {
			p.present(headers[i])
		}
		guarded += cpuTime() - began
		b.StopTimer()
		began = cpuTime()
		for i := range n {
			if !pool[i].bare() {
				b.Fatal("the signature is wrong")
			}
		}
		alone += cpuTime() - began
		if fresh {
			p = prepare()
		}
		b.StartTimer()
		done += n
	}
	b.ReportMetric(float64(guarded)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(guarded)/float64(alone), "x-bare")
}

// cpuTime is what this program has had of all processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

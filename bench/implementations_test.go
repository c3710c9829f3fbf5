package bench_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/bench/peers"
	"github.com/authwright/authwright/bench/subject"
)

var algorithms = []string{"ES256", "EdDSA", "RS256"}

// keyFor returns the key for alg, the same one each time: making one for RSA takes a while.
func keyFor(tb testing.TB, alg string) crypto.Signer {
	tb.Helper()
	key, err := keys[alg]()
	require.NoError(tb, err)
	return key
}

var keys = map[string]func() (crypto.Signer, error){
	"ES256": sync.OnceValues(func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }),
	"EdDSA": sync.OnceValues(func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}),
	"RS256": sync.OnceValues(func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }),
}

// candidates are authwright and its peers.
var candidates = append([]peers.Peer{{Name: "authwright", New: newAuthwright, Concurrent: true}}, peers.All...)

func newAuthwright(_ string, key crypto.Signer) (*peers.Server, error) {
	srv, _, err := subject.NewMemory(key)
	if err != nil {
		return nil, err
	}
	return &peers.Server{Authorize: srv, Token: srv, Introspect: srv}, nil
}

// has reports whether c is run with alg. A slow hash hides every signature, so one algorithm
// is enough for it.
func has(c peers.Peer, alg string) bool { return c.Name != "fosite-bcrypt" || alg == "ES256" }

// introspects reports whether c has introspection with alg: go-oauth2 and osin have no such
// endpoint, and fosite signs with an Ed25519 key but does not verify with it.
func introspects(c peers.Peer, alg string) bool {
	switch c.Name {
	case "authwright":
		return true
	case "go-oauth2", "osin":
		return false
	}
	return has(c, alg) && alg != "EdDSA"
}

// start makes the server of c.
func start(tb testing.TB, c peers.Peer, alg string) *implementation {
	tb.Helper()
	s, err := c.New(alg, keyFor(tb, alg))
	require.NoError(tb, err)
	return (*implementation)(s)
}

// each runs a benchmark for all algorithms and candidates for which there is one.
func each(b *testing.B, has func(c peers.Peer, alg string) bool, run func(b *testing.B, impl *implementation, sign func())) {
	for _, alg := range algorithms {
		b.Run("alg="+alg, func(b *testing.B) {
			for _, c := range candidates {
				if !has(c, alg) {
					continue
				}
				b.Run("impl="+c.Name, func(b *testing.B) { run(b, start(b, c, alg), signing(b, alg)) })
			}
		})
	}
}

func TestFlows(t *testing.T) {
	t.Parallel()
	for _, c := range candidates {
		for _, alg := range algorithms {
			if !has(c, alg) {
				continue
			}
			t.Run(c.Name+" "+alg, func(t *testing.T) {
				t.Parallel()
				impl := start(t, c, alg)
				code := impl.code()
				first := impl.redeem(code)
				second := impl.refresh(first.refresh)
				third := impl.refresh(second.refresh)
				if introspects(c, alg) {
					impl.active(subject.IntrospectForm + string(third.access))
				}

				w := sendPost(impl.Token, tokenURL, subject.RedeemForm+code)
				require.NotEqual(t, http.StatusOK, w.Code, "a code is good once")
				other := strings.Replace(subject.RedeemForm, subject.Verifier, strings.Repeat("x", 43), 1)
				require.NotEqual(t, subject.RedeemForm, other)
				w = sendPost(impl.Token, tokenURL, other+impl.code())
				require.NotEqual(t, http.StatusOK, w.Code, "PKCE is checked")
				w = sendPost(impl.Token, tokenURL, subject.RefreshForm+impl.flow().refresh+"x")
				require.NotEqual(t, http.StatusOK, w.Code, "the refresh token is checked")
			})
		}
	}
}

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

// A candidate makes an implementation, by the name that stands in tables.
type candidate struct {
	name string
	open func(alg string, key crypto.Signer) (*implementation, error)
}

// has reports whether the candidate is run with alg. A slow hash hides every signature, so
// one algorithm is enough for it.
func (c candidate) has(alg string) bool { return c.name != "fosite-bcrypt" || alg == "ES256" }

// introspects reports whether it has introspection with alg: go-oauth2 has no such endpoint,
// and fosite signs with an Ed25519 key but does not verify with it.
func (c candidate) introspects(alg string) bool {
	return c.has(alg) && c.name != "go-oauth2" && (c.name == "authwright" || alg != "EdDSA")
}

var candidates = []candidate{
	{"authwright", newAuthwright},
	{"fosite", func(alg string, key crypto.Signer) (*implementation, error) { return newFosite(alg, key, fastHasher{}) }},
	{"fosite-bcrypt", func(alg string, key crypto.Signer) (*implementation, error) { return newFosite(alg, key, nil) }},
	{"go-oauth2", newGoOAuth2},
}

func newAuthwright(_ string, key crypto.Signer) (*implementation, error) {
	srv, _, err := subject.NewMemory(key)
	if err != nil {
		return nil, err
	}
	return &implementation{srv, srv, srv}, nil
}

// each runs a benchmark for all algorithms and candidates for which there is one.
func each(b *testing.B, has func(c candidate, alg string) bool, run func(b *testing.B, impl *implementation, sign func())) {
	for _, alg := range algorithms {
		b.Run("alg="+alg, func(b *testing.B) {
			for _, c := range candidates {
				if !has(c, alg) {
					continue
				}
				b.Run("impl="+c.name, func(b *testing.B) {
					impl, err := c.open(alg, keyFor(b, alg))
					require.NoError(b, err)
					run(b, impl, signing(b, alg))
				})
			}
		})
	}
}

func TestFlows(t *testing.T) {
	t.Parallel()
	for _, c := range candidates {
		for _, alg := range algorithms {
			if !c.has(alg) {
				continue
			}
			t.Run(c.name+" "+alg, func(t *testing.T) {
				t.Parallel()
				impl, err := c.open(alg, keyFor(t, alg))
				require.NoError(t, err)
				code := impl.code()
				first := impl.redeem(code)
				second := impl.refresh(first.refresh)
				third := impl.refresh(second.refresh)
				if c.introspects(alg) {
					impl.active(subject.IntrospectForm + string(third.access))
				}

				w := sendPost(impl.token, tokenURL, subject.RedeemForm+code)
				require.NotEqual(t, http.StatusOK, w.Code, "a code is good once")
				other := strings.Replace(subject.RedeemForm, subject.Verifier, strings.Repeat("x", 43), 1)
				require.NotEqual(t, subject.RedeemForm, other)
				w = sendPost(impl.token, tokenURL, other+impl.code())
				require.NotEqual(t, http.StatusOK, w.Code, "PKCE is checked")
				w = sendPost(impl.token, tokenURL, subject.RefreshForm+impl.flow().refresh+"x")
				require.NotEqual(t, http.StatusOK, w.Code, "the refresh token is checked")
			})
		}
	}
}

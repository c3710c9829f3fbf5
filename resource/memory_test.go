package resource

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/internal/jws"
)

func (m *memory) len() (n int) {
	for i := range m.places {
		if m.places[i].Load() != nil {
			n++
		}
	}
	return n
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m, begin := new(memory), time.Unix(1_800_000_000, 0)
	keep := func(i int) *seen {
		s := &seen{id: jws.Sum256(fmt.Sprint(i)), token: &Token{Expiry: begin.Add(time.Duration(i))}}
		m.keep(s)
		return s
	}
	for i := range 4 * seenTokens {
		s := keep(i)
		require.Same(t, s, m.find(&s.id), "what comes last is there")
	}
	require.Greater(t, m.len(), seenTokens*99/100, "nearly all places are in use")
	var oldest, newest int
	for i := range seenTokens / 8 {
		if id := jws.Sum256(fmt.Sprint(i)); m.find(&id) != nil {
			oldest++
		}
		if id := jws.Sum256(fmt.Sprint(4*seenTokens - 1 - i)); m.find(&id) != nil {
			newest++
		}
	}
	require.Less(t, oldest, seenTokens/8/50, "what is good for the shortest time makes room")
	require.Greater(t, newest, seenTokens/8*49/50)
	before := m.len()
	s := keep(4*seenTokens - 1)
	require.Equal(t, before, m.len())
	require.Same(t, s, m.find(&s.id), "a token takes the place that it has")
}

// Few tokens do not drive each other out.
func TestMemoryKeepsFew(t *testing.T) {
	t.Parallel()
	m := new(memory)
	for i := range seenTokens / 8 {
		m.keep(&seen{id: jws.Sum256(fmt.Sprint(i)), token: &Token{}})
	}
	require.Greater(t, m.len(), seenTokens/8-seenTokens/256)
}

func TestHashOfTokens(t *testing.T) {
	t.Parallel()
	ids := make(map[[32]byte]bool)
	for n := range 2000 {
		ids[jws.Sum256(strings.Repeat("a", n))] = true
	}
	require.Len(t, ids, 2000, "no two of different lengths are one")
}

// Whatever strangers send, nothing of it is remembered.
func TestStrangersFillNothing(t *testing.T) {
	t.Parallel()
	seed := make([]byte, ed25519.SeedSize)
	good, evil := ed25519.NewKeyFromSeed(seed), ed25519.NewKeyFromSeed(append(seed[1:], 1))
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: good.Public(), KeyID: "k", Algorithm: "EdDSA"}}})
	require.NoError(t, err)
	v := &Verifier{Issuer: "https://auth.example.com", Audience: "https://api.example.com", Keys: func(context.Context) ([]byte, error) { return set, nil }}
	now := time.Now().Unix()
	sign := func(k ed25519.PrivateKey, aud, extra string) string {
		options := (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k")
		if extra != "" {
			options = options.WithHeader("x", extra)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: k}, options)
		require.NoError(t, err)
		jws, err := signer.Sign(fmt.Appendf(nil, `{"iss":%q,"aud":%q,"sub":"a","client_id":"b","jti":"c%s","iat":%d,"exp":%d}`, v.Issuer, aud, extra, now, now+600))
		require.NoError(t, err)
		text, err := jws.CompactSerialize()
		require.NoError(t, err)
		return text
	}
	h := v.Require()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	send := func(text string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+text)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	known := func() int {
		if known := v.headers.known.Load(); known != nil {
			return len(*known)
		}
		return 0
	}
	for i := range 100 {
		require.Equal(t, http.StatusUnauthorized, send(sign(evil, v.Audience, fmt.Sprint(i))))
	}
	require.Zero(t, known())
	text := sign(good, v.Audience, "")
	for range 3 {
		require.Equal(t, http.StatusOK, send(text))
	}
	require.Equal(t, 1, known())
	require.Equal(t, 1, v.seen.len())
	for i := range 100 {
		require.Equal(t, http.StatusUnauthorized, send(sign(evil, v.Audience, "")))
		require.Equal(t, http.StatusUnauthorized, send(sign(good, "https://other.example.com", "")))
		require.Equal(t, http.StatusUnauthorized, send(text[:len(text)-4]+fmt.Sprintf("%04d", i)))
	}
	require.Equal(t, 1, known())
	require.Equal(t, 1, v.seen.len(), "tokens that are refused are not remembered")

	for i := range 2 * maxHeaders {
		require.Equal(t, http.StatusOK, send(sign(good, v.Audience, fmt.Sprint(i))))
		require.LessOrEqual(t, known(), maxHeaders)
	}
}

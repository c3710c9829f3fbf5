package authwright_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// What costs more than its size to read is short. The figures are in
// docs/denial-of-service.md.
func TestBounds(t *testing.T) {
	t.Parallel()
	w := newProvider(t)
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, " %d", i)
		}
		return b.String()[1:]
	}
	t.Run("D02 scopes", func(t *testing.T) {
		q := w.signedIn("alice").authorize(asking("scope", many(500))).location(t)
		require.Equal(t, "the client may not have a scope that it asks for", q.Get("error_description"))
		q = w.signedIn("alice").authorize(asking("scope", many(501))).location(t)
		require.Equal(t, "invalid_scope", q.Get("error"))
		require.Equal(t, "scope has too many values", q.Get("error_description"))
	})
	t.Run("D02 acr_values", func(t *testing.T) {
		w.signedIn("alice").authorize(asking("acr_values", many(100))).question(t)
		q := w.signedIn("alice").authorize(asking("acr_values", many(101))).location(t)
		require.Equal(t, "invalid_request", q.Get("error"))
	})
	key := newKey(t)
	long := func(n int) map[string]any { return map[string]any{"x": strings.Repeat("x", n)} }
	t.Run("J12 the header of an assertion", func(t *testing.T) {
		w.addSigner("robot", keySetOf(t, key))
		sign := func(n int) string { return signJWT(t, jose.ES256, key, long(n), w.statement("robot", nil)) }
		require.Equal(t, http.StatusOK, w.present(sign(2900)).status, "certificates have room in it")
		refused(t, w.present(sign(3100)), "invalid_client")
	})
	t.Run("J12 the keys of a client", func(t *testing.T) {
		for n, ok := range map[int]bool{99: true, 100: false} {
			id := fmt.Sprint("keys", n)
			set := strings.Replace(string(keySetOf(t, key)), "[", "["+strings.Repeat("{},", n), 1)
			w.addSigner(id, []byte(set))
			a := w.present(signJWT(t, jose.ES256, key, nil, w.statement(id, nil)))
			if ok {
				require.Equal(t, http.StatusOK, a.status, a.body)
			} else {
				refused(t, a, "invalid_client")
			}
		}
	})
}

// The server knows the headers of its own tokens by heart, and reads no other.
func TestBoundOfOwnHeader(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	w := newWorld(t, func(cfg *authwright.Config) { cfg.SigningKeys = []authwright.SigningKey{{Signer: key}} })
	token, _ := w.tokens()["access_token"].(string)
	require.Less(t, strings.IndexByte(token, '.'), 256)
	kid := w.keySet().Keys[0].KeyID
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	require.NoError(t, err)
	for _, n := range []int{0, 100, 400} {
		forged := signJWT(t, jose.ES256, key, map[string]any{"kid": kid, "typ": "at+jwt", "x": strings.Repeat("x", n)}, string(payload))
		require.False(t, w.active(t, forged), "J12 a header with %d bytes more", n)
	}
}

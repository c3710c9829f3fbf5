package authwright_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A grant knows its last access token by a hash. Whoever asks about a token must not be able
// to tell.
func TestIntrospectWhatTheGrantKnows(t *testing.T) {
	t.Parallel()
	ask := func(w *world, token any) answer { return w.postForm("/introspect", ofToken(token), "web", webSecret) }

	t.Run("the token before the last one is good, too", func(t *testing.T) {
		w := newWorld(t)
		first := w.tokens()
		second := w.token(refreshForm(first["refresh_token"].(string)), "web", webSecret).json(t)
		retried := w.token(refreshForm(first["refresh_token"].(string)), "web", webSecret).json(t)
		require.Equal(t, second["refresh_token"], retried["refresh_token"])
		for _, tokens := range []map[string]any{first, second, retried} {
			claims := described(t, ask(w, tokens["access_token"]))
			require.Equal(t, segment(t, tokens["access_token"], 1)["jti"], claims["jti"])
		}
	})
	t.Run("IN-02 a token that differs in one byte is nobody's", func(t *testing.T) {
		w := newWorld(t)
		token := w.tokens()["access_token"].(string)
		described(t, ask(w, token))
		for i := range len(token) {
			other := byte('A')
			if token[i] == other {
				other = 'B'
			}
			if i == len(token)-1 { // of which two bits mean nothing, and must be zero all the same
				other = token[i] + 1
			}
			inactive(t, ask(w, token[:i]+string(other)+token[i+1:]))
		}
		inactive(t, ask(w, token+"="))
		inactive(t, ask(w, token+"."))
		inactive(t, ask(w, strings.ReplaceAll(token, ".", "..")))
	})
	t.Run("IN-02 a token is worthless once its key has been taken away", func(t *testing.T) {
		leaked := newKey(t)
		w := newWorld(t, func(c *authwright.Config) { c.SigningKeys = []authwright.SigningKey{{Signer: leaked}} })
		token := w.tokens()["access_token"]
		described(t, ask(w, token))
		require.NoError(t, w.srv.SetSigningKeys(authwright.SigningKey{Signer: newKey(t)}))
		inactive(t, ask(w, token))
	})
	t.Run("IN-02 a token is worthless once it has expired", func(t *testing.T) {
		w := newWorld(t)
		token := w.tokens()["access_token"]
		w.advance(10*time.Minute - time.Second)
		described(t, ask(w, token))
		w.advance(time.Second)
		inactive(t, ask(w, token))
	})
	t.Run("the host's claims come as they were", func(t *testing.T) {
		w := newWorld(t, func(c *authwright.Config) {
			c.Claims = func(context.Context, *authwright.Grant) (map[string]any, error) {
				return map[string]any{"": 1, "n": json.Number("12345678901234567890.5"), "ünder<&>": []any{"a", nil}, "nested": map[string]any{"active": false}}, nil
			}
		})
		token := w.tokens()["access_token"]
		a := ask(w, token)
		claims := described(t, a)
		require.Contains(t, a.body, "12345678901234567890.5")
		require.Equal(t, []any{"a", nil}, claims["ünder<&>"])
		require.Equal(t, segment(t, token, 1)["nested"], claims["nested"])
	})
	t.Run("the storage holds no token", func(t *testing.T) {
		w := newWorld(t)
		token := w.tokens()["access_token"].(string)
		grants, _, err := w.store.GrantsByClient(t.Context(), "web", "", 0)
		require.NoError(t, err)
		known := 0
		for _, g := range grants {
			if g.Token != nil {
				known++
				require.Equal(t, sha(token), g.Token)
			}
		}
		require.Equal(t, 1, known)
	})
}

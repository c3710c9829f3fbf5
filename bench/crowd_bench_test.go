package bench_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/bench/subject"
)

// BenchmarkCrowd is what a refresh and the introspection of a token cost beside many clients,
// and with many keys published, of which the first signs.
func BenchmarkCrowd(b *testing.B) {
	for _, crowd := range []struct{ clients, keys int }{{1, 1}, {100_000, 1}, {1, 32}} {
		srv, memory, err := subject.NewMemory(keyFor(b, "ES256"))
		require.NoError(b, err)
		for i := range crowd.clients - 1 {
			c := subject.Client()
			c.ID = fmt.Sprint("client-", i)
			require.NoError(b, memory.AddClient(b.Context(), c))
		}
		keys := []authwright.SigningKey{{Signer: keyFor(b, "ES256")}}
		for range crowd.keys - 1 {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			require.NoError(b, err)
			keys = append(keys, authwright.SigningKey{Signer: key})
		}
		require.NoError(b, srv.SetSigningKeys(keys...))
		impl := &implementation{Authorize: srv, Token: srv, Introspect: srv}
		name := fmt.Sprintf("clients=%d/keys=%d", crowd.clients, crowd.keys)
		b.Run("work=Refresh/"+name, func(b *testing.B) { measure(b, refreshes(impl)) })
		form := subject.IntrospectForm + string(impl.flow().access)
		b.Run("work=Introspect/"+name, func(b *testing.B) { measure(b, func() { impl.active(form) }) })
	}
}

package authwright_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// countedStorage counts how often a client is read.
type countedStorage struct {
	*authwright.Memory
	reads atomic.Int64
}

func (c *countedStorage) Client(ctx context.Context, id string) (*authwright.Client, error) {
	c.reads.Add(1)
	return c.Memory.Client(ctx, id)
}

func TestClientMaxAge(t *testing.T) {
	t.Parallel()
	open := func(t *testing.T, maxAge time.Duration) (*world, *countedStorage) {
		storage := new(countedStorage)
		w := newWorld(t, func(cfg *authwright.Config) {
			storage.Memory = cfg.Storage.(*authwright.Memory)
			cfg.Storage, cfg.ClientMaxAge = storage, maxAge
		})
		return w, storage
	}
	t.Run("without, each request reads its client", func(t *testing.T) {
		w, storage := open(t, 0)
		token := w.tokens()["refresh_token"].(string)
		storage.reads.Store(0)
		w.token(refreshForm(token), "web", webSecret)
		require.EqualValues(t, 1, storage.reads.Load())
	})
	t.Run("with, it is read once in a while", func(t *testing.T) {
		w, storage := open(t, 5*time.Second)
		token := w.tokens()["refresh_token"].(string)
		storage.reads.Store(0)
		for range 10 {
			token = w.token(refreshForm(token), "web", webSecret).json(t)["refresh_token"].(string)
		}
		require.Zero(t, storage.reads.Load())
		w.advance(5 * time.Second)
		w.token(refreshForm(token), "web", webSecret)
		require.EqualValues(t, 1, storage.reads.Load())
	})
	t.Run("K16 a secret that was withdrawn is good for no longer than that", func(t *testing.T) {
		w, _ := open(t, 5*time.Second)
		token := w.tokens()["refresh_token"].(string)
		c, err := w.store.Client(t.Context(), "web")
		require.NoError(t, err)
		c.Secrets = []authwright.ClientSecret{stored("another")}
		require.NoError(t, w.store.UpdateClient(t.Context(), c))
		w.advance(5*time.Second - time.Millisecond)
		token = w.token(refreshForm(token), "web", webSecret).json(t)["refresh_token"].(string)
		w.advance(time.Millisecond)
		refused(t, w.token(refreshForm(token), "web", webSecret), "invalid_client")
		require.Equal(t, http.StatusOK, w.token(refreshForm(token), "web", "another").status)
	})
	t.Run("what is not registered is not remembered", func(t *testing.T) {
		w, _ := open(t, time.Minute)
		refused(t, w.token(refreshForm("x"), "late", webSecret), "invalid_client")
		w.enroll(&authwright.Client{ID: "late", Secrets: []authwright.ClientSecret{stored(webSecret)}, RedirectURIs: []string{"https://late.example/cb"}})
		refused(t, w.token(refreshForm("x"), "late", webSecret), "invalid_grant")
	})
	t.Run("it is bounded", func(t *testing.T) {
		w, storage := open(t, time.Minute)
		ask := func(i int) {
			a := w.postForm("/revoke", ofToken("nothing", "client_id", fmt.Sprint("client-", i)))
			require.Equal(t, http.StatusOK, a.status)
		}
		for i := range 10_001 {
			require.NoError(t, w.store.AddClient(t.Context(), &authwright.Client{ID: fmt.Sprint("client-", i), RedirectURIs: []string{"https://c.example/cb"}}))
			ask(i)
		}
		storage.reads.Store(0)
		ask(10_000)
		require.Zero(t, storage.reads.Load())
		ask(0)
		require.EqualValues(t, 1, storage.reads.Load(), "it was forgotten with the others when they were too many")
	})
	t.Run("more than a minute is refused", func(t *testing.T) {
		for _, d := range []time.Duration{-1, time.Minute + 1} {
			_, err := authwright.NewServer(authwright.Config{
				Issuer: "https://as.example", Storage: new(authwright.Memory), Authenticator: authwright.LoginRedirect("/login", "next", nil), ClientMaxAge: d,
				SigningKeys: []authwright.SigningKey{{Signer: newKey(t)}},
			})
			require.ErrorContains(t, err, "Config.ClientMaxAge")
		}
	})
}

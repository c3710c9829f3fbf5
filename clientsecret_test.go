package authwright_test

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

func TestClientSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	old, storedOld := authwright.NewSecret()
	fresh, storedFresh := authwright.NewSecret()
	// A chosen secret, with fewer rounds than ChosenSecret would take.
	sum, err := pbkdf2.Key(sha256.New, "correct horse", []byte("0123456789abcdef"), 1000, sha256.Size)
	require.NoError(t, err)
	chosen := authwright.ClientSecret{Hash: strings.Join([]string{
		"pbkdf2-sha256:1000", base64.RawURLEncoding.EncodeToString([]byte("0123456789abcdef")), base64.RawURLEncoding.EncodeToString(sum),
	}, ":")}
	storedOld.ExpiresAt = w.now().Add(time.Hour)
	w.changeClient("web", func(c *authwright.Client) {
		c.Secrets = []authwright.ClientSecret{storedOld, storedFresh}
	})
	w.changeClient("other", func(c *authwright.Client) { c.Secrets = []authwright.ClientSecret{storedFresh, chosen} })

	t.Run("CA-13 what is stored is not the secret", func(t *testing.T) {
		kept, err := json.Marshal([]authwright.ClientSecret{storedOld, storedFresh})
		require.NoError(t, err)
		require.NotContains(t, string(kept), old)
		require.NotContains(t, string(kept), fresh)
		require.Len(t, fresh, 43) // 256 bits
		require.NotEqual(t, old, fresh)
		refused(t, w.token(probe(), "web", storedFresh.Hash), "invalid_client")
		refused(t, w.token(probe(), "web", strings.TrimPrefix(storedFresh.Hash, "sha256:")), "invalid_client")
	})
	t.Run("CA-13 two secrets are valid while one is replaced", func(t *testing.T) {
		authenticated(t, w.token(probe(), "web", old))
		authenticated(t, w.token(probe(), "web", fresh))
		refused(t, w.token(probe(), "web", webSecret), "invalid_client")
		refused(t, w.token(probe(), "web", old+fresh), "invalid_client")
	})
	t.Run("CA-13 a chosen secret is hashed with a salt", func(t *testing.T) {
		authenticated(t, w.token(probe(), "other", "correct horse"))
		authenticated(t, w.token(probe(), "other", "correct horse")) // from memory
		authenticated(t, w.token(probe(), "other", fresh))
		refused(t, w.token(probe(), "other", "correct horsf"), "invalid_client")
	})
	t.Run("CA-14 a secret that has expired", func(t *testing.T) {
		w.advance(time.Hour - time.Second)
		authenticated(t, w.token(probe(), "web", old))
		w.advance(time.Second)
		refused(t, w.token(probe(), "web", old), "invalid_client")
		authenticated(t, w.token(probe(), "web", fresh))
	})
}

func TestClientAuthComesFirst(t *testing.T) {
	t.Parallel()
	reads := 0
	between := &interference{afterGrant: func(context.Context, *authwright.Grant) error { reads++; return nil }}
	w := newWorld(t, between.install)
	code, token := w.code(request()), w.tokens()["refresh_token"].(string)
	reads = 0
	t.Run("TK-12 a failed authentication says nothing of a code or token", func(t *testing.T) {
		alike(t,
			w.token(codeForm(code), "web", "wrong"), w.token(codeForm("unknown"), "web", "wrong"), w.token(codeForm(""), "web", "wrong"),
			w.token(refreshForm(token), "web", "wrong"), w.token(refreshForm("unknown"), "web", "wrong"),
		)
		require.Zero(t, reads, "no grant was looked up")
		require.Equal(t, http.StatusOK, w.token(codeForm(code), "web", webSecret).status)
		require.Equal(t, http.StatusOK, w.token(refreshForm(token), "web", webSecret).status)
		require.NotZero(t, reads)
	})
}

func TestClientAuthLimit(t *testing.T) {
	t.Parallel()
	// A host that makes a client wait after three failures.
	var mu sync.Mutex
	failures := map[string]int{}
	w := newWorld(t, func(cfg *authwright.Config) {
		record := cfg.OnEvent
		cfg.OnEvent = func(ctx context.Context, e authwright.Event) {
			record(ctx, e)
			mu.Lock()
			defer mu.Unlock()
			if e.Type == authwright.EventClientAuthFailed {
				failures[e.ClientID]++
			}
		}
		cfg.Limit = func(_ *http.Request, clientID string) time.Duration {
			mu.Lock()
			defer mu.Unlock()
			if failures[clientID] >= 3 {
				return 1500 * time.Millisecond
			}
			return 0
		}
	})
	for _, method := range []authwright.AuthMethod{authwright.AuthSecretBasic, authwright.AuthSecretPost} {
		t.Run("TK-13 guessing by "+string(method)+" is stopped", func(t *testing.T) {
			for range 3 {
				refused(t, w.authenticate(probe(), "web", "guess", method), "invalid_client")
			}
			a, right := w.authenticate(probe(), "web", "guess", method), w.authenticate(probe(), "web", webSecret, method)
			require.Equal(t, http.StatusTooManyRequests, a.status)
			require.Equal(t, "2", a.header.Get("Retry-After"))
			uncached(t, a)
			alike(t, a, right)
			authenticated(t, w.token(probe(), "other", otherSecret))
			mu.Lock()
			clear(failures)
			mu.Unlock()
			authenticated(t, w.authenticate(probe(), "web", webSecret, method))
		})
	}
}

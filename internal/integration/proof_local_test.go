package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// localDeadline is how long a server in this process waits for its storage.
const localDeadline = 500 * time.Millisecond

// newLocalCrowd makes a server in this process, and clients of it. Registrations go to
// clients. Each change is applied to the Config before the server is made.
func newLocalCrowd(t *testing.T, store authwright.Storage, clients authwright.ClientStore, changes ...func(*authwright.Config)) *crowd {
	t.Helper()
	sum := sha256.Sum256([]byte(proofSecret))
	require.NoError(t, clients.AddClient(t.Context(), &authwright.Client{
		ID: "web", Secrets: []authwright.ClientSecret{{Hash: "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:])}},
		RedirectURIs: []string{proofRedirect},
		Scopes:       []string{"read"}, Consent: authwright.ConsentSkip,
	}))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	h := http.NewServeMux()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	cfg := authwright.Config{
		Issuer: server.URL, Storage: store, SigningKeys: []authwright.SigningKey{{Signer: key, Algorithm: "ES256"}},
		Authenticator: authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) {
			return &authwright.User{Subject: "u1", AuthTime: time.Now()}, nil
		}),
		RequestTimeout: localDeadline,
		CodeLifetime:   10 * time.Minute,
		RefreshGrace:   5 * time.Minute,
		Logger:         slog.New(slog.DiscardHandler),
	}
	for _, change := range changes {
		change(&cfg)
	}
	srv, err := authwright.NewServer(cfg)
	require.NoError(t, err)
	srv.Register(h)
	return newCrowd([]*replica{{url: server.URL}})
}

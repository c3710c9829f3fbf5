package authwright_test

import (
	"context"
	"crypto"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// An interference is a Memory with somebody between it and the server: each function that
// is set is called before or after the method of its name, and may fail in its place.
type interference struct {
	*authwright.Memory
	cfg         *authwright.Config // of the world's server
	afterClient func(ctx context.Context, c *authwright.Client) error
	afterGrant  func(ctx context.Context, g *authwright.Grant) error
	beforeSave  func(ctx context.Context, g *authwright.Grant) error
	afterSave   func(ctx context.Context, g *authwright.Grant) error
}

// install is a change for newWorld.
func (i *interference) install(cfg *authwright.Config) {
	i.cfg = cfg
	i.Memory = cfg.Storage.(*authwright.Memory)
	cfg.Storage = i
}

func (i *interference) Client(ctx context.Context, id string) (*authwright.Client, error) {
	c, err := i.Memory.Client(ctx, id)
	if err == nil && i.afterClient != nil {
		err = i.afterClient(ctx, c)
	}
	return c, err
}

func (i *interference) Grant(ctx context.Context, id string) (*authwright.Grant, error) {
	g, err := i.Memory.Grant(ctx, id)
	if err == nil && i.afterGrant != nil {
		err = i.afterGrant(ctx, g)
	}
	return g, err
}

func (i *interference) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	if i.beforeSave != nil {
		if err := i.beforeSave(ctx, g); err != nil {
			return err
		}
	}
	err := i.Memory.SaveGrant(ctx, g)
	if err == nil && i.afterSave != nil {
		err = i.afterSave(ctx, g)
	}
	return err
}

// replica starts a second server on the storage of w, with the same clock and the same log.
func (i *interference) replica(w *world, changes ...func(*authwright.Config)) *world {
	w.t.Helper()
	cfg := *i.cfg
	for _, change := range changes {
		change(&cfg)
	}
	srv, err := authwright.NewServer(cfg)
	require.NoError(w.t, err)
	ts := httptest.NewServer(srv)
	w.t.Cleanup(ts.Close)
	return &world{t: w.t, srv: srv, store: w.store, ts: ts, issuer: ts.URL}
}

func TestTokenFailures(t *testing.T) {
	t.Parallel()
	// The host breaks in one place at a time.
	var broken atomic.Value
	broken.Store("")
	internal := errors.New("dial tcp db.internal:5432: connection refused")
	fail := func(place string) error {
		if broken.Load() == place {
			return internal
		}
		return nil
	}
	between := &interference{
		afterClient: func(context.Context, *authwright.Client) error { return fail("Storage.Client") },
		afterGrant: func(ctx context.Context, _ *authwright.Grant) error {
			if broken.Load() == "a slow Storage" {
				<-ctx.Done()
				return ctx.Err()
			}
			return fail("Storage.Grant")
		},
		beforeSave: func(context.Context, *authwright.Grant) error { return fail("Storage.SaveGrant") },
	}
	w := newWorld(t, between.install, func(cfg *authwright.Config) {
		cfg.SigningKeys = []authwright.SigningKey{{Signer: brittleSigner{newKey(t), func() error { return fail("the signer") }}}}
		cfg.Claims = func(context.Context, *authwright.Grant) (map[string]any, error) { return nil, fail("Config.Claims") }
	})
	hasty := between.replica(w, func(cfg *authwright.Config) { cfg.RequestTimeout = 5 * time.Millisecond })
	for _, test := range []struct {
		place  string
		server *world
		status int
		code   string
	}{
		{"Storage.Client", w, 503, "temporarily_unavailable"},
		{"Storage.Grant", w, 503, "temporarily_unavailable"},
		{"Storage.SaveGrant", w, 503, "temporarily_unavailable"},
		{"a slow Storage", hasty, 503, "temporarily_unavailable"},
		{"the signer", w, 500, "server_error"},
		{"Config.Claims", w, 500, "server_error"},
	} {
		t.Run("TK-15 "+test.place+" fails", func(t *testing.T) {
			for _, f := range []url.Values{codeForm(w.code(request())), refreshForm(w.tokens()["refresh_token"].(string))} {
				broken.Store(test.place)
				a := test.server.token(f, "web", webSecret)
				broken.Store("")
				require.Equal(t, test.status, a.status, a.body)
				require.Equal(t, test.code, a.json(t)["error"])
				require.NotContains(t, a.body, "db.internal")
				require.NotContains(t, a.body, "access_token")
				uncached(t, a)
				a = w.token(f, "web", webSecret)
				require.Equal(t, http.StatusOK, a.status, "nothing is spent: %s", a.body)
			}
		})
	}
}

// A brittleSigner fails when broken says so.
type brittleSigner struct {
	crypto.Signer
	broken func() error
}

func (s brittleSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := s.broken(); err != nil {
		return nil, err
	}
	return s.Signer.Sign(random, digest, opts)
}

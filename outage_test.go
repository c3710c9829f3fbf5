package authwright_test

import (
	"context"
	"encoding/base64"
	"errors"
	"go/parser"
	"go/token"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

var errDown = errors.New("connection refused by 10.1.2.3")

// An outage breaks one thing at a time, in a world that is whole otherwise.
type outage struct{ place atomic.Value }

// newOutage returns a world in which things break as o says.
func newOutage(t *testing.T, changes ...func(*authwright.Config)) (w *world, o *outage) {
	t.Helper()
	o = new(outage)
	o.place.Store("")
	between := &interference{
		afterClient: func(context.Context, *authwright.Client) error { return o.at("Client") },
		afterGrant:  func(context.Context, *authwright.Grant) error { return o.at("Grant") },
		beforeSave: func(ctx context.Context, g *authwright.Grant) error {
			if o.place.Load() == "a slow SaveGrant" {
				<-ctx.Done()
				return ctx.Err()
			}
			if g.Stage == authwright.StageRemembered {
				return o.at("SaveGrant of a remembered consent")
			}
			return o.at("SaveGrant")
		},
		afterSave: func(context.Context, *authwright.Grant) error { return o.at("the answer to SaveGrant") },
	}
	w = newWorld(t, append(changes, between.install, func(c *authwright.Config) {
		c.SigningKeys = []authwright.SigningKey{{Signer: brittleSigner{newKey(t), func() error { return o.at("the signer") }}}}
		c.Claims = func(context.Context, *authwright.Grant) (map[string]any, error) { return nil, o.at("the claims") }
	})...)
	return w, o
}

func (o *outage) at(place string) error {
	if o.place.Load() == place {
		return errDown
	}
	return nil
}

// of runs f while place is broken.
func (o *outage) of(place string, f func() answer) answer {
	o.place.Store(place)
	defer o.place.Store("")
	return f()
}

// tryLater checks that a asks a client to try again, and says nothing else.
func tryLater(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, http.StatusServiceUnavailable, a.status, a.body)
	require.Equal(t, "temporarily_unavailable", a.json(t)["error"])
	require.NotContains(t, a.body, "10.1.2.3")
}

func TestOutageAtTokenEndpoint(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, place string }{
		{"ST-03 clients cannot be read", "Client"},
		{"ST-03 grants cannot be read", "Grant"},
		{"ST-03 grants cannot be written", "SaveGrant"},
		{"ST-03 a write that takes too long", "a slow SaveGrant"},
		{"ST-03 the signer fails", "the signer"},
		{"ST-03 the claims fail", "the claims"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w, o := newOutage(t, func(c *authwright.Config) { c.RequestTimeout = 100 * time.Millisecond })
			form := codeForm(w.code(request()))
			for range 2 { // a code, then a refresh token
				redeem := func() answer { return w.token(form, "web", webSecret) }
				a := o.of(tc.place, redeem)
				require.GreaterOrEqual(t, a.status, 500, a.body)
				require.NotContains(t, a.body, "10.1.2.3")
				require.NotEqual(t, "invalid_grant", a.json(t)["error"])
				a = redeem() // what was presented is as good as before
				require.Equal(t, http.StatusOK, a.status, a.body)
				form = refreshForm(a.json(t)["refresh_token"].(string))
			}
			require.NotContains(t, w.happened(), authwright.EventGrantRevoked)
		})
	}
	t.Run("ST-03 a refresh whose answer is lost gets it again", func(t *testing.T) {
		t.Parallel()
		w, o := newOutage(t)
		first := w.tokens()
		tryLater(t, o.of("the answer to SaveGrant", func() answer {
			return w.token(refreshForm(first["refresh_token"].(string)), "web", webSecret)
		}))
		second := w.refreshed(first["refresh_token"])
		require.Equal(t, claims(t, first["access_token"])["grant_id"], claims(t, second["access_token"])["grant_id"])
		w.refreshed(second["refresh_token"])
	})
	t.Run("ST-03 a code whose answer is lost does not vanish silently", func(t *testing.T) {
		t.Parallel()
		w, o := newOutage(t)
		code := w.code(request())
		redeem := func() answer { return w.token(codeForm(code), "web", webSecret) }
		tryLater(t, o.of("the answer to SaveGrant", redeem))
		refused(t, redeem(), "invalid_grant") // which sends an honest client back to the start
		require.Contains(t, w.happened(), authwright.EventCodeReplayed)
		require.Contains(t, w.happened(), authwright.EventGrantRevoked)
		w.tokens()
	})
	t.Run("ST-03 every token belongs to the grant that revoking ends", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		responses := w.everyResponse()
		id := claims(t, responses["code"]["access_token"])["grant_id"].(string)
		for kind, resp := range responses {
			require.Equal(t, id, claims(t, resp["access_token"])["grant_id"], kind)
		}
		require.NoError(t, w.srv.RevokeGrant(t.Context(), id))
		for kind, resp := range responses {
			a := w.token(refreshForm(resp["refresh_token"].(string)), "web", webSecret)
			require.Equal(t, "invalid_grant", a.json(t)["error"], kind)
		}
	})
}

func TestOutageAtConsent(t *testing.T) {
	t.Parallel()
	t.Run("ST-03 an answer that could not be stored can be given again", func(t *testing.T) {
		t.Parallel()
		w, o := newOutage(t)
		b := w.browser()
		page := b.authorize(request())
		decide := func() answer { return b.decide(page, "approve", "read") }
		redirected(t, o.of("SaveGrant", decide), "temporarily_unavailable")
		require.NotEmpty(t, decide().location(t).Get("code"))
	})
	t.Run("ST-03 a consent that cannot be remembered still counts", func(t *testing.T) {
		t.Parallel()
		w, o := newOutage(t)
		b := w.browser()
		page := b.authorize(request())
		a := o.of("SaveGrant of a remembered consent", func() answer { return b.decide(page, "approve", "read") })
		require.Equal(t, http.StatusOK, w.token(codeForm(a.location(t).Get("code")), "web", webSecret).status)
		b.authorize(request("scope", "read")).question(t) // and is asked for again
	})
	t.Run("ST-03 a page that could not be prepared leaves nothing behind", func(t *testing.T) {
		t.Parallel()
		w, o := newOutage(t)
		a := o.of("SaveGrant", func() answer { return w.signedIn("alice").authorize(request()) })
		redirected(t, a, "temporarily_unavailable")
		require.NotContains(t, a.header.Get("Location"), "10.1.2.3")
		require.Empty(t, w.stored())
	})
}

// The store of a world keeps what has expired, and the clock is the world's alone.
func TestExpiry(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	type ending struct {
		name string
		// begin returns what still works before the end.
		begin func(t *testing.T, w *world) func() bool
		after time.Duration
	}
	redeems := func(w *world, f url.Values) func() bool {
		return func() bool { return w.token(f, "web", webSecret).status == http.StatusOK }
	}
	endings := []ending{
		{"ST-04 a code", func(_ *testing.T, w *world) func() bool { return redeems(w, codeForm(w.code(request()))) }, time.Minute},
		{"ST-04 a refresh token that is not used", func(_ *testing.T, w *world) func() bool {
			return redeems(w, refreshForm(w.tokens()["refresh_token"].(string)))
		}, 14 * day},
		{"ST-04 a question", func(_ *testing.T, w *world) func() bool {
			b := w.browser()
			page := b.authorize(request())
			return func() bool { return b.decide(page, "approve", "read").status == http.StatusSeeOther }
		}, 10 * time.Minute},
		{"ST-04 a consent that is remembered", func(_ *testing.T, w *world) func() bool {
			w.code(request())
			return func() bool { return w.signedIn("alice").authorize(request()).status == http.StatusSeeOther }
		}, 365 * day},
		{"ST-04 a client secret", func(t *testing.T, w *world) func() bool {
			c, err := w.store.Client(t.Context(), "web")
			require.NoError(t, err)
			c.Secrets[0].ExpiresAt = w.now().Add(day)
			require.NoError(t, w.store.UpdateClient(t.Context(), c))
			return func() bool { return w.token(codeForm("x"), "web", webSecret).status == http.StatusBadRequest }
		}, day},
	}
	for _, era := range []struct {
		name string
		from time.Duration
	}{{"long ago", -30 * 365 * day}, {"now", 0}, {"in future", 30 * 365 * day}} {
		for _, e := range endings {
			t.Run(e.name+", "+era.name, func(t *testing.T) {
				t.Parallel()
				for _, tc := range []struct {
					wait time.Duration
					ok   bool
				}{{e.after - time.Millisecond, true}, {e.after, false}} {
					w := newWorld(t)
					w.advance(era.from)
					works := e.begin(t, w)
					w.advance(tc.wait)
					require.Equal(t, tc.ok, works(), tc.wait)
				}
			})
		}
	}
	t.Run("ST-04 a chain that is used every day ends all the same", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		resp := w.tokens()
		for range 89 {
			w.advance(day)
			resp = w.refreshed(resp["refresh_token"])
		}
		w.advance(day)
		refused(t, w.token(refreshForm(resp["refresh_token"].(string)), "web", webSecret), "invalid_grant")
	})
}

// Not parallel: it replaces the randomness of the whole process.
func TestRandomness(t *testing.T) {
	run := func(seed uint64) (credentials []string) {
		t.Run("the flow with a known source", func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			w := newWorld(t)
			b := w.browser()
			page := b.authorize(request())
			_, handle := page.question(t)
			code := b.decide(page, "approve", "read").location(t).Get("code")
			resp := w.token(codeForm(code), "web", webSecret).json(t)
			secret, _ := authwright.NewSecret()
			credentials = []string{handle, code, resp["refresh_token"].(string), w.refreshed(resp["refresh_token"])["refresh_token"].(string), secret}
		})
		return credentials
	}
	first, again, other := run(1), run(1), run(2)
	t.Run("ST-05 every secret comes from crypto/rand, which a test can replace", func(t *testing.T) {
		require.Len(t, first, 5)
		require.Equal(t, first, again)
	})
	t.Run("ST-05 and from nothing else", func(t *testing.T) {
		for i := range first {
			a, err := base64.RawURLEncoding.DecodeString(first[i])
			require.NoError(t, err)
			b, err := base64.RawURLEncoding.DecodeString(other[i])
			require.NoError(t, err)
			for part := 0; part < len(a); part += 16 { // every part of it
				require.NotEqual(t, a[part:part+16], b[part:part+16])
			}
		}
		files, err := filepath.Glob("*.go")
		require.NoError(t, err)
		for _, name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
			require.NoError(t, err)
			for _, i := range f.Imports {
				require.False(t, strings.HasPrefix(i.Path.Value, `"math/rand`), name)
			}
		}
	})
}

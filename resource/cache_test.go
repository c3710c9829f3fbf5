package resource_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/resource"
)

func TestFreshness(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	for _, tc := range []struct {
		name   string
		header []string
		fresh  time.Duration
	}{
		{"by default", nil, 5 * time.Minute},
		{"max-age", []string{"Cache-Control", "public, max-age=600"}, 10 * time.Minute},
		{"max-age in quotes", []string{"cache-control", `Max-Age="600"`}, 10 * time.Minute},
		{"max-age and Age", []string{"Cache-Control", "max-age=600", "Age", "240"}, 6 * time.Minute},
		{"at least a minute", []string{"Cache-Control", "max-age=0"}, time.Minute},
		{"older than max-age", []string{"Cache-Control", "max-age=60", "Age", "600"}, time.Minute},
		{"no-store", []string{"Cache-Control", "max-age=600, no-store"}, time.Minute},
		{"at most an hour", []string{"Cache-Control", "max-age=86400"}, time.Hour},
		{"max-age that is no number", []string{"Cache-Control", "max-age=-1"}, 5 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newRemote(t, "", k)
			s.answer("/keys", answer(string(keySet(k)), tc.header...))
			v, c, _ := s.verifier("")
			text := token(k, nil, object{"iss": s.URL, "exp": start.Add(48 * time.Hour).Unix()})
			for _, step := range []struct {
				at      time.Duration
				fetches int
			}{{0, 1}, {0, 1}, {tc.fresh - 1, 1}, {tc.fresh + time.Minute, 2}, {2*tc.fresh + time.Minute - 1, 2}, {3*tc.fresh + 2*time.Minute, 3}} {
				c.set(step.at)
				require.Equal(t, http.StatusOK, get(t, protect(v), text).Code)
				require.Equal(t, step.fetches, s.count("/keys"), "after %s", step.at)
			}
		})
	}
}

func TestUnknownKey(t *testing.T) {
	t.Parallel()
	k, next := newKey("k", "ES256"), newKey("next", "ES256")
	s := newRemote(t, "", k)
	v, c, _ := s.verifier("")
	h := protect(v)
	iss := object{"iss": s.URL}
	madeUp := func(i int) string { return token(newKey(fmt.Sprint("made-up-", i), "ES256"), nil, iss) }

	require.Equal(t, 401, get(t, h, madeUp(0)).Code)
	require.Equal(t, 1, s.count("/keys"), "the first set is new enough")

	s.answer("/keys", answer(string(keySet(k, next))))
	require.Equal(t, 200, get(t, h, token(next, nil, iss)).Code, "J17 a new key works at once")
	require.Equal(t, 2, s.count("/keys"))

	for i := range 100 {
		require.Equal(t, badKey, challenge(t, get(t, h, madeUp(i)))["error_description"])
	}
	require.Equal(t, 2, s.count("/keys"), "made-up keys must not hammer the issuer")
	require.Equal(t, 200, get(t, h, token(k, nil, iss)).Code)

	c.set(10 * time.Second)
	for i := range 100 {
		require.Equal(t, 401, get(t, h, madeUp(i)).Code)
	}
	require.Equal(t, 3, s.count("/keys"))

	s.answer("/keys", answer(string(keySet(next))))
	c.set(20 * time.Second)
	require.Equal(t, 401, get(t, h, madeUp(0)).Code)
	require.Equal(t, 401, get(t, h, token(k, nil, iss)).Code, "J17 a withdrawn key is good for nothing")
	require.Equal(t, 200, get(t, h, token(next, nil, iss)).Code)
}

func TestUnknownKeyInProcess(t *testing.T) {
	t.Parallel()
	k, next := newKey("k", "ES256"), newKey("next", "ES256")
	v, _ := verifier(k)
	var set atomic.Pointer[[]byte]
	publish := func(keys ...key) { s := keySet(keys...); set.Store(&s) }
	publish(k)
	v.Keys = func(context.Context) ([]byte, error) { return *set.Load(), nil }
	h := protect(v)
	require.Equal(t, 200, get(t, h, token(k, nil, nil)).Code)
	for range 10 {
		require.Equal(t, 401, get(t, h, token(next, nil, nil)).Code)
	}
	publish(k, next)
	require.Equal(t, 200, get(t, h, token(next, nil, nil)).Code, "J17 no flood of unknown keys delays the new one")
}

// A request with the new key may find a load under way that began before the key
// was there.
func TestRotationDuringLoad(t *testing.T) {
	t.Parallel()
	old, next := newKey("old", "ES256"), newKey("next", "ES256")
	synctest.Test(t, func(t *testing.T) {
		v, _ := verifier()
		answers := make(chan []byte)
		v.Keys = func(context.Context) ([]byte, error) { return <-answers, nil }
		verify := func(k key) chan error {
			done := make(chan error, 1)
			go func() { _, err := v.Verify(t.Context(), token(k, nil, nil)); done <- err }()
			synctest.Wait()
			return done
		}
		first := verify(old)
		answers <- keySet(old)
		require.NoError(t, <-first)

		flood := verify(newKey("made-up", "ES256"))
		joined := verify(next)
		answers <- keySet(old)
		require.ErrorIs(t, <-flood, resource.ErrInvalidToken)
		synctest.Wait()
		answers <- keySet(old, next)
		require.NoError(t, <-joined, "J17 the new key works at once")
	})
}

func TestCoalesced(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	synctest.Test(t, func(t *testing.T) {
		v, _ := verifier(k)
		var calls atomic.Int32
		release := make(chan struct{})
		v.Keys = func(context.Context) ([]byte, error) {
			calls.Add(1)
			<-release
			return keySet(k), nil
		}
		text := token(k, nil, nil)
		var wg sync.WaitGroup
		var passed atomic.Int32
		for range 50 {
			wg.Go(func() {
				if _, err := v.Verify(t.Context(), text); err == nil {
					passed.Add(1)
				}
			})
		}
		synctest.Wait()
		require.EqualValues(t, 1, calls.Load())
		close(release)
		wg.Wait()
		require.EqualValues(t, 50, passed.Load())
		require.EqualValues(t, 1, calls.Load())
	})
}

// The request that happens to begin a fetch must not end it for the others.
func TestCancelledRequest(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	synctest.Test(t, func(t *testing.T) {
		v, _ := verifier(k)
		var calls atomic.Int32
		release := make(chan struct{})
		v.Keys = func(ctx context.Context) ([]byte, error) {
			calls.Add(1)
			select {
			case <-release:
				return keySet(k), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		text := token(k, nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { _, err := v.Verify(ctx, text); first <- err }()
		synctest.Wait()
		go func() { _, err := v.Verify(t.Context(), text); second <- err }()
		synctest.Wait()
		cancel()
		err := <-first // while the fetch goes on
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, resource.ErrInvalidToken)
		close(release)
		require.NoError(t, <-second)
		require.EqualValues(t, 1, calls.Load())
	})
}

func TestHangingKeys(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	for name, heed := range map[string]bool{"Keys heeds its context": true, "Keys does not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				v, _ := verifier(k)
				v.Now = nil
				end := make(chan struct{})
				v.Keys = func(ctx context.Context) ([]byte, error) {
					if heed {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					<-end
					return nil, errors.New("too late")
				}
				began := time.Now()
				require.Equal(t, http.StatusServiceUnavailable, get(t, protect(v), token(k, nil, nil)).Code)
				require.Equal(t, 10*time.Second, time.Since(began))
				close(end)
			})
		})
	}
}

func TestOutage(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	s := newRemote(t, "", k)
	v, c, log := s.verifier("")
	h := protect(v)
	text := token(k, nil, object{"iss": s.URL, "exp": start.Add(48 * time.Hour).Unix()})
	require.Equal(t, 200, get(t, h, text).Code)
	require.Empty(t, log.String())

	s.answer("/keys", status(http.StatusBadGateway))
	c.set(time.Hour)
	for range 20 {
		require.Equal(t, 200, get(t, h, text).Code, "the old keys serve")
	}
	c.set(time.Hour + 10*time.Second - 1)
	require.Equal(t, 200, get(t, h, text).Code)
	require.Equal(t, 2, s.count("/keys"), "one try in ten seconds")
	c.set(time.Hour + 70*time.Second)
	require.Equal(t, 200, get(t, h, text).Code)
	require.Equal(t, 3, s.count("/keys"))
	require.Contains(t, log.String(), "status 502")

	unknown := token(newKey("unknown", "ES256"), nil, object{"iss": s.URL})
	require.Equal(t, 503, get(t, h, unknown).Code, "who can say that the key is made up?")

	c.set(24*time.Hour - 1)
	require.Equal(t, 200, get(t, h, text).Code)
	c.set(24 * time.Hour)
	require.Equal(t, 503, get(t, h, text).Code, "not for ever")

	s.answer("/keys", answer(string(keySet(k))))
	require.Equal(t, 503, get(t, h, text).Code)
	c.set(24*time.Hour + time.Second)
	require.Equal(t, 200, get(t, h, text).Code)
	require.Equal(t, 401, get(t, h, unknown).Code)
	require.NotContains(t, log.String(), text[:20])
}

func TestOutageFromTheStart(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	s := newRemote(t, "", k)
	s.answer(s.metadata, status(http.StatusInternalServerError))
	v, c, log := s.verifier("")
	text := token(k, nil, object{"iss": s.URL})
	for range 20 {
		require.Equal(t, 503, get(t, protect(v), text).Code)
	}
	require.Equal(t, 1, s.count(s.metadata), "one try in a second")
	require.Contains(t, log.String(), "status 500")
	_, err := v.Verify(t.Context(), text)
	require.NotErrorIs(t, err, resource.ErrInvalidToken)

	s.answer(s.metadata, answer(fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, s.URL, s.URL+"/keys")))
	c.set(time.Second)
	require.Equal(t, 200, get(t, protect(v), text).Code)
}

// A set that was fresh a moment ago serves while the next one is on its way.
func TestGrace(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	synctest.Test(t, func(t *testing.T) {
		v, c := verifier(k)
		var calls atomic.Int32
		release := make(chan struct{}, 1)
		v.Keys = func(context.Context) ([]byte, error) {
			calls.Add(1)
			<-release
			return keySet(k), nil
		}
		h, text := protect(v), token(k, nil, object{"exp": start.Add(time.Hour).Unix()})
		release <- struct{}{}
		require.Equal(t, 200, get(t, h, text).Code)
		c.set(5*time.Minute + time.Second)
		began := time.Now()
		require.Equal(t, 200, get(t, h, text).Code)
		require.Zero(t, time.Since(began), "nobody waits")
		synctest.Wait()
		require.EqualValues(t, 2, calls.Load(), "while the next set is fetched")
		release <- struct{}{}
		synctest.Wait()
		c.set(10 * time.Minute)
		require.Equal(t, 200, get(t, h, text).Code)
		require.EqualValues(t, 2, calls.Load(), "which is fresh from then on")
	})
}

func TestPanickingKeys(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	var calls int
	v.Keys = func(context.Context) ([]byte, error) {
		if calls++; calls == 1 {
			panic("a bug of the host")
		}
		return keySet(k), nil
	}
	require.Equal(t, 503, get(t, protect(v), token(k, nil, nil)).Code)
	require.Equal(t, 200, get(t, protect(v), token(k, nil, nil)).Code)
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	s := newRemote(t, "", k)
	v, c, _ := s.verifier("")
	h := protect(v)
	text := token(k, nil, object{"iss": s.URL, "exp": start.Add(48 * time.Hour).Unix()})
	unknown := token(newKey("unknown", "ES256"), nil, object{"iss": s.URL})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 20 {
				c.set(time.Duration(i) * 2 * time.Minute)
				for status, text := range map[int]string{200: text, 401: unknown} {
					r := httptest.NewRequest(http.MethodGet, "/", nil)
					r.Header.Set("Authorization", "Bearer "+text)
					w := httptest.NewRecorder()
					if h.ServeHTTP(w, r); w.Code != status {
						t.Errorf("status %d instead of %d", w.Code, status)
					}
				}
			}
		})
	}
	wg.Wait()
}

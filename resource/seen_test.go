package resource_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/resource"
)

// remember presents text until v gives the same Token for it again and again.
func remember(t *testing.T, v *resource.Verifier, text string) *resource.Token {
	t.Helper()
	_, err := v.Verify(t.Context(), text) // which is when the header becomes known
	require.NoError(t, err)
	first, err := v.Verify(t.Context(), text)
	require.NoError(t, err)
	again, err := v.Verify(t.Context(), text)
	require.NoError(t, err)
	require.Same(t, first, again)
	return again
}

func TestSeenToken(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	reason := func(t *testing.T, v *resource.Verifier, text string) string {
		t.Helper()
		w := get(t, protect(v), text)
		require.Equal(t, http.StatusUnauthorized, w.Code)
		return challenge(t, w)["error_description"]
	}

	t.Run("J10 is refused when it has expired", func(t *testing.T) {
		t.Parallel()
		v, c := verifier(k)
		text := token(k, nil, nil)
		remember(t, v, text)
		c.set(10*time.Minute + 10*time.Second - 1)
		require.Equal(t, 200, get(t, protect(v), text).Code)
		c.set(10*time.Minute + 10*time.Second)
		require.Equal(t, expired, reason(t, v, text))
	})
	t.Run("J10 is refused when the clock is set back before it", func(t *testing.T) {
		t.Parallel()
		for _, claims := range []object{{"iat": start.Unix() + 60}, {"nbf": start.Unix() + 60}} {
			v, c := verifier(k)
			text := token(k, nil, claims)
			c.set(time.Minute)
			remember(t, v, text)
			c.set(49 * time.Second)
			require.Equal(t, early, reason(t, v, text))
		}
	})
	t.Run("J17 is refused when its key is withdrawn", func(t *testing.T) {
		t.Parallel()
		next := newKey("next", "ES256")
		var keys atomic.Pointer[[]byte]
		publish := func(of ...key) { set := keySet(of...); keys.Store(&set) }
		v, c := verifier()
		v.Keys = func(context.Context) ([]byte, error) { return *keys.Load(), nil }
		publish(k)
		text := token(k, nil, object{"exp": start.Add(time.Hour).Unix()})
		before := remember(t, v, text)

		publish(k, next) // the same key in another set
		require.Equal(t, 200, get(t, protect(v), token(next, nil, nil)).Code)
		require.NotSame(t, before, remember(t, v, text), "a new set has it verified again")

		publish(next)
		c.set(7 * time.Minute)
		require.Equal(t, badKey, reason(t, v, text))
		publish(k)
		require.Equal(t, 200, get(t, protect(v), text).Code, "and is good again if it comes back")
	})
	t.Run("J17 is refused when another key has the name of its key", func(t *testing.T) {
		t.Parallel()
		s := newRemote(t, "", k)
		v, c, _ := s.verifier("")
		text := token(k, nil, object{"iss": s.URL, "exp": start.Add(time.Hour).Unix()})
		remember(t, v, text)
		s.answer("/keys", answer(string(keySet(newKey("k", "ES256")))))
		c.set(7 * time.Minute)
		require.Equal(t, badSig, reason(t, v, text))
	})
	t.Run("is nothing when there are no keys any more", func(t *testing.T) {
		t.Parallel()
		v, c := verifier(k)
		text := token(k, nil, object{"exp": start.Add(48 * time.Hour).Unix()})
		remember(t, v, text)
		v.Keys = func(context.Context) ([]byte, error) { return nil, errors.New("gone") }
		c.set(24 * time.Hour)
		require.Equal(t, http.StatusServiceUnavailable, get(t, protect(v), text).Code)
	})
	t.Run("is asked about each time", func(t *testing.T) {
		t.Parallel()
		v, _ := verifier(k)
		var asked, dead atomic.Int32
		v.Live = func(context.Context, string) (bool, error) { asked.Add(1); return dead.Load() == 0, nil }
		text := token(k, nil, object{"grant_id": "g"})
		remember(t, v, text)
		require.EqualValues(t, 3, asked.Load())
		dead.Store(1)
		require.Equal(t, "the access token was revoked", reason(t, v, text))
		require.EqualValues(t, 4, asked.Load())
	})
	t.Run("lends its name to no other", func(t *testing.T) {
		t.Parallel()
		v, _ := verifier(k)
		text := token(k, nil, nil)
		remember(t, v, text)
		dot := strings.LastIndexByte(text, '.')
		require.Equal(t, badSig, reason(t, v, text[:dot]+"."+strings.Repeat("A", 86)))
		require.Equal(t, badSig, reason(t, v, token(newKey("k", "ES256"), nil, nil)))
		require.Equal(t, malformed, reason(t, v, text+"."))
		require.Equal(t, malformed, reason(t, v, text[:dot]))
	})
}

// What is not remembered is as good as before.
func TestUnseenToken(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	v, _ := verifier(k)
	fill := "x" // until the last character of the payload has bits to spare
	for len(payload(object{"x": fill}))%3 != 1 {
		fill += "x"
	}
	good := token(k, nil, object{"x": fill})
	remember(t, v, good)
	part := strings.Split(good, ".")
	for name, text := range map[string]string{
		"a long token":                token(k, nil, object{"x": strings.Repeat("x", 4<<10)}),
		"spare bits in the payload":   part[0] + "." + spare(part[1]) + "." + part[2],
		"spare bits in the signature": part[0] + "." + part[1] + "." + spare(part[2]),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, err := v.Verify(t.Context(), text)
			require.NoError(t, err)
			again, err := v.Verify(t.Context(), text)
			require.NoError(t, err)
			require.NotSame(t, first, again)
			require.Equal(t, first, again)
		})
	}
	// Decoders of base64 skip line breaks.
	for _, text := range []string{strings.Replace(good, ".", ".\n", 1), good + "\r\n", "\n" + good} {
		_, err := v.Verify(t.Context(), text)
		require.EqualError(t, err, "resource: invalid token: the access token is malformed")
	}
}

// spare returns other base64url for the same bytes, whose number must leave bits to spare.
func spare(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(text) - 1
	return text[:last] + alphabet[strings.IndexByte(alphabet, text[last])+1:][:1]
}

// Tokens of one Verifier are remembered and keys change, all at once.
func TestSeenConcurrently(t *testing.T) {
	t.Parallel()
	k, next := newKey("k", "EdDSA"), newKey("next", "EdDSA")
	sets := [][]byte{keySet(k), keySet(k, next)}
	v, c := verifier()
	var loads, withdrawn atomic.Int64
	v.Keys = func(context.Context) ([]byte, error) {
		if withdrawn.Load() != 0 {
			return keySet(next), nil
		}
		return sets[loads.Add(1)%2], nil
	}
	tokens := make([]string, 50)
	for i := range tokens {
		tokens[i] = token(k, nil, object{"jti": fmt.Sprint(i), "exp": start.Add(48 * time.Hour).Unix()})
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 400 {
				c.set(time.Duration(i) * time.Minute)
				got, err := v.Verify(t.Context(), tokens[(i+g)%len(tokens)])
				if err != nil || got.ID != fmt.Sprint((i+g)%len(tokens)) {
					t.Errorf("token %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	withdrawn.Store(1)
	c.set(24 * time.Hour)
	for _, text := range tokens {
		_, err := v.Verify(t.Context(), text)
		require.ErrorIs(t, err, resource.ErrInvalidToken, "J17")
	}
}

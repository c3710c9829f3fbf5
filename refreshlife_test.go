package authwright_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

func TestRefreshLifetime(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	t.Run("RT-10 a token that is not used", func(t *testing.T) {
		w := newWorld(t)
		used, unused := w.tokens(), w.tokens()
		w.advance(14*day - time.Millisecond)
		used = w.rotated(t, used)
		w.advance(time.Millisecond)
		refused(t, w.token(refreshForm(refreshTokenOf(unused)), "web", webSecret), "invalid_grant")
		w.advance(13 * day)
		w.rotated(t, used) // each use starts the time anew
	})
	t.Run("RT-10 the time can be set", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) { cfg.RefreshTokenLifetime = time.Hour })
		tokens := w.rotated(t, w.tokens())
		w.advance(time.Hour)
		refused(t, w.token(refreshForm(refreshTokenOf(tokens)), "web", webSecret), "invalid_grant")
	})
	t.Run("RT-10 no access token outlives its grant", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) { cfg.RefreshTokenLifetime = 10 * time.Minute }) // that of access tokens
		lost := w.tokens()
		w.rotated(t, lost)
		w.advance(20 * time.Second)
		again := w.rotated(t, lost) // a retry, which does not start the time anew
		require.Equal(t, 580.0, again["expires_in"])
	})
	t.Run("RT-11 rotation does not move the end", func(t *testing.T) {
		w := newWorld(t)
		tokens := w.tokens()
		for range 9 {
			w.advance(10*day - time.Millisecond)
			tokens = w.rotated(t, tokens)
		}
		require.LessOrEqual(t, tokens["expires_in"], 1.0, "no more than what is left")
		w.advance(9 * time.Millisecond)
		refused(t, w.token(refreshForm(refreshTokenOf(tokens)), "web", webSecret), "invalid_grant")
	})
}

func TestRefreshPolicy(t *testing.T) {
	t.Parallel()
	t.Run("RT-13 a client that should not stay signed in", func(t *testing.T) {
		w := newWorld(t)
		w.changeClient("web", func(c *authwright.Client) { c.GrantTypes = []string{"authorization_code"} })
		require.NotContains(t, w.tokens(), "refresh_token")
	})
	t.Run("RT-13 a client that should not stay signed in any more", func(t *testing.T) {
		w := newWorld(t)
		tokens := w.tokens()
		w.changeClient("web", func(c *authwright.Client) { c.GrantTypes = []string{"authorization_code"} })
		refused(t, w.token(refreshForm(refreshTokenOf(tokens)), "web", webSecret), "unauthorized_client")
	})
	for _, test := range endings {
		t.Run("RT-15 "+test.name, func(t *testing.T) {
			w, gone := perishable(t)
			tokens := w.tokens()
			test.end(t, w, gone)
			refused(t, w.token(refreshForm(refreshTokenOf(tokens)), "web", webSecret), test.want)
		})
		t.Run("RT-15 "+test.name+" before a retry", func(t *testing.T) {
			w, gone := perishable(t)
			lost := w.tokens()
			live := w.rotated(t, lost)
			test.end(t, w, gone)
			refused(t, w.token(refreshForm(refreshTokenOf(lost)), "web", webSecret), test.want)
			refused(t, w.token(refreshForm(refreshTokenOf(live)), "web", webSecret), test.want)
		})
	}
}

func TestRefreshRevocationHooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	as := func(name string) map[string]any {
		b := w.signedIn(name)
		a := b.authorize(request())
		if a.status == http.StatusOK {
			a = b.decide(a, "approve", "read", "write")
		}
		return w.token(codeForm(a.location(t).Get("code")), "web", webSecret).json(t)
	}
	spa := w.token(spaForm(w.code(spaRequest()))).json(t)
	phone, laptop, bob := as("alice"), as("alice"), as("bob")
	t.Run("RT-21 one grant", func(t *testing.T) {
		id := grantID(t, phone["access_token"])
		require.NoError(t, w.srv.RevokeGrant(t.Context(), id))
		w.dead(t, phone)
		laptop, bob = w.rotated(t, laptop), w.rotated(t, bob)
		require.NoError(t, w.srv.RevokeGrant(t.Context(), id), "a second time")
		require.ErrorIs(t, w.srv.RevokeGrant(t.Context(), "unknown"), authwright.ErrNotFound)
	})
	t.Run("RT-21 a client", func(t *testing.T) {
		require.NoError(t, w.srv.RevokeClient(t.Context(), "spa"))
		refused(t, w.token(refreshForm(refreshTokenOf(spa), "client_id", "spa")), "invalid_grant")
		laptop, bob = w.rotated(t, laptop), w.rotated(t, bob)
	})
	t.Run("RT-21 a subject", func(t *testing.T) {
		require.NoError(t, w.srv.RevokeSubject(t.Context(), "alice"))
		w.dead(t, laptop)
		bob = w.rotated(t, bob)
		require.Contains(t, w.happened(), authwright.EventGrantRevoked)
		// The consent is forgotten as well.
		require.Equal(t, http.StatusOK, w.signedIn("alice").authorize(request()).status)
	})
	t.Run("RT-21 without an index", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) { cfg.Index = nil })
		require.Error(t, w.srv.RevokeSubject(t.Context(), "alice"))
		require.Error(t, w.srv.RevokeClient(t.Context(), "web"))
	})
}

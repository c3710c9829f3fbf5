package authwright_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

func TestGrantActive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	grantOf := func(tokens map[string]any) string { return claims(t, tokens["access_token"])["grant_id"].(string) }
	active := func(t *testing.T, id string) bool {
		t.Helper()
		live, err := w.srv.GrantActive(t.Context(), id)
		require.NoError(t, err)
		return live
	}
	t.Run("a grant of a user", func(t *testing.T) {
		id := grantOf(w.tokens())
		require.True(t, active(t, id))
		require.NoError(t, w.srv.RevokeGrant(t.Context(), id))
		require.False(t, active(t, id))
	})
	t.Run("a client that acts for itself", func(t *testing.T) {
		w.enroll(&authwright.Client{ID: "job", Secrets: []authwright.ClientSecret{stored("s")}, GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}})
		a := w.token(url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, "job", "s")
		id := grantOf(a.json(t))
		require.True(t, active(t, id))
		w.advance(11 * time.Minute)
		require.False(t, active(t, id), "it has expired")
	})
	t.Run("an ID that never was", func(t *testing.T) {
		for _, id := range []string{"", "unknown"} {
			require.False(t, active(t, id))
		}
	})
	t.Run("what only asks for a user's consent is no grant yet", func(t *testing.T) {
		w.signedIn("bob").authorize(request())
		grants, _, err := w.store.GrantsBySubject(t.Context(), "bob", "", 0)
		require.NoError(t, err)
		require.Len(t, grants, 1)
		require.False(t, active(t, grants[0].ID))
	})
	t.Run("a client that is disabled, is back, and is deleted", func(t *testing.T) {
		w := newWorld(t)
		id := grantOf(w.tokens())
		c, err := w.store.Client(t.Context(), "web")
		require.NoError(t, err)
		for _, tc := range []struct {
			disabled bool
			expires  time.Time
			want     bool
		}{{true, time.Time{}, false}, {false, time.Time{}, true}, {false, w.now(), false}, {false, w.now().Add(time.Second), true}} {
			c.Disabled, c.ExpiresAt = tc.disabled, tc.expires
			require.NoError(t, w.store.UpdateClient(t.Context(), c))
			live, err := w.srv.GrantActive(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, tc.want, live, "%+v", tc)
		}
		require.NoError(t, w.store.DeleteClient(t.Context(), "web"))
		live, err := w.srv.GrantActive(t.Context(), id)
		require.NoError(t, err)
		require.False(t, live)
	})
	t.Run("a storage that does not answer", func(t *testing.T) {
		w, o := newOutage(t)
		id := grantOf(w.tokens())
		for _, place := range []string{"Grant", "Client"} {
			o.of(place, func() (a answer) {
				_, err := w.srv.GrantActive(t.Context(), id)
				require.ErrorIs(t, err, errDown, place)
				return a
			})
		}
	})
}

// A client's own document is what it wants. Whether what it was granted is still good is
// not for its host to decide, by being slow or down.
func TestGrantActiveOfDocument(t *testing.T) {
	t.Parallel()
	const id = "https://client.invalid/client.json" // which nobody can fetch
	denied := false
	w := newWorld(t, mcp, func(c *authwright.Config) {
		c.ClientDocuments = &authwright.ClientDocuments{Allow: func(_ context.Context, u *url.URL) error {
			require.Equal(t, id, u.String())
			if denied {
				return errors.New("not any more")
			}
			return nil
		}}
	})
	now := w.now()
	require.NoError(t, w.store.SaveGrant(t.Context(), &authwright.Grant{
		ID: "g", Version: 1, Stage: authwright.StageActive, ClientID: id, Subject: "alice", CreatedAt: now, ExpiresAt: now.Add(time.Hour),
	}))
	live, err := w.srv.GrantActive(t.Context(), "g")
	require.NoError(t, err)
	require.True(t, live)
	denied = true
	live, err = w.srv.GrantActive(t.Context(), "g")
	require.NoError(t, err)
	require.False(t, live)
	live, err = newWorld(t, func(c *authwright.Config) { c.Storage = w.store }).srv.GrantActive(t.Context(), "g")
	require.NoError(t, err)
	require.False(t, live, "documents are switched off")
}

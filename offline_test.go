package authwright_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// What the consent page calls "Do all this while you are not there" is a refresh token.
func TestOfflineAccessDeclined(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *authwright.Config) { c.Scopes = append(c.Scopes, authwright.Scope{Name: "offline_access"}) })
	c, err := w.store.Client(t.Context(), "web")
	require.NoError(t, err)
	c.Scopes = append(c.Scopes, "offline_access")
	require.NoError(t, w.store.UpdateClient(t.Context(), c))

	for _, tt := range []struct {
		name    string
		granted []string
		stays   bool
	}{
		{"OI-19 a user who allows offline_access is not asked again", []string{"read", "offline_access"}, true},
		{"OI-19 a user who declines offline_access has to be there", []string{"read"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := w.signedIn("alice")
			page := b.authorize(request("scope", "read offline_access", "prompt", "consent"))
			code := b.decide(page, "approve", tt.granted...).location(t).Get("code")
			a := w.token(codeForm(code), "web", webSecret)
			require.Equal(t, http.StatusOK, a.status, a.body)
			require.Equal(t, tt.stays, a.json(t)["refresh_token"] != nil, a.body)
		})
	}
}

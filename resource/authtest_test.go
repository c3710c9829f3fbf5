package resource_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/authtest"
	"github.com/authwright/authwright/resource"
)

// The tests beside these forge every token there is. Here a real server makes them, and the
// verifier knows nothing but its name.
func TestRealServer(t *testing.T) {
	t.Parallel()
	const other = "https://other.example.com"
	as := authtest.NewServer(t, func(c *authwright.Config) {
		c.Resources = []authwright.Resource{{ID: audience}, {ID: other}}
	})
	tokens, err := as.Flow(authtest.Token{Scopes: []string{"openid", "notes"}})
	require.NoError(t, err)
	refreshed, err := as.Refresh(tokens)
	require.NoError(t, err)
	notes := authtest.Token{Scopes: []string{"notes"}}
	at := func(d time.Duration) string {
		as.Advance(d)
		defer as.Advance(-d)
		return as.Token(notes)
	}
	good, robot := tokens.AccessToken, as.Token(authtest.Token{Subject: authtest.ConfidentialClient, Scopes: []string{"notes"}})
	signature := strings.LastIndex

	h := protect(&resource.Verifier{Issuer: as.Issuer, Audience: audience, Now: as.Now}, "notes")
	for _, tc := range []struct {
		name, token string
		status      int
		reason      string
	}{
		{"access token", good, 200, ""},
		{"refreshed access token", refreshed.AccessToken, 200, ""},
		{"client that acts for itself", robot, 200, ""},
		{"ID token", tokens.IDToken, 401, notAccess},
		{"refresh token", tokens.RefreshToken, 401, malformed},
		{"without the scope", as.Token(authtest.Token{Scopes: []string{"openid"}, Resource: audience}), 403, "the access token does not permit this"},
		{"for another resource", as.Token(authtest.Token{Scopes: []string{"notes"}, Resource: other}), 401, badAud},
		{"of another server", authtest.NewServer(t).Token(notes), 401, badKey},
		{"expired", at(-time.Hour), 401, expired},
		{"not valid yet", at(time.Hour), 401, early},
		{"with the signature of another", good[:signature(good, ".")] + robot[signature(robot, "."):], 401, badSig},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := get(t, h, tc.token)
			require.Equal(t, tc.status, w.Code, w.Body)
			require.Equal(t, tc.reason, challenge(t, w)["error_description"])
		})
	}
}

func TestRealServerChangesKeys(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t)
	h := protect(&resource.Verifier{Issuer: as.Issuer, Audience: as.Issuer, Now: as.Now})
	first := as.Token(authtest.Token{})
	require.Equal(t, http.StatusOK, get(t, h, first).Code)

	as.RotateKeys()
	second := as.Token(authtest.Token{})
	require.Equal(t, http.StatusOK, get(t, h, second).Code, "a new key works at once")
	require.Equal(t, http.StatusOK, get(t, h, first).Code)

	as.ReplaceKeys()
	as.Advance(7 * time.Minute) // the set is too old to serve before another was asked for
	as.Fail(errors.New("the issuer has gone away"))
	require.Equal(t, http.StatusOK, get(t, h, second).Code, "the last set serves while there is no other")
	as.Fail(nil)
	as.Advance(2 * time.Minute)
	require.Equal(t, http.StatusOK, get(t, h, as.Token(authtest.Token{})).Code)
	require.Equal(t, badKey, challenge(t, get(t, h, second))["error_description"], "a withdrawn key is good for nothing")
}

package authwright_test

import (
	"crypto/sha256"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

func sha(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// The flow as a whole, before the tests of its parts.
func TestFlow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()

	page := b.authorize(request()) // through the host's login, to the consent page
	require.Equal(t, http.StatusOK, page.status)
	back := b.decide(page, "approve", "read", "write").location(t)
	require.Equal(t, "xyz", back.Get("state"))
	require.Equal(t, w.issuer, back.Get("iss"))

	a := w.token(codeForm(back.Get("code")), "web", webSecret)
	require.Equal(t, http.StatusOK, a.status, a.body)
	first := a.json(t)
	require.Equal(t, "alice", claims(t, first["access_token"])["sub"])
	require.Equal(t, "read write", first["scope"])

	w.advance(time.Hour)
	a = w.token(refreshForm(first["refresh_token"].(string)), "web", webSecret)
	require.Equal(t, http.StatusOK, a.status, a.body)
	second := a.json(t)
	require.NotEqual(t, first["refresh_token"], second["refresh_token"])

	w.advance(time.Hour)
	refused(t, w.token(refreshForm(first["refresh_token"].(string)), "web", webSecret), "invalid_grant")
	refused(t, w.token(refreshForm(second["refresh_token"].(string)), "web", webSecret), "invalid_grant")
	require.Equal(t, []authwright.EventType{
		authwright.EventCodeIssued, authwright.EventConsentGiven, authwright.EventCodeRedeemed,
		authwright.EventTokenRotated, authwright.EventTokenReplayed, authwright.EventGrantRevoked,
	}, w.happened())
}

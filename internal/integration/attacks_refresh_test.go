package integration_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// TestAttacksOnRefreshTokens is section F of docs/threat-model.md.
func TestAttacksOnRefreshTokens(t *testing.T) {
	noGrace := func(cfg *authwright.Config) { cfg.RefreshGrace = -1 }
	tryEverywhere(t, []attack{
		{name: "F01 a token that was used", run: usedToken},
		{name: "F01 a token that was used, without grace", run: usedTokenWithoutGrace, change: noGrace},
		{name: "F02 a token that somebody else has used", run: stolenToken},
		{name: "F03 a token 32 times at once", run: refreshRace},
		{name: "F03 a token 32 times at once, without grace", run: refreshRaceWithoutGrace, change: noGrace},
		{name: "F04 an answer that got lost", run: lostAnswer},
		{name: "F07 more scopes than were granted", run: widenedRefresh},
		{name: "F08 another client's token", run: foreignToken},
		{name: "F10 a chain without end", run: endlessChain},
		{name: "F11 whose consent or account is gone", run: refreshOverTaken, change: withBlockedUsers},
		{name: "F15 a forged token", run: forgedToken},
		{name: "F17 a token for whom it is not meant", run: unearnedToken},
	})
}

// refresh is what c1 gets for the refresh token of i.
func (v *victim) refresh(i issued) issued {
	v.t.Helper()
	return v.token(refreshing(i.Refresh), "c1", secretOf1).granted(v.t)
}

func usedToken(t *testing.T, v *victim) {
	first := v.tokens()
	second := v.refresh(first)
	require.NotEqual(t, first.Refresh, second.Refresh)
	v.advance(31 * time.Second)
	v.token(refreshing(first.Refresh), "c1", secretOf1).refused(t, "invalid_grant")
	v.dead(second)
}

func usedTokenWithoutGrace(t *testing.T, v *victim) {
	first := v.tokens()
	second := v.refresh(first)
	v.token(refreshing(first.Refresh), "c1", secretOf1).refused(t, "invalid_grant")
	v.dead(second)
}

func stolenToken(t *testing.T, v *victim) {
	first := v.tokens()
	thief := v.refresh(first)
	thief = v.refresh(thief) // two generations on there is no grace
	thief = v.refresh(thief)
	v.token(refreshing(first.Refresh), "c1", secretOf1).refused(t, "invalid_grant")
	require.True(t, v.happened(authwright.EventTokenReplayed))
	v.dead(thief)
	v.dead(first)
}

func refreshRace(t *testing.T, v *victim) {
	first := v.tokens()
	got := v.atOnce(refreshing(first.Refresh), "c1", secretOf1)
	require.Len(t, got, 32) // all within the grace
	for _, i := range got {
		require.Equal(t, got[0].Refresh, i.Refresh)
	}
	v.live(v.refresh(got[0]))
}

func refreshRaceWithoutGrace(t *testing.T, v *victim) {
	got := v.atOnce(refreshing(v.tokens().Refresh), "c1", secretOf1)
	require.Len(t, got, 1)
	v.dead(got[0])
}

func lostAnswer(t *testing.T, v *victim) {
	first := v.tokens()
	lost := v.refresh(first)
	v.advance(29 * time.Second)
	again := v.refresh(first)
	require.Equal(t, lost.Refresh, again.Refresh)
	v.token(refreshing(first.Refresh), "c2", secretOf2).refused(t, "invalid_grant") // only for its client
	v.live(again)
	third := v.refresh(again)
	v.token(refreshing(first.Refresh), "c1", secretOf1).refused(t, "invalid_grant") // the successor has been used
	v.dead(third)
}

func widenedRefresh(t *testing.T, v *victim) {
	got := v.tokens("scope", "read write")
	for _, scope := range []string{"admin", "read admin", "read openid", "READ", "offline_access"} {
		v.token(refreshing(got.Refresh, "scope", scope), "c1", secretOf1).refused(t, "invalid_scope")
	}
	v.token(refreshing(got.Refresh, "resource", "https://rs2.example.com"), "c1", secretOf1).refused(t, "invalid_target")
	narrow := v.token(refreshing(got.Refresh, "scope", "read"), "c1", secretOf1).granted(t)
	require.Equal(t, "read", v.introspect(narrow.Access)["scope"])
	require.Equal(t, "read write", v.refresh(narrow).Scope)
}

func foreignToken(t *testing.T, v *victim) {
	got := v.tokens()
	v.token(refreshing(got.Refresh), "c2", secretOf2).refused(t, "invalid_grant")
	v.token(refreshing(got.Refresh, "client_id", "p1")).refused(t, "invalid_grant")
	v.token(refreshing(got.Refresh), "c1", "wrong").refused(t, "invalid_client")
	next := v.refresh(got)
	v.token(refreshing(got.Refresh), "c2", secretOf2).refused(t, "invalid_grant") // nor with a spent one
	v.live(next)
	v.refresh(next)
}

func endlessChain(t *testing.T, v *victim) {
	const day = 24 * time.Hour
	idle := v.tokens()
	v.advance(14*day - time.Minute)
	used := v.refresh(v.tokens())
	v.advance(2 * time.Minute)
	v.token(refreshing(idle.Refresh), "c1", secretOf1).refused(t, "invalid_grant")
	for range 8 { // 88 days, and every one in time
		v.advance(11 * day)
		used = v.refresh(used)
	}
	v.advance(2*day - 3*time.Minute)
	used = v.refresh(used)
	exp := payloadOf(t, used.Access)["exp"].(float64)
	require.LessOrEqual(t, exp, float64(v.now().Add(2*time.Minute).Unix())) // the token ends with the chain
	v.advance(2 * time.Minute)
	v.token(refreshing(used.Refresh), "c1", secretOf1).refused(t, "invalid_grant")
}

func refreshOverTaken(t *testing.T, v *victim) {
	got := v.tokens()
	require.NoError(t, v.srv.RevokeSubject(t.Context(), "alice")) // consent or password
	v.dead(got)
	v.signedIn("alice").authorize(asking()).question(t) // and the consent is not remembered

	got = v.token(redeeming(v.code(asking(), "bob")), "c1", secretOf1).granted(t)
	v.updateClient("c1", func(c *authwright.Client) { c.Disabled = true })
	v.token(refreshing(got.Refresh), "c1", secretOf1).refused(t, "invalid_grant")
	v.updateClient("c1", func(c *authwright.Client) { c.Disabled = false })
	got = v.refresh(got) // disabling is not revoking
	require.NoError(t, v.srv.RevokeClient(t.Context(), "c1"))
	v.dead(got)

	// The host's own answer counts each time (Config.Claims).
	got = v.token(redeeming(v.code(asking(), "carol")), "c1", secretOf1).granted(t)
	v.user = func(*authwright.User) (*authwright.User, error) { return nil, nil }
	v.refresh(got) // signing out of the host revokes nothing by itself
}

func forgedToken(t *testing.T, v *victim) {
	got := v.tokens()
	r := got.Refresh
	flip := func(i int) string { return r[:i] + string('A'+(r[i]-'A'+1)%26) + r[i+1:] }
	other := newVictim(t, new(authwright.Memory))
	other.start(nil)
	for _, forged := range []string{
		r[:63], r + "A", r[1:], flip(0), flip(22), flip(40), strings.ToUpper(r), r + "=", r + "\n", " " + r, other.tokens().Refresh, got.Access, v.code(asking()),
		"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.", "null", "0", strings.Repeat("A", 64), strings.Repeat("A", 30_000),
	} {
		v.token(refreshing(forged), "c1", secretOf1).refused(t, "invalid_grant")
	}
	got = v.refresh(got)
	r = got.Refresh
	v.token(refreshing(flip(63)), "c1", secretOf1).refused(t, "invalid_grant")
	v.dead(got) // who knows most of a token has had one of the chain: that is a replay
}

func unearnedToken(t *testing.T, v *victim) {
	v.updateClient("c1", func(c *authwright.Client) { c.GrantTypes = []string{"authorization_code", "client_credentials"} })
	got := v.tokens("scope", "openid read offline_access")
	require.Empty(t, got.Refresh)
	require.NotContains(t, strings.Fields(got.Scope), "offline_access")
	require.Empty(t, v.token(url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, "c1", secretOf1).granted(t).Refresh)

	v.updateClient("c1", func(c *authwright.Client) { c.GrantTypes = nil })
	had := v.tokens()
	v.updateClient("c1", func(c *authwright.Client) { c.GrantTypes = []string{"authorization_code"} })
	v.token(refreshing(had.Refresh), "c1", secretOf1).refused(t, "unauthorized_client")
	// offline_access that the user has not consented to is not there.
	v.updateClient("c1", func(c *authwright.Client) { c.GrantTypes = nil })
	alice := v.signedIn("alice")
	page := alice.authorize(asking("scope", "openid offline_access", "prompt", "consent"))
	code := alice.decide(page, "approve", "openid").toClient(t, c1URI).Get("code")
	require.NotContains(t, v.token(redeeming(code), "c1", secretOf1).granted(t).Scope, "offline_access")
}

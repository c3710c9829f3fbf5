package integration_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// TestAttacksOnCodes is section C of docs/threat-model.md.
func TestAttacksOnCodes(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "C01 a code twice", run: codeTwice},
		{name: "C02 a code twice, and what was issued for it", run: codeTwiceRevokes},
		{name: "C03 a code 32 times at once", run: codeRace},
		{name: "C04 another client's code", run: foreignCode},
		{name: "C07 a code that is too old", run: oldCode},
		{name: "C08 a redirect URI that is left out", run: codeWithoutRedirect},
		{name: "C09 an injected code", run: injectedCode},
		{name: "C10 a guessed code", run: guessedCode},
		{name: "C13 what changes before the code is redeemed", run: codeOverTaken, change: withBlockedUsers},
		{name: "C14 a grant type that the client may not use", run: forbiddenGrantType},
	})
}

// TestAttacksOnPKCE is section P of docs/threat-model.md.
func TestAttacksOnPKCE(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "P01 no verifier", run: noVerifier},
		{name: "P02 a verifier without a challenge", run: noChallenge},
		{name: "P03 a public client without a challenge", run: publicWithoutChallenge},
		{name: "P04 the method plain", run: plainChallenge},
		{name: "P08 a malformed challenge or verifier", run: malformedPKCE},
		{name: "P10 a challenge that was stripped", run: strippedChallenge},
	})
}

func codeTwice(t *testing.T, v *victim) {
	code := v.code(asking())
	v.token(redeeming(code), "c1", secretOf1).granted(t)
	v.token(redeeming(code), "c1", secretOf1).refused(t, "invalid_grant")
	require.True(t, v.happened(authwright.EventCodeReplayed))
	v.token(redeeming(code), "c1", secretOf1).refused(t, "invalid_grant")
}

func codeTwiceRevokes(t *testing.T, v *victim) {
	code := v.code(asking())
	first := v.token(redeeming(code), "c1", secretOf1).granted(t)
	second := v.token(refreshing(first.Refresh), "c1", secretOf1).granted(t)
	// Who has stolen the code, and nothing else, revokes nothing.
	v.token(redeeming(code), "c2", secretOf2).refused(t, "invalid_grant")
	v.token(redeeming(code, "code_verifier", strings.Repeat("x", 43)), "c1", secretOf1).refused(t, "invalid_grant")
	v.token(redeeming(code), "c1", "wrong").refused(t, "invalid_client")
	v.live(second)
	v.token(redeeming(code), "c1", secretOf1).refused(t, "invalid_grant")
	v.dead(first)
	v.dead(second)
}

// atOnce sends a form 32 times at once and returns what came back with status 200. All
// else must have been refused with invalid_grant.
func (v *victim) atOnce(f url.Values, auth ...string) (granted []issued) {
	v.t.Helper()
	reactions := make([]reaction, 32)
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range reactions {
		r := v.form("/token", f, auth...)
		wg.Go(func() {
			<-start
			reactions[i] = v.do(r)
		})
	}
	close(start)
	wg.Wait()
	for _, a := range reactions {
		if a.status == http.StatusOK {
			granted = append(granted, a.granted(v.t))
		} else {
			a.refused(v.t, "invalid_grant")
		}
	}
	return granted
}

func codeRace(t *testing.T, v *victim) {
	for range 3 {
		got := v.atOnce(redeeming(v.code(asking())), "c1", secretOf1)
		require.Len(t, got, 1)
		v.dead(got[0]) // the others were replays
	}
}

func foreignCode(t *testing.T, v *victim) {
	code := v.code(asking())
	v.token(redeeming(code), "c2", secretOf2).refused(t, "invalid_grant")
	v.token(redeeming(code, "client_id", "p1")).refused(t, "invalid_grant")
	v.token(redeeming(code, "redirect_uri", c2URI), "c2", secretOf2).refused(t, "invalid_grant")
	v.token(redeeming(code), "c1", secretOf1).granted(t)
}

func oldCode(t *testing.T, v *victim) {
	fresh, old := v.code(asking()), v.code(asking())
	v.advance(50 * time.Second)
	v.token(redeeming(fresh), "c1", secretOf1).granted(t)
	v.advance(11 * time.Second)
	v.token(redeeming(old), "c1", secretOf1).refused(t, "invalid_grant")
	cfg := v.config()
	cfg.CodeLifetime = 10*time.Minute + time.Second
	_, err := authwright.NewServer(cfg)
	require.ErrorContains(t, err, "CodeLifetime")
}

func codeWithoutRedirect(t *testing.T, v *victim) {
	// The verifier binds the code (OAuth 2.1, section 10.2), and nothing else is weaker for it.
	code := v.code(asking())
	v.token(redeeming(code, "redirect_uri", "", "code_verifier", ""), "c1", secretOf1).refused(t, "invalid_grant")
	v.token(redeeming(code, "redirect_uri", "", "code_verifier", strings.Repeat("x", 43)), "c1", secretOf1).refused(t, "invalid_grant")
	v.token(redeeming(code, "redirect_uri", ""), "c1", secretOf1).granted(t)
	// A code without PKCE needs it.
	v.updateClient("c1", func(c *authwright.Client) { c.InsecureWithoutPKCE = true })
	code = v.code(asking("scope", "openid", "code_challenge", "", "code_challenge_method", ""))
	v.token(redeeming(code, "redirect_uri", "", "code_verifier", ""), "c1", secretOf1).refused(t, "invalid_grant")
	v.token(redeeming(code, "code_verifier", ""), "c1", secretOf1).granted(t)
}

func injectedCode(t *testing.T, v *victim) {
	// The attacker's code, which the victim's client redeems with its own verifier.
	attackers := v.code(asking("code_challenge", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"), "mallory")
	v.token(redeeming(attackers), "c1", secretOf1).refused(t, "invalid_grant")
	for _, nonce := range []string{"n-0S6_WzA2Mj", strings.Repeat("n", 200), "ünï code +%&=", " n "} {
		code := v.code(asking("scope", "openid", "nonce", nonce))
		id := payloadOf(t, v.token(redeeming(code), "c1", secretOf1).granted(t).ID)
		require.Equal(t, nonce, id["nonce"])
	}
}

func guessedCode(t *testing.T, v *victim) {
	v.updateClient("c1", func(c *authwright.Client) { c.Consent = authwright.ConsentSkip })
	alice, seen, columns := v.signedIn("alice"), map[string]bool{}, [64]map[byte]bool{}
	const codes = 300
	for range codes {
		code := alice.authorize(asking()).toClient(t, c1URI).Get("code")
		require.Len(t, code, len(columns)) // of six random bits each
		for i := range columns {
			if columns[i] == nil {
				columns[i] = map[byte]bool{}
			}
			columns[i][code[i]] = true
		}
		seen[code] = true
	}
	require.Len(t, seen, codes)
	for i, column := range columns {
		require.Greater(t, len(column), 32, "character %d is too often the same", i)
	}
}

// blocked is a user whom the host lets have no tokens.
const blocked = "blocked"

func withBlockedUsers(cfg *authwright.Config) {
	cfg.Claims = func(_ context.Context, g *authwright.Grant) (map[string]any, error) {
		if g.Subject == blocked {
			return nil, authwright.ErrAccessDenied
		}
		return nil, nil
	}
}

func codeOverTaken(t *testing.T, v *victim) {
	v.token(redeeming(v.code(asking(), blocked)), "c1", secretOf1).refused(t, "invalid_grant")

	code := v.code(asking())
	v.updateClient("c1", func(c *authwright.Client) { c.Disabled = true })
	v.token(redeeming(code), "c1", secretOf1).refused(t, "invalid_grant")
	v.updateClient("c1", func(c *authwright.Client) { c.Disabled, c.RedirectURIs = false, []string{c1URI + "/new"} })
	v.token(redeeming(code), "c1", secretOf1).refused(t, "invalid_grant")
	v.updateClient("c1", func(c *authwright.Client) { c.RedirectURIs = []string{c1URI} })
	require.NoError(t, v.srv.RevokeSubject(t.Context(), "alice"))
	v.token(redeeming(code), "c1", secretOf1).refused(t, "invalid_grant")

	code = v.code(asking(), "bob")
	require.NoError(t, v.store.DeleteClient(t.Context(), "c1"))
	v.token(redeeming(code), "c1", secretOf1).refused(t, "invalid_client") // there is nobody to authenticate
}

func forbiddenGrantType(t *testing.T, v *victim) {
	code := v.code(asking())
	v.updateClient("c1", func(c *authwright.Client) { c.GrantTypes = []string{"refresh_token", "client_credentials"} })
	v.token(redeeming(code), "c1", secretOf1).refused(t, "unauthorized_client")
	v.signedIn("alice").authorize(asking()).failed(t, v, "unauthorized_client")
	v.token(url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, "c2", secretOf2).refused(t, "unauthorized_client")
	v.token(url.Values{"grant_type": {"password"}, "username": {"alice"}, "password": {"x"}}, "c1", secretOf1).refused(t, "unsupported_grant_type")
}

func noVerifier(t *testing.T, v *victim) {
	code := v.code(asking())
	v.token(redeeming(code, "code_verifier", ""), "c1", secretOf1).refused(t, "invalid_grant")
	v.token(redeeming(code, "code_verifier", strings.Repeat("x", 43)), "c1", secretOf1).refused(t, "invalid_grant")
	v.token(redeeming(code, "code_verifier", goodChallenge), "c1", secretOf1).refused(t, "invalid_grant") // which is no secret
	v.updateClient("c1", func(c *authwright.Client) { c.InsecureWithoutPKCE = true })
	v.token(redeeming(code, "code_verifier", ""), "c1", secretOf1).refused(t, "invalid_grant")
	v.token(redeeming(code), "c1", secretOf1).granted(t)
}

func noChallenge(t *testing.T, v *victim) {
	v.updateClient("c1", func(c *authwright.Client) { c.InsecureWithoutPKCE = true })
	code := v.code(asking("scope", "openid", "code_challenge", "", "code_challenge_method", ""))
	v.token(redeeming(code), "c1", secretOf1).refused(t, "invalid_request")
	v.token(redeeming(code, "code_verifier", ""), "c1", secretOf1).granted(t)
}

func publicWithoutChallenge(t *testing.T, v *victim) {
	for _, insecure := range []bool{false, true} {
		v.updateClient("p1", func(c *authwright.Client) { c.InsecureWithoutPKCE = insecure })
		for _, scope := range []string{"read", "openid"} {
			q := v.signedIn("alice").authorize(asking("client_id", "p1", "redirect_uri", p1URI, "scope", scope, "code_challenge", "", "code_challenge_method", "")).toClient(t, p1URI)
			require.Equal(t, "invalid_request", q.Get("error"))
		}
	}
}

func plainChallenge(t *testing.T, v *victim) {
	for _, method := range []string{"plain", "", "s256", "S512", "none", "S256 plain"} {
		v.signedIn("alice").authorize(asking("code_challenge_method", method)).failed(t, v, "invalid_request")
		v.signedIn("alice").authorize(asking("code_challenge_method", method, "code_challenge", goodVerifier)).failed(t, v, "invalid_request")
	}
}

func malformedPKCE(t *testing.T, v *victim) {
	alice := v.signedIn("alice")
	for _, challenge := range []string{
		goodChallenge[:42], goodChallenge + "A", goodChallenge + "=", strings.Replace(goodChallenge, "-", "+", 1), strings.Replace(goodChallenge, "-", "/", 1), goodChallenge[:42] + "N",
		goodChallenge[:42] + "~", strings.Repeat("A", 128), goodChallenge[:21] + "\n" + goodChallenge[21:], " " + goodChallenge,
	} {
		alice.authorize(asking("code_challenge", challenge)).failed(t, v, "invalid_request")
	}
	code := v.code(asking())
	for _, verifier := range []string{goodVerifier[:42], strings.Repeat("v", 129), goodVerifier[:42] + "+", goodVerifier[:42] + " ", goodVerifier + "\n", strings.Repeat("é", 43)} {
		v.token(redeeming(code, "code_verifier", verifier), "c1", secretOf1).refused(t, "invalid_request")
	}
	v.token(redeeming(code), "c1", secretOf1).granted(t)
}

func strippedChallenge(t *testing.T, v *victim) {
	v.signedIn("alice").authorize(asking("code_challenge", "", "code_challenge_method", "")).failed(t, v, "invalid_request")
	v.signedIn("alice").authorize(asking("scope", "openid", "nonce", "n", "code_challenge", "", "code_challenge_method", "")).failed(t, v, "invalid_request")
	v.signedIn("alice").authorize(asking("code_challenge", "")).failed(t, v, "invalid_request")
}

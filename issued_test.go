package authwright_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// The code itself: RFC 6749, sections 4.1.2 and 10.10, and RFC 7636, section 4.4.
func TestCodeIssued(t *testing.T) {
	t.Parallel()

	t.Run("AR-09 a code lives for a minute", func(t *testing.T) {
		w := newWorld(t)
		soon, late := w.code(request()), w.code(request())
		w.advance(59 * time.Second)
		require.Equal(t, http.StatusOK, w.token(codeForm(soon), "web", webSecret).status)
		w.advance(time.Second)
		refused(t, w.token(codeForm(late), "web", webSecret), "invalid_grant")
	})
	t.Run("AR-09 no code can be made to live for more than ten minutes", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) { cfg.CodeLifetime = 10 * time.Minute })
		code := w.code(request())
		w.advance(10 * time.Minute)
		refused(t, w.token(codeForm(code), "web", webSecret), "invalid_grant")
		_, err := authwright.NewServer(authwright.Config{
			Issuer: w.issuer, Storage: w.store, Authenticator: authwright.LoginRedirect("/login", "next", w.currentUser),
			SigningKeys: []authwright.SigningKey{{Signer: newKey(t)}}, CodeLifetime: 10*time.Minute + 1,
		})
		require.ErrorContains(t, err, "CodeLifetime")
	})
	t.Run("AR-10 a code is bound to client, redirect URI and challenge", func(t *testing.T) {
		w := newWorld(t)
		code := w.code(request())
		refused(t, w.token(codeForm(code), "other", otherSecret), "invalid_grant")
		refused(t, w.token(codeForm(code, "client_id", "spa")), "invalid_grant")
		refused(t, w.token(codeForm(code, "redirect_uri", "https://other.example/cb"), "web", webSecret), "invalid_grant")
		refused(t, w.token(codeForm(code, "redirect_uri", "https://web.example/cb/"), "web", webSecret), "invalid_grant")
		refused(t, w.token(codeForm(code, "code_verifier", strings.Repeat("v", 43)), "web", webSecret), "invalid_grant")
		refused(t, w.token(codeForm(code, "code_verifier", challenge), "web", webSecret), "invalid_grant") // as with plain
		refused(t, w.token(codeForm(code, "code_verifier", ""), "web", webSecret), "invalid_grant")
		require.Equal(t, http.StatusOK, w.token(codeForm(code), "web", webSecret).status, "none of these has spent it")
	})
	t.Run("AR-10 a code is bound to the port that was asked for", func(t *testing.T) {
		w := newWorld(t)
		code := w.code(request("client_id", "cli", "redirect_uri", "http://127.0.0.1:51004/cb"))
		for _, uri := range []string{"http://127.0.0.1:51005/cb", "http://127.0.0.1/cb"} {
			refused(t, w.token(codeForm(code, "client_id", "cli", "redirect_uri", uri)), "invalid_grant")
		}
		require.Equal(t, http.StatusOK, w.token(codeForm(code, "client_id", "cli", "redirect_uri", "http://127.0.0.1:51004/cb")).status)
	})
	t.Run("AR-10 a code is bound to user, login, scope and resource", func(t *testing.T) {
		w := newWorld(t, func(cfg *authwright.Config) {
			cfg.Resources = []authwright.Resource{{ID: "https://notes.example/"}, {ID: "https://mail.example/"}}
		})
		since := w.now()
		b := w.signedIn("alice")
		page := b.authorize(request("scope", "read", "resource", "https://notes.example/"))
		code := b.decide(page, "approve", "read").location(t).Get("code")
		w.advance(30 * time.Second)
		b.signIn("bob")
		b.authorize(request("scope", "read write", "resource", "https://mail.example/"))

		refused(t, w.token(codeForm(code, "resource", "https://mail.example/"), "web", webSecret), "invalid_target")
		a := w.token(codeForm(code, "scope", "read write"), "web", webSecret)
		require.Equal(t, http.StatusOK, a.status, a.body)
		token := claims(t, a.json(t)["access_token"])
		require.Equal(t, "alice", token["sub"])
		require.Equal(t, "web", token["client_id"])
		require.Equal(t, "read", token["scope"])
		require.Equal(t, "https://notes.example/", token["aud"])
		require.EqualValues(t, since.Unix(), token["auth_time"])
	})
	t.Run("AR-11 a code does not give away its challenge", func(t *testing.T) {
		w := newWorld(t)
		sum, err := base64.RawURLEncoding.DecodeString(challenge)
		require.NoError(t, err)
		code := w.code(request())
		raw, err := base64.RawURLEncoding.DecodeString(code)
		require.NoError(t, err)
		for _, part := range []string{challenge, challenge[:8], string(sum), string(sum[:8]), verifier[:8]} {
			require.NotContains(t, code, part)
			require.NotContains(t, string(raw), part)
		}
	})
	t.Run("AR-12 codes and tokens have 256 random bits", func(t *testing.T) {
		w := newWorld(t)
		const n = 64
		seen := make(map[string][][]byte)
		for range n {
			code := w.code(request())
			tokens := w.token(codeForm(code), "web", webSecret).json(t)
			// What resource servers get to know is not random.
			id, err := base64.RawURLEncoding.DecodeString(claims(t, tokens["access_token"])["grant_id"].(string))
			require.NoError(t, err)
			for kind, secret := range map[string]string{"code": code, "refresh token": tokens["refresh_token"].(string)} {
				raw, err := base64.RawURLEncoding.DecodeString(secret)
				require.NoError(t, err, kind)
				random := bytes.TrimPrefix(raw, id)
				require.Len(t, random, 32, kind)
				seen[kind] = append(seen[kind], random)
			}
		}
		for kind, secrets := range seen {
			for i := range 32 {
				values := make(map[byte]bool)
				for _, s := range secrets {
					values[s[i]] = true
				}
				// 64 draws of 256 values leave about 57 different ones.
				require.Greater(t, len(values), 40, "%s, byte %d", kind, i)
			}
		}
		for i, code := range seen["code"] {
			require.NotContains(t, string(seen["refresh token"][i]), string(code[:8]), "one is not made from the other")
		}
	})
	t.Run("AR-12 every bit of a code counts", func(t *testing.T) {
		w := newWorld(t)
		code := w.code(request())
		for i := range code {
			forged := []byte(code)
			forged[i] = 'A' + (forged[i]-'A'+1)%26
			require.NotEqual(t, code, string(forged))
			refused(t, w.token(codeForm(string(forged)), "web", webSecret), "invalid_grant")
		}
		require.Equal(t, http.StatusOK, w.token(codeForm(code), "web", webSecret).status)
	})
}

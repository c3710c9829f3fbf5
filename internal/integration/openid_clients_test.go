package integration_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// TestOpenIDClients signs people in with go-oidc wherever a target may be, and as every
// kind of client that it knows.
func TestOpenIDClients(t *testing.T) {
	t.Parallel()
	program := buildTarget(t)
	certificate, trust := targetCertificate(t)
	for _, at := range []struct {
		name, scheme, path string
		tls                any
	}{
		{"http", "http", "", nil},
		{"https", "https", "", certificate},
		{"issuer with a path", "https", "/tenants/one", certificate},
	} {
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			cfg := targetConfig()
			delete(cfg, "lifetimes")
			cfg["openid"], cfg["tls"] = true, at.tls
			web := cfg["clients"].([]any)[0].(map[string]any)
			web["scope"], web["id_token_signed_response_alg"] = "openid profile email", oidc.ES256
			cfg["users"].([]any)[0].(map[string]any)["claims"] = map[string]any{
				"name": "Alice", "email": "alice@example.com", "email_verified": true,
			}
			issuer := startTarget(t, program, at.scheme, at.path, cfg)
			ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: trust})
			provider, err := oidc.NewProvider(ctx, issuer)
			require.NoError(t, err)
			scopes := []string{oidc.ScopeOpenID, "profile", "email"}
			for _, as := range []struct {
				name, alg string
				client    oauth2.Config
			}{
				{"confidential", oidc.ES256, oauth2.Config{ClientID: "web", ClientSecret: targetSecret, RedirectURL: webCallback}},
				{"public", oidc.RS256, oauth2.Config{ClientID: "cli", RedirectURL: cliCallback}},
			} {
				t.Run(as.name, func(t *testing.T) {
					as.client.Endpoint, as.client.Scopes = provider.Endpoint(), scopes
					testOpenIDClient(ctx, t, &relyingParty{provider, as.client}, as.alg, trust)
				})
			}
		})
	}
}

// testOpenIDClient signs a person in twice, and mixes up what came of it.
func testOpenIDClient(ctx context.Context, t *testing.T, rp *relyingParty, alg string, trust http.RoundTripper) {
	now := time.Now()
	verifier := rp.Verifier(&oidc.Config{ClientID: rp.ClientID, SupportedSigningAlgs: []string{alg}})
	signIn := func(nonce string) (*oauth2.Token, *oidc.IDToken) {
		b, secret := newTargetBrowser(t, trust), oauth2.GenerateVerifier()
		consent := b.signIn(rp.AuthCodeURL("s", oauth2.S256ChallengeOption(secret), oidc.Nonce(nonce), askAgain))
		code := b.sent(b.press(consent, "approve", nil), strings.TrimSuffix(rp.RedirectURL, "?from=here")).Get("code")
		token, err := rp.Exchange(ctx, code, oauth2.VerifierOption(secret))
		require.NoError(t, err)
		id, err := verifier.Verify(ctx, token.Extra("id_token").(string))
		require.NoError(t, err)
		return token, id
	}
	first, id := signIn("one")
	require.Equal(t, "u1", id.Subject)
	require.Equal(t, []string{rp.ClientID}, id.Audience)
	require.Equal(t, "one", id.Nonce)
	require.NoError(t, id.VerifyAccessToken(first.AccessToken))
	require.WithinDuration(t, now, id.IssuedAt, time.Minute)
	var claims struct {
		AuthTime int64 `json:"auth_time"`
	}
	require.NoError(t, id.Claims(&claims))
	require.WithinDuration(t, now, time.Unix(claims.AuthTime, 0), time.Minute)

	second, other := signIn("two")
	require.Equal(t, "two", other.Nonce)
	require.Error(t, id.VerifyAccessToken(second.AccessToken), "of another sign-in")
	text := first.Extra("id_token").(string)
	for name, cfg := range map[string]*oidc.Config{
		"audience":  {ClientID: "another", SupportedSigningAlgs: []string{alg}},
		"expired":   {ClientID: rp.ClientID, SupportedSigningAlgs: []string{alg}, Now: func() time.Time { return now.Add(time.Hour) }},
		"malformed": {ClientID: rp.ClientID, SupportedSigningAlgs: []string{oidc.PS256}}, // of another algorithm
	} {
		_, err := rp.Verifier(cfg).Verify(ctx, text)
		require.ErrorContains(t, err, name)
	}

	info, err := rp.UserInfo(ctx, oauth2.StaticTokenSource(first))
	require.NoError(t, err)
	require.Equal(t, "u1", info.Subject)
	require.Equal(t, "alice@example.com", info.Email)
	require.True(t, info.EmailVerified)
	var profile struct{ Name string }
	require.NoError(t, info.Claims(&profile))
	require.Equal(t, "Alice", profile.Name)

	forged := *first
	forged.AccessToken = text
	_, err = rp.UserInfo(ctx, oauth2.StaticTokenSource(&forged))
	require.ErrorContains(t, err, "401", "an ID token is no access token")
}

package integration_test

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
)

// targetStorages are the storage members of configurations, one for each engine.
func targetStorages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{"memory": "memory"}
	if !withoutEngine("sqlite") {
		found["sqlite"] = "sqlite:" + filepath.Join(t.TempDir(), "target.db")
	}
	if !withoutEngine("postgresql") {
		folder, _, _ := strings.Cut(strings.TrimPrefix(postgresDSN(t), "host="), " ")
		found["postgresql"] = "postgres://postgres@/postgres?" + url.Values{"host": {folder}}.Encode()
	}
	if !withoutEngine("mariadb") {
		found["mariadb"] = "mysql://" + mariadbDSN(t)
	}
	if !withoutEngine("redis") {
		s, err := startedRedis()
		require.NoError(t, err, "redis is needed: apt-get install redis-server")
		found["redis"] = "redis://" + s.addr
	}
	return found
}

// TestOpenIDConnect signs people in with the libraries that Go programs use for it, at a
// target on each of the storages.
func TestOpenIDConnect(t *testing.T) {
	t.Parallel()
	program := buildTarget(t)
	for name, storage := range targetStorages(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := targetConfig()
			cfg["openid"], cfg["storage"] = true, storage
			delete(cfg, "lifetimes")
			client := cfg["clients"].([]any)[0].(map[string]any)
			client["scope"], client["post_logout_redirect_uris"] = "openid email offline_access read", []string{"https://web.example/bye"}
			issuer := startTarget(t, program, "http", "/as", cfg)

			provider, err := oidc.NewProvider(t.Context(), issuer)
			require.NoError(t, err)
			rp := &relyingParty{provider, oauth2.Config{
				ClientID: "web", ClientSecret: targetSecret, RedirectURL: webCallback, Endpoint: provider.Endpoint(),
				Scopes: []string{oidc.ScopeOpenID, "email", oidc.ScopeOfflineAccess, "read"},
			}}
			rp.test(t)
		})
	}
}

type relyingParty struct {
	*oidc.Provider
	oauth2.Config
}

func (rp *relyingParty) test(t *testing.T) {
	b := newTargetBrowser(t, http.DefaultTransport)
	verifier := oauth2.GenerateVerifier()
	consent := b.signIn(rp.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier), oidc.Nonce("the nonce"), askAgain))
	answer := b.sent(b.press(consent, "approve", nil), "https://web.example/callback")
	token, err := rp.Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier))
	require.NoError(t, err)

	id, err := rp.Verifier(&oidc.Config{ClientID: "web"}).Verify(t.Context(), token.Extra("id_token").(string))
	require.NoError(t, err)
	require.Equal(t, "u1", id.Subject)
	require.Equal(t, "the nonce", id.Nonce)
	require.NoError(t, id.VerifyAccessToken(token.AccessToken))
	info, err := rp.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
	require.NoError(t, err)
	require.Equal(t, "u1", info.Subject)
	require.Equal(t, "alice@example.com", info.Email)

	stale := &oauth2.Token{RefreshToken: token.RefreshToken}
	refreshed, err := rp.TokenSource(t.Context(), stale).Token()
	require.NoError(t, err)
	again, err := rp.Verifier(&oidc.Config{ClientID: "web"}).Verify(t.Context(), refreshed.Extra("id_token").(string))
	require.NoError(t, err)
	require.Empty(t, again.Nonce)

	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
	}
	require.NoError(t, rp.Claims(&metadata))
	q := url.Values{"id_token_hint": {token.Extra("id_token").(string)}, "post_logout_redirect_uri": {"https://web.example/bye"}, "state": {"bye"}}
	require.Equal(t, "bye", b.sent(b.open(metadata.EndSession+"?"+q.Encode()), "https://web.example/bye").Get("state"))
	silent := b.open(rp.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("prompt", "none")))
	require.Equal(t, "login_required", b.sent(silent, "https://web.example/callback").Get("error"))
	_, err = rp.UserInfo(t.Context(), oauth2.StaticTokenSource(refreshed))
	require.NoError(t, err, "offline_access outlives the session")
}

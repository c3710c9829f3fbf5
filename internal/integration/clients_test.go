package integration_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/authwright/authwright/resource"
)

const (
	targetPassword = "wonderland & co"
	targetSecret   = "s3cr:t +/=%&" // means something else in every encoding
	targetAPI      = "https://api.example"
	webCallback    = "https://web.example/callback?from=here"
	cliCallback    = "http://127.0.0.1:7/callback" // any port will do
)

// targetConfig has a confidential and a public client. Its access tokens live so short
// that x/oauth2, which allows for clocks that differ by ten seconds, refreshes each
// before it is used.
func targetConfig() map[string]any {
	return map[string]any{
		"clients": []any{
			map[string]any{"client_id": "web", "client_secret": targetSecret, "redirect_uris": []string{webCallback}, "scope": "read write"},
			map[string]any{"client_id": "cli", "redirect_uris": []string{"http://127.0.0.1/callback"}, "application_type": "native"},
		},
		"users": []any{map[string]any{
			"sub": "u1", "username": "alice", "password": targetPassword, "claims": map[string]any{"email": "alice@example.com"},
		}},
		"resources": []any{targetAPI},
		"scopes":    map[string]string{"read": "Read your notes", "write": "Change your notes"},
		"lifetimes": map[string]string{"access_token": "9s"},
	}
}

// A party is a client of a running target, made of unmodified libraries.
type party struct {
	oauth2.Config
	issuer string
	keys   string          // jwks_uri
	ctx    context.Context // carries the transport
	trust  http.RoundTripper
}

// newParty configures itself from the metadata of issuer.
func newParty(t *testing.T, issuer string, trust http.RoundTripper, cfg oauth2.Config) *party {
	t.Helper()
	u, err := url.Parse(issuer)
	require.NoError(t, err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, u.Scheme+"://"+u.Host+"/.well-known/oauth-authorization-server"+u.Path, nil)
	require.NoError(t, err)
	client := &http.Client{Transport: trust}
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	var metadata struct {
		Issuer        string `json:"issuer"`
		Authorization string `json:"authorization_endpoint"`
		Token         string `json:"token_endpoint"`
		Keys          string `json:"jwks_uri"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&metadata))
	require.Equal(t, issuer, metadata.Issuer)
	cfg.Endpoint.AuthURL, cfg.Endpoint.TokenURL = metadata.Authorization, metadata.Token
	return &party{cfg, issuer, metadata.Keys, context.WithValue(t.Context(), oauth2.HTTPClient, client), trust}
}

// askAgain brings up the consent page for a client that the user has approved before.
var askAgain = oauth2.SetAuthURLParam("prompt", "consent")

// code takes a person through login and consent.
func (p *party) code(t *testing.T, verifier string) string {
	t.Helper()
	b := newTargetBrowser(t, p.trust)
	consent := b.signIn(p.AuthCodeURL("the state", oauth2.S256ChallengeOption(verifier), askAgain))
	require.Equal(t, []string{"read", "write"}, consent.fields["scope"])
	answer := b.sent(b.press(consent, "approve", nil), strings.TrimSuffix(p.RedirectURL, "?from=here"))
	require.Equal(t, "the state", answer.Get("state"))
	require.Equal(t, p.issuer, answer.Get("iss"))
	require.NotEmpty(t, answer.Get("code"))
	return answer.Get("code")
}

func TestClients(t *testing.T) {
	t.Parallel()
	program := buildTarget(t)
	certificate, trust := targetCertificate(t)
	web := oauth2.Config{ClientID: "web", ClientSecret: targetSecret, RedirectURL: webCallback, Scopes: []string{"read", "write"}}
	cli := oauth2.Config{ClientID: "cli", RedirectURL: cliCallback, Scopes: []string{"read", "write"}}

	for _, at := range []struct {
		name, scheme, path string
		tls                any
	}{
		{"http", "http", "", nil},
		{"https", "https", "", certificate},
		{"issuer with a path", "http", "/tenants/one", nil},
	} {
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			cfg := targetConfig()
			cfg["tls"] = at.tls
			issuer := startTarget(t, program, at.scheme, at.path, cfg)
			for _, as := range []struct {
				name   string
				client oauth2.Config
				style  oauth2.AuthStyle
			}{
				{"secret in the header", web, oauth2.AuthStyleInHeader},
				{"secret in the form", web, oauth2.AuthStyleInParams},
				{"style found out", web, oauth2.AuthStyleAutoDetect},
				{"public", cli, oauth2.AuthStyleInParams},
			} {
				t.Run(as.name, func(t *testing.T) {
					as.client.Endpoint.AuthStyle = as.style
					testFlow(t, newParty(t, issuer, trust, as.client))
				})
			}
		})
	}
	t.Run("refusals", func(t *testing.T) {
		t.Parallel()
		client := web
		client.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
		testRefusals(t, newParty(t, startTarget(t, program, "http", "", targetConfig()), trust, client))
	})
	t.Run("a mistake in the configuration ends the program", func(t *testing.T) {
		t.Parallel()
		cfg := targetConfig()
		cfg["adr"] = "127.0.0.1:0"
		var stdout, stderr strings.Builder
		cmd := exec.CommandContext(t.Context(), program, writeTargetConfig(t, cfg))
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		require.Error(t, cmd.Run())
		require.Equal(t, 1, cmd.ProcessState.ExitCode())
		require.Empty(t, stdout.String())
		require.Contains(t, stderr.String(), "adr: unknown")
		requireTargetLog(t, stderr.String())
	})
}

// testFlow runs the whole flow, the refresh and the checks of the tokens.
func testFlow(t *testing.T, p *party) {
	verifier := oauth2.GenerateVerifier()
	first, err := p.Exchange(p.ctx, p.code(t, verifier), oauth2.VerifierOption(verifier))
	require.NoError(t, err)
	require.Equal(t, "Bearer", first.Type())
	require.Equal(t, "read write", first.Extra("scope"))
	p.checkToken(t, first)

	require.False(t, first.Valid(), "the token is to be refreshed")
	second, err := p.TokenSource(p.ctx, first).Token()
	require.NoError(t, err)
	require.NotEqual(t, first.AccessToken, second.AccessToken)
	require.NotEqual(t, first.RefreshToken, second.RefreshToken)
	p.checkToken(t, second)
	p.checkResource(t, second)
}

// checkToken verifies an access token with the verifier of go-oidc.
func (p *party) checkToken(t *testing.T, token *oauth2.Token) {
	t.Helper()
	ctx := oidc.ClientContext(t.Context(), &http.Client{Transport: p.trust})
	v := oidc.NewVerifier(p.issuer, oidc.NewRemoteKeySet(ctx, p.keys), &oidc.Config{ClientID: targetAPI, SupportedSigningAlgs: []string{oidc.ES256}})
	verified, err := v.Verify(ctx, token.AccessToken)
	require.NoError(t, err)
	require.Equal(t, "u1", verified.Subject)
	require.Equal(t, []string{targetAPI}, verified.Audience)
	var claims struct {
		ClientID string `json:"client_id"`
		Scope    string `json:"scope"`
		Email    string `json:"email"`
	}
	require.NoError(t, verified.Claims(&claims))
	require.Equal(t, p.ClientID, claims.ClientID)
	require.Equal(t, "read write", claims.Scope)
	require.Equal(t, "alice@example.com", claims.Email)

	other := oidc.NewVerifier(p.issuer, oidc.NewRemoteKeySet(ctx, p.keys), &oidc.Config{ClientID: "https://other.example", SupportedSigningAlgs: []string{oidc.ES256}})
	_, err = other.Verify(ctx, token.AccessToken)
	require.ErrorContains(t, err, "audience")
}

// checkResource sends a token, as x/oauth2 sends it, to a server of its own that knows
// nothing but the issuer.
func (p *party) checkResource(t *testing.T, token *oauth2.Token) {
	t.Helper()
	api := &resource.Verifier{Issuer: p.issuer, Audience: targetAPI, Client: &http.Client{Transport: p.trust}}
	whoami := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, resource.FromContext(r.Context()).Subject)
	})
	mux := http.NewServeMux()
	mux.Handle("GET /notes", api.Require("read")(whoami))
	mux.Handle("GET /admin", api.Require("admin")(whoami))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)

	// Without an expiry and a refresh token x/oauth2 sends what it has.
	bearer := oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token.AccessToken, TokenType: token.TokenType}))
	for _, tt := range []struct {
		client *http.Client
		path   string
		status int
		body   string
	}{
		{bearer, "/notes", http.StatusOK, "u1"},
		{bearer, "/admin", http.StatusForbidden, "insufficient_scope"},
		{http.DefaultClient, "/notes", http.StatusUnauthorized, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+tt.path, nil)
		require.NoError(t, err)
		resp, err := tt.client.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		require.Equal(t, tt.status, resp.StatusCode, string(body))
		require.Contains(t, string(body), tt.body)
	}
}

// testRefusals checks that x/oauth2 understands what it is refused.
func testRefusals(t *testing.T, p *party) {
	verifier := oauth2.GenerateVerifier()
	code := p.code(t, verifier)
	wrong := *p
	wrong.ClientSecret = "guess"
	refused := func(t *testing.T, err error, status int, code string) {
		t.Helper()
		var refusal *oauth2.RetrieveError
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, code, refusal.ErrorCode)
		require.Equal(t, status, refusal.Response.StatusCode)
	}
	t.Run("wrong secret", func(t *testing.T) {
		_, err := wrong.Exchange(p.ctx, code, oauth2.VerifierOption(verifier))
		refused(t, err, http.StatusUnauthorized, "invalid_client")
	})
	t.Run("wrong verifier", func(t *testing.T) {
		_, err := p.Exchange(p.ctx, code, oauth2.VerifierOption(oauth2.GenerateVerifier()))
		refused(t, err, http.StatusBadRequest, "invalid_grant")
	})
	t.Run("code twice", func(t *testing.T) {
		token, err := p.Exchange(p.ctx, code, oauth2.VerifierOption(verifier))
		require.NoError(t, err)
		_, err = p.Exchange(p.ctx, code, oauth2.VerifierOption(verifier))
		refused(t, err, http.StatusBadRequest, "invalid_grant")
		_, err = p.TokenSource(p.ctx, token).Token()
		refused(t, err, http.StatusBadRequest, "invalid_grant")
	})
	t.Run("no consent", func(t *testing.T) {
		b := newTargetBrowser(t, p.trust)
		consent := b.signIn(p.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier), askAgain))
		require.Equal(t, "access_denied", b.sent(b.press(consent, "deny", nil), "https://web.example/callback").Get("error"))
	})
}

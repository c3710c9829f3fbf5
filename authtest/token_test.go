package authtest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/authtest"
	"github.com/authwright/authwright/resource"
)

const notes = "https://notes.example/"

func withNotes(c *authwright.Config) {
	c.Resources = append(c.Resources, authwright.Resource{ID: notes})
}

// add registers clients of the test's own.
func add(t *testing.T, as *authtest.Server, clients ...*authwright.Client) {
	t.Helper()
	for _, c := range clients {
		require.NoError(t, as.Store.AddClient(t.Context(), c))
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t, withNotes)
	_, secret := authwright.NewSecret()
	add(t, as,
		&authwright.Client{
			ID: "secretive", Secrets: []authwright.ClientSecret{secret}, AuthMethod: authwright.AuthSecretBasic, Consent: authwright.ConsentAlways,
			RedirectURIs: []string{"https://secretive.example/cb"}, Scopes: []string{"read"}, DefaultScopes: []string{"read"},
		},
		&authwright.Client{ID: "signing", JWKSURI: "https://signing.example/jwks", RedirectURIs: []string{"https://signing.example/cb"}},
		&authwright.Client{ID: "installed", RedirectURIs: []string{"com.example.app:/cb"}, Scopes: []string{"read"}},
		&authwright.Client{ID: "worker", Secrets: []authwright.ClientSecret{secret}, GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}},
	)
	for _, tc := range []struct {
		name     string
		want     authtest.Token
		subject  string
		client   string
		audience string
		scopes   []string
	}{
		{"zero", authtest.Token{}, "alice", "confidential", notes, nil},
		{"any user and any scope", authtest.Token{Subject: "bob", Scopes: []string{"a:b", "c"}}, "bob", "confidential", notes, []string{"a:b", "c"}},
		{"no scope after others had some", authtest.Token{}, "alice", "confidential", notes, nil},
		{"public client", authtest.Token{ClientID: authtest.PublicClient, Scopes: []string{"x"}}, "alice", "public", notes, []string{"x"}},
		{"resource", authtest.Token{Resource: notes}, "alice", "confidential", notes, nil},
		{"client that acts for itself", authtest.Token{Subject: authtest.ConfidentialClient, ClientID: authtest.ConfidentialClient, Scopes: []string{"y"}}, "confidential", "confidential", notes, []string{"y"}},
		{"client whose secret nobody knows", authtest.Token{ClientID: "secretive"}, "alice", "secretive", notes, []string{"read"}},
		{"client that signs", authtest.Token{ClientID: "signing"}, "alice", "signing", notes, nil},
		{"client on a device", authtest.Token{ClientID: "installed", Scopes: []string{"read"}}, "alice", "installed", notes, []string{"read"}},
		{"client without redirect URIs", authtest.Token{Subject: "worker", ClientID: "worker", Scopes: []string{"read"}}, "worker", "worker", notes, []string{"read"}},
		{"openid", authtest.Token{Scopes: []string{"openid", "email"}}, "alice", "confidential", as.Issuer, []string{"openid", "email"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			token, err := as.Verifier(tc.audience).Verify(t.Context(), as.Token(tc.want))
			require.NoError(t, err)
			require.Equal(t, tc.subject, token.Subject)
			require.Equal(t, tc.client, token.ClientID)
			require.Equal(t, tc.scopes, token.Scopes)
		})
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t, func(c *authwright.Config) {
		c.Claims = func(context.Context, *authwright.Grant) (map[string]any, error) {
			return map[string]any{"tenant": "acme", "plan": "free"}, nil
		}
	})
	read := func(text string) map[string]any {
		token, err := as.Verifier(as.Issuer).Verify(t.Context(), text)
		require.NoError(t, err)
		var claims map[string]any
		require.NoError(t, token.Claims(&claims))
		return claims
	}
	plain := read(as.Token(authtest.Token{}))
	require.Equal(t, "free", plain["plan"])
	tokens, err := as.Flow(authtest.Token{Claims: map[string]any{"plan": "gold", "roles": []string{"admin"}}})
	require.NoError(t, err)
	refreshed, err := as.Refresh(tokens)
	require.NoError(t, err)
	for _, text := range []string{tokens.AccessToken, refreshed.AccessToken} {
		claims := read(text)
		require.Equal(t, "acme", claims["tenant"])
		require.Equal(t, "gold", claims["plan"], "those of the Token win")
		require.Equal(t, []any{"admin"}, claims["roles"])
	}
	require.Equal(t, "free", read(as.Token(authtest.Token{}))["plan"], "claims are one token's")
	itself := authtest.Token{Subject: authtest.ConfidentialClient, Claims: map[string]any{"plan": "robot"}}
	require.Equal(t, "robot", read(as.Token(itself))["plan"])

	_, err = as.Flow(authtest.Token{Claims: map[string]any{"sub": "mallory"}})
	require.ErrorIs(t, err, authwright.ErrServerError)
}

func TestFlow(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t)
	tokens, err := as.Flow(authtest.Token{Scopes: []string{"openid", "profile", "email", "notes"}})
	require.NoError(t, err)
	require.Equal(t, []string{"openid", "profile", "email", "notes"}, tokens.Scopes)
	require.WithinDuration(t, as.Now().Add(10*time.Minute), tokens.Expiry, 5*time.Second)
	id := payload(t, tokens.IDToken)
	require.Equal(t, "alice", id["sub"])
	require.Equal(t, authtest.ConfidentialClient, id["aud"])
	require.NotEmpty(t, id["sid"])

	resp, err := as.Client(tokens.AccessToken).Get(as.Issuer + "/userinfo")
	require.NoError(t, err)
	require.JSONEq(t, `{"sub": "alice", "name": "alice", "preferred_username": "alice", "email": "alice@example.com", "email_verified": true}`, text(t, resp))

	next, err := as.Refresh(tokens)
	require.NoError(t, err)
	require.NotEqual(t, tokens.RefreshToken, next.RefreshToken)
	as.Revoke(next.AccessToken)
	_, err = as.Refresh(next)
	require.ErrorIs(t, err, authwright.ErrInvalidGrant)
	require.Contains(t, types(as), authwright.EventGrantRevoked)
	_, err = as.Verifier(as.Issuer).Verify(t.Context(), next.AccessToken)
	require.NoError(t, err, "a token that nobody asks the server about lives on")

	tokens, err = as.Flow(authtest.Token{ClientID: authtest.PublicClient})
	require.NoError(t, err)
	_, err = as.Refresh(tokens)
	require.NoError(t, err)
}

func TestFlowRefused(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t, func(c *authwright.Config) { c.Scopes = []authwright.Scope{{Name: "read"}} })
	add(t, as,
		&authwright.Client{ID: "modest", RedirectURIs: []string{"https://modest.example/cb"}, Scopes: []string{"read"}},
		&authwright.Client{ID: "worker", GrantTypes: []string{"client_credentials"}},
		&authwright.Client{ID: authtest.PublicClient, Disabled: true, RedirectURIs: []string{"https://public.example/cb"}},
	)
	for _, tc := range []struct {
		name   string
		want   authtest.Token
		err    error
		reason string
	}{
		{"scope that the server does not know", authtest.Token{Scopes: []string{"write"}}, authwright.ErrInvalidScope, "write"},
		{"scope that the client may not have", authtest.Token{ClientID: "modest", Scopes: []string{"email"}}, authwright.ErrInvalidScope, "email"},
		{"resource that is not there", authtest.Token{Resource: notes}, authwright.ErrInvalidTarget, "resource"},
		{"no such client", authtest.Token{ClientID: "nobody"}, authwright.ErrNotFound, `"nobody"`},
		{"client that has nowhere to go", authtest.Token{ClientID: "worker"}, nil, "no redirect URI"},
		{"client in the place of a built-in one", authtest.Token{ClientID: authtest.PublicClient}, nil, "400 Bad Request: this application has been disabled"},
		{"public client that acts for itself", authtest.Token{Subject: "modest", ClientID: "modest"}, authwright.ErrUnauthorizedClient, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tokens, err := as.Flow(tc.want)
			require.Nil(t, tokens)
			require.ErrorContains(t, err, tc.reason)
			if tc.err != nil {
				require.ErrorIs(t, err, tc.err)
			}
		})
	}
}

func TestClient(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("Authorization")) }))
	defer api.Close()
	client := authtest.NewServer(t).Client("t0ken")
	for header, sent := range map[string]string{"": "Bearer t0ken", "Basic YTpi": "Basic YTpi"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, api.URL, nil)
		require.NoError(t, err)
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		resp, err := client.Do(r)
		require.NoError(t, err)
		require.Equal(t, sent, text(t, resp))
		require.Equal(t, header, r.Header.Get("Authorization"), "a request is its caller's")
	}
}

// A resource server with nothing but the issuer's name, and a clock of its own.
func TestClock(t *testing.T) {
	t.Parallel()
	as := authtest.NewServer(t)
	require.WithinDuration(t, time.Now(), as.Now(), 5*time.Second)
	elsewhere := &resource.Verifier{Issuer: as.Issuer, Audience: as.Issuer}
	here := as.Verifier(as.Issuer)

	token := as.Token(authtest.Token{})
	for _, v := range []*resource.Verifier{here, elsewhere} {
		_, err := v.Verify(t.Context(), token)
		require.NoError(t, err)
	}
	as.Advance(11 * time.Minute)
	_, err := here.Verify(t.Context(), token)
	require.ErrorIs(t, err, resource.ErrInvalidToken)
	_, err = elsewhere.Verify(t.Context(), token)
	require.NoError(t, err)

	as.Advance(-time.Hour)
	token = as.Token(authtest.Token{})
	as.Advance(time.Hour)
	_, err = elsewhere.Verify(t.Context(), token)
	require.ErrorContains(t, err, "expired")
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

func payload(t *testing.T, jwt string) (claims map[string]any) {
	t.Helper()
	parts := strings.Split(jwt, ".")
	require.Len(t, parts, 3)
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &claims))
	return claims
}

func types(as *authtest.Server) (types []authwright.EventType) {
	for _, e := range as.Events() {
		types = append(types, e.Type)
	}
	return types
}

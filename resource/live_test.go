package resource_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/resource"
)

func TestLive(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	good := token(k, nil, object{"grant_id": "g"})
	for _, tc := range []struct {
		name   string
		token  string
		live   func(context.Context, string) (bool, error)
		status int
		reason string
	}{
		{"a grant that lives", good, func(_ context.Context, id string) (bool, error) { return id == "g", nil }, 200, ""},
		{"a grant that is revoked", good, func(context.Context, string) (bool, error) { return false, nil }, 401, "the access token was revoked"},
		{"a token without a grant", token(k, nil, nil), func(context.Context, string) (bool, error) { return true, nil }, 401, "the access token lacks a claim or has a malformed one"},
		{"a token with an empty grant", token(k, nil, object{"grant_id": ""}), func(context.Context, string) (bool, error) { return true, nil }, 401, "the access token lacks a claim or has a malformed one"},
		{"nobody knows", good, func(context.Context, string) (bool, error) { return true, errors.New("database at 10.0.0.1") }, 503, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			log := new(logBuffer)
			v, _ := verifier(k)
			v.Live, v.Logger = tc.live, slog.New(slog.NewTextHandler(log, nil))
			w := get(t, protect(v), tc.token)
			require.Equal(t, tc.status, w.Code)
			require.Equal(t, tc.reason, challenge(t, w)["error_description"])
			require.NotContains(t, w.Body.String(), "10.0.0.1")
			require.Equal(t, tc.status == 503, strings.Contains(log.String(), "10.0.0.1"))
			_, err := v.Verify(t.Context(), tc.token)
			require.Equal(t, tc.status == 401, errors.Is(err, resource.ErrInvalidToken))
		})
	}
	t.Run("is asked about good tokens only", func(t *testing.T) {
		t.Parallel()
		v, _ := verifier(k)
		v.Live = func(context.Context, string) (bool, error) { t.Error("it was asked"); return true, nil }
		for _, claims := range []object{{"grant_id": "g", "aud": "other"}, {"grant_id": "g", "exp": start.Unix() - 60}} {
			require.Equal(t, 401, get(t, protect(v), token(k, nil, claims)).Code)
		}
		require.Equal(t, 401, get(t, protect(v), token(newKey("k", "ES256"), nil, object{"grant_id": "g"})).Code)
	})
}

// newServer starts an authorization server with a client that acts for itself, job, and
// one that serves a resource, api. It returns their secrets.
func newServer(t *testing.T) (srv *authwright.Server, ts *httptest.Server, job, api string) {
	t.Helper()
	mux := http.NewServeMux()
	ts = httptest.NewServer(mux)
	t.Cleanup(ts.Close)
	job, jobStored := authwright.NewSecret()
	api, apiStored := authwright.NewSecret()
	storage, err := authwright.NewMemory(
		&authwright.Client{ID: "job", Secrets: []authwright.ClientSecret{jobStored}, GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}},
		&authwright.Client{ID: "api", Secrets: []authwright.ClientSecret{apiStored}, GrantTypes: []string{}, Serves: []string{audience}},
	)
	require.NoError(t, err)
	srv, err = authwright.NewServer(authwright.Config{
		Issuer: ts.URL, Storage: storage, Logger: slog.New(slog.DiscardHandler),
		Authenticator: authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) { return nil, nil }),
		SigningKeys:   []authwright.SigningKey{{Signer: newKey("", "ES256").private}},
		Resources:     []authwright.Resource{{ID: audience}, {ID: "https://other.example.com"}},
	})
	require.NoError(t, err)
	srv.Register(mux)
	return srv, ts, job, api
}

func TestRevokedAtOnce(t *testing.T) {
	t.Parallel()
	for name, check := range map[string]func(v *resource.Verifier, srv *authwright.Server, secret string){
		"by Live": func(v *resource.Verifier, srv *authwright.Server, _ string) {
			v.Keys, v.Live = srv.JWKS, srv.GrantActive
		},
		"by Introspect": func(v *resource.Verifier, _ *authwright.Server, secret string) {
			v.Introspect = &resource.Introspection{ClientID: "api", ClientSecret: secret}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, ts, job, api := newServer(t)
			good, elsewhere := clientToken(t, ts, job, audience), clientToken(t, ts, job, "https://other.example.com")

			v := &resource.Verifier{Issuer: ts.URL, Audience: audience, Logger: slog.New(slog.DiscardHandler)}
			check(v, srv, api)
			require.Equal(t, 200, get(t, protect(v, "read"), good).Code)
			require.Equal(t, 401, get(t, protect(v), elsewhere).Code)
			require.Equal(t, 401, get(t, protect(v), good+"x").Code)

			got, err := v.Verify(t.Context(), good)
			require.NoError(t, err)
			require.Equal(t, "job", got.Subject)
			require.NotEmpty(t, got.ID)
			require.WithinDuration(t, time.Now().Add(10*time.Minute), got.Expiry, time.Minute)
			require.NoError(t, srv.RevokeGrant(t.Context(), got.GrantID))
			w := get(t, protect(v), good)
			require.Equal(t, 401, w.Code)
			require.Equal(t, "invalid_token", challenge(t, w)["error"])
		})
	}
}

// clientToken gets a token for one resource.
func clientToken(t *testing.T, ts *httptest.Server, secret, aud string) string {
	t.Helper()
	f := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}, "resource": {aud}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, ts.URL+"/token", strings.NewReader(f.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", form)
	r.SetBasicAuth("job", secret)
	resp, err := ts.Client().Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	var body struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
	return body.Token
}

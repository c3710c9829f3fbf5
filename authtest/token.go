package authtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// A Token says which tokens a test wants. The zero value is for alice, at
// [ConfidentialClient], without scopes.
type Token struct {
	// Subject is the user, alice if empty. If it is the ClientID, the client acts for
	// itself (RFC 6749, section 4.4).
	Subject string

	// ClientID is a built-in client or one that the test has added, of any kind: its
	// secret need not be known. Empty means ConfidentialClient.
	ClientID string

	// Scopes of the token. With openid among them there is an ID token, too.
	Scopes []string

	// Resource is the ID of one of Config.Resources, and becomes the audience. Empty
	// leaves that to the server, which takes the first that understands Scopes.
	Resource string

	// Claims are added to the access token, and to those that it is refreshed into.
	// They win over those of Config.Claims. What the protocol defines cannot be set.
	Claims map[string]any
}

// Tokens is what the token endpoint answers (RFC 6749, section 5.1).
type Tokens struct {
	AccessToken  string
	RefreshToken string // empty if the client may not have one
	IDToken      string // empty without the scope openid
	Scopes       []string
	Expiry       time.Time // of the access token, by the server's clock

	clientID string
}

// Token returns an access token as want describes. It is genuine: the user signs in and
// consents, and the client redeems the code. A want that the server refuses ends the test.
func (s *Server) Token(want Token) string {
	s.t.Helper()
	tokens, err := s.Flow(want)
	if err != nil {
		s.t.Fatalf("authtest: no token: %v", err)
	}
	return tokens.AccessToken
}

// Flow runs the whole authorization code flow, with the user's consent, and returns all it
// yields. If the server refuses with an error code, the error is an [*authwright.Error]; one
// that it shows the user on a page is not, as in [Server.Authorize].
func (s *Server) Flow(want Token) (*Tokens, error) {
	if want.Subject == "" {
		want.Subject = "alice"
	}
	if want.ClientID == "" {
		want.ClientID = ConfidentialClient
	}
	request := url.Values{"client_id": {want.ClientID}}
	if want.Scopes != nil {
		request.Set("scope", strings.Join(want.Scopes, " "))
	}
	if want.Resource != "" {
		request.Set("resource", want.Resource)
	}
	if want.Subject == want.ClientID {
		request.Set("grant_type", "client_credentials")
		return s.redeem(request, want.Claims)
	}
	c, err := s.storage.find(context.Background(), want.ClientID)
	if err != nil {
		return nil, fmt.Errorf("authtest: client %q: %w", want.ClientID, err)
	}
	if len(c.RedirectURIs) == 0 {
		return nil, fmt.Errorf("authtest: client %q has no redirect URI; it can act for itself only, as Subject", c.ID)
	}
	verifier := rand.Text() + rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	request.Set("response_type", "code")
	request.Set("redirect_uri", c.RedirectURIs[0])
	request.Set("code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:]))
	request.Set("code_challenge_method", "S256")
	answer, err := s.Authorize(want.Subject, s.Issuer+"/authorize?"+request.Encode())
	if err != nil {
		return nil, err
	}
	return s.redeem(url.Values{
		"grant_type": {"authorization_code"}, "code": {answer.Get("code")}, "client_id": {c.ID},
		"redirect_uri": {c.RedirectURIs[0]}, "code_verifier": {verifier},
	}, want.Claims)
}

// Refresh trades the refresh token of tokens, which [Server.Flow] or Refresh has returned,
// for new ones (RFC 6749, section 6). An error that the server answers is an
// [*authwright.Error].
func (s *Server) Refresh(tokens *Tokens) (*Tokens, error) {
	return s.redeem(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.RefreshToken}, "client_id": {tokens.clientID}}, nil)
}

// Revoke revokes the authorization that an access token was made from, and with it every
// refresh token. The access token itself stays good, until it expires, wherever tokens are
// verified without asking the server.
func (s *Server) Revoke(accessToken string) {
	s.t.Helper()
	var claims struct {
		Grant string `json:"grant_id"`
	}
	_, payload, _ := strings.Cut(accessToken, ".")
	payload, _, _ = strings.Cut(payload, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	if err == nil {
		err = s.RevokeGrant(context.Background(), claims.Grant)
	}
	if err != nil {
		s.t.Fatalf("authtest: Revoke: not an access token of this server: %v", err)
	}
}

// Client returns an HTTP client that sends an access token with every request, to
// whatever host, unless the request has an Authorization header already.
func (s *Server) Client(accessToken string) *http.Client {
	return &http.Client{Transport: bearer{transport{s}, accessToken}}
}

type bearer struct {
	transport
	token string
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Authorization") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.transport.RoundTrip(r)
}

// mintKey marks the context of a request that this package makes on behalf of a client.
type mintKey struct{}

type mint struct{ claims map[string]any }

// withClaims adds to the host's claims those that a [Token] asks for, in every token of its
// grant.
func (s *Server) withClaims(host func(context.Context, *authwright.Grant) (map[string]any, error)) func(context.Context, *authwright.Grant) (map[string]any, error) {
	return func(ctx context.Context, g *authwright.Grant) (map[string]any, error) {
		claims := make(map[string]any)
		if host != nil {
			own, err := host(ctx, g)
			if err != nil {
				return nil, err
			}
			maps.Copy(claims, own)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if m, ok := ctx.Value(mintKey{}).(mint); ok && m.claims != nil {
			s.claims[g.ID] = m.claims
		}
		maps.Copy(claims, s.claims[g.ID])
		return claims, nil
	}
}

// redeem sends a request to the token endpoint, authenticated as its client.
func (s *Server) redeem(form url.Values, claims map[string]any) (*Tokens, error) {
	ctx := context.WithValue(context.Background(), mintKey{}, mint{claims})
	id := form.Get("client_id")
	c, err := s.storage.find(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("authtest: client %q: %w", id, err)
	}
	if len(c.Secrets) > 0 {
		form.Set("client_secret", s.Secret)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("authtest: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := transport{s}.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("authtest: %w", err)
	}
	var answer struct {
		Access      string               `json:"access_token"`
		Refresh     string               `json:"refresh_token"`
		ID          string               `json:"id_token"`
		Scope       string               `json:"scope"`
		ExpiresIn   int64                `json:"expires_in"`
		Error       authwright.ErrorCode `json:"error"`
		Description string               `json:"error_description"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, errors.Join(fmt.Errorf("authtest: the token endpoint answered %s", resp.Status), err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &authwright.Error{Code: answer.Error, Description: answer.Description, Status: resp.StatusCode}
	}
	return &Tokens{
		AccessToken: answer.Access, RefreshToken: answer.Refresh, IDToken: answer.ID,
		Scopes: strings.Fields(answer.Scope), Expiry: s.Now().Add(time.Duration(answer.ExpiresIn) * time.Second), clientID: id,
	}, nil
}

package peers

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v3"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
	"github.com/ory/fosite/token/jwt"

	"github.com/authwright/authwright/bench/subject"
)

// newFosite returns fosite with JWT access tokens, PKCE enforced and rotation. A hasher of
// nil is its default, bcrypt.
func newFosite(alg string, key crypto.Signer, hasher fosite.Hasher) (*Server, error) {
	cfg := &fosite.Config{
		GlobalSecret:          []byte("0123456789abcdef0123456789abcdef"),
		AccessTokenIssuer:     subject.Issuer,
		AccessTokenLifespan:   10 * time.Minute,
		AuthorizeCodeLifespan: time.Minute,
		RefreshTokenLifespan:  14 * 24 * time.Hour,
		RefreshTokenScopes:    []string{}, // a refresh token whatever the scope is
		EnforcePKCE:           true,
		ClientSecretsHasher:   hasher,
	}
	if hasher == nil {
		hasher = &fosite.BCrypt{Config: cfg}
	}
	hashed, err := hasher.Hash(context.Background(), []byte(subject.Secret))
	if err != nil {
		return nil, err
	}
	store := storage.NewMemoryStore()
	store.Clients[subject.ClientID] = &fosite.DefaultClient{
		ID: subject.ClientID, Secret: hashed, RedirectURIs: []string{subject.RedirectURI},
		ResponseTypes: []string{"code"}, GrantTypes: []string{"authorization_code", "refresh_token"},
		Scopes: strings.Fields(subject.Scope), Audience: []string{subject.Issuer},
	}
	signer := func(context.Context) (any, error) { return &jose.JSONWebKey{Key: key, Algorithm: alg, KeyID: "k"}, nil }
	strategy := &compose.CommonStrategy{CoreStrategy: compose.NewOAuth2JWTStrategy(signer, compose.NewOAuth2HMACStrategy(cfg), cfg)}
	provider := compose.Compose(cfg, store, strategy,
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory,
		compose.OAuth2PKCEFactory, compose.OAuth2TokenIntrospectionFactory)
	f := &fositeServer{provider}
	return &Server{http.HandlerFunc(f.authorize), http.HandlerFunc(f.token), http.HandlerFunc(f.introspect)}, nil
}

// A fositeServer is the handlers that a host of fosite writes.
type fositeServer struct{ fosite.OAuth2Provider }

func (f *fositeServer) authorize(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	req, err := f.NewAuthorizeRequest(ctx, r)
	if err != nil {
		f.WriteAuthorizeError(ctx, w, req, err)
		return
	}
	for _, scope := range req.GetRequestedScopes() {
		req.GrantScope(scope)
	}
	req.GrantAudience(subject.Issuer)
	session := &oauth2.JWTSession{
		JWTClaims: &jwt.JWTClaims{Subject: subject.User, Extra: map[string]any{"client_id": subject.ClientID}},
		JWTHeader: &jwt.Headers{Extra: map[string]any{"typ": "at+jwt", "kid": "k"}},
		Subject:   subject.User,
	}
	resp, err := f.NewAuthorizeResponse(ctx, req, session)
	if err != nil {
		f.WriteAuthorizeError(ctx, w, req, err)
		return
	}
	f.WriteAuthorizeResponse(ctx, w, req, resp)
}

func (f *fositeServer) token(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	req, err := f.NewAccessRequest(ctx, r, &oauth2.JWTSession{})
	if err != nil {
		f.WriteAccessError(ctx, w, req, err)
		return
	}
	resp, err := f.NewAccessResponse(ctx, req)
	if err != nil {
		f.WriteAccessError(ctx, w, req, err)
		return
	}
	f.WriteAccessResponse(ctx, w, req, resp)
}

func (f *fositeServer) introspect(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	resp, err := f.NewIntrospectionRequest(ctx, r, &oauth2.JWTSession{})
	if err != nil {
		f.WriteIntrospectionError(ctx, w, err)
		return
	}
	f.WriteIntrospectionResponse(ctx, w, resp)
}

// A fastHasher suits a random secret, which bcrypt protects no better.
type fastHasher struct{}

func (fastHasher) Hash(_ context.Context, data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	return sum[:], nil
}

func (fastHasher) Compare(_ context.Context, hash, data []byte) error {
	if sum := sha256.Sum256(data); subtle.ConstantTimeCompare(hash, sum[:]) != 1 {
		return errors.New("another secret")
	}
	return nil
}

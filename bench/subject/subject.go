// Package subject is what is measured: an authorization server with one client and one user
// who is signed in, the grants that fill its storage, and the requests that the client makes.
package subject

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// The server, its client and its user. All implementations are given the same.
const (
	Issuer      = "https://auth.example.com"
	ClientID    = "web"
	Secret      = "bDpYVgfYKzLMIzVPHfYQGFwLEaVGVU_1oX8mpDkqX9s" // random, and known to every process
	RedirectURI = "https://app.example.com/callback"
	User        = "user-00000042"
	Scope       = "read write"
	State       = "af0ifjsldkj0123456789"
	Verifier    = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	Challenge   = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// Basic is the client's Authorization header.
var Basic = "Basic " + base64.StdEncoding.EncodeToString([]byte(ClientID+":"+Secret))

// AuthorizeQuery is the client's authorization request.
var AuthorizeQuery = url.Values{
	"response_type": {"code"}, "client_id": {ClientID}, "redirect_uri": {RedirectURI},
	"scope": {Scope}, "state": {State}, "code_challenge": {Challenge}, "code_challenge_method": {"S256"},
}.Encode()

// RedeemForm is the token request for code, but for the code itself, which comes last.
var RedeemForm = url.Values{
	"grant_type": {"authorization_code"}, "redirect_uri": {RedirectURI}, "code_verifier": {Verifier},
}.Encode() + "&code="

// RefreshForm is the token request for a refresh token, which comes last.
const RefreshForm = "grant_type=refresh_token&refresh_token="

// IntrospectForm is the introspection request for a token, which comes last.
const IntrospectForm = "token="

// Client is the client. Its secret is random, so one fast hash protects it.
func Client() *authwright.Client {
	sum := sha256.Sum256([]byte(Secret))
	return &authwright.Client{
		ID: ClientID, Name: "Web", RedirectURIs: []string{RedirectURI}, Scopes: []string{"read", "write"},
		Secrets: []authwright.ClientSecret{{Hash: "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:])}},
	}
}

// New returns a server on storage, which must know the client. The user is signed in and
// has consented.
func New(storage authwright.Storage, key crypto.Signer) (*authwright.Server, error) {
	srv, err := authwright.NewServer(authwright.Config{
		Issuer:        Issuer,
		Storage:       storage,
		Authenticator: signedIn{&authwright.User{Subject: User, AuthTime: time.Now()}},
		SigningKeys:   []authwright.SigningKey{{Signer: key}},
		CodeLifetime:  10 * time.Minute, // package load makes many before it redeems them
		OnEvent:       func(context.Context, authwright.Event) {},
		Logger:        slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	return srv, consent(srv)
}

// NewMemory returns a server on an empty Memory.
func NewMemory(key crypto.Signer) (*authwright.Server, *authwright.Memory, error) {
	memory, err := authwright.NewMemory(Client())
	if err != nil {
		return nil, nil, err
	}
	srv, err := New(memory, key)
	return srv, memory, err
}

// signedIn is a host whose user is always there.
type signedIn struct{ user *authwright.User }

func (s signedIn) CurrentUser(*http.Request) (*authwright.User, error) { return s.user, nil }

func (s signedIn) Login(w http.ResponseWriter, _ *http.Request, _ *authwright.AuthorizeRequest) {
	http.Error(w, "nobody is asked to log in", http.StatusInternalServerError)
}

// grantsPerUser is how many clients a user has connected.
const grantsPerUser = 10

// Grant is grant i of other users as it is after a refresh. Every field that a server
// fills for such a grant is, with texts of the usual length, and no two grants share memory
// that two requests would not.
func Grant(i int) *authwright.Grant {
	now := time.Now().UTC().Truncate(time.Millisecond)
	random := make([]byte, 7*32) // one call: many are made
	rand.Read(random)
	hash := func() []byte {
		h := slices.Clone(random[:32])
		random = random[32:]
		return h
	}
	return &authwright.Grant{
		ID: fmt.Sprintf("grant-%016d", i), Version: 1, Stage: authwright.StageActive,
		CreatedAt: now, ExpiresAt: now.AddDate(0, 0, 14), EndsAt: now.AddDate(0, 0, 90),
		ClientID: ClientID, Subject: fmt.Sprintf("user-%08d", i/grantsPerUser),
		Scopes: strings.Fields(strings.Clone(Scope)), Resources: []string{Issuer},
		AuthTime: now.Truncate(time.Second), RedirectURI: strings.Clone(RedirectURI),
		CodeChallenge: base64.RawURLEncoding.EncodeToString(hash()),
		Secret:        hash(), Lineage: hash(), Turn: hash(), Previous: hash(), Sealed: hash()[:16:16], RotatedAt: now, Token: hash(),
	}
}

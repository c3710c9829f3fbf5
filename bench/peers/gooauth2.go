package peers

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"net/http"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/generates"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"
	"github.com/golang-jwt/jwt/v5"

	"github.com/authwright/authwright/bench/subject"
)

// newGoOAuth2 returns go-oauth2 with JWT access tokens, PKCE enforced and rotation. It has
// no introspection endpoint. Its JWT has neither issuer nor scope.
func newGoOAuth2(alg string, key crypto.Signer) (*Server, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	tokens, err := store.NewMemoryTokenStore()
	if err != nil {
		return nil, err
	}
	clients := store.NewClientStore()
	if err := clients.Set(subject.ClientID, &models.Client{ID: subject.ClientID, Secret: subject.Secret, Domain: "https://app.example.com"}); err != nil {
		return nil, err
	}
	manager := manage.NewDefaultManager()
	manager.SetRefreshTokenCfg(manage.DefaultRefreshTokenCfg)
	manager.MapTokenStorage(tokens)
	manager.MapClientStorage(clients)
	manager.MapAccessGenerate(generates.NewJWTAccessGenerate("k", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), jwt.GetSigningMethod(alg)))
	srv := server.NewDefaultServer(manager)
	srv.Config.ForcePKCE = true
	srv.Config.AllowedCodeChallengeMethods = []oauth2.CodeChallengeMethod{oauth2.CodeChallengeS256}
	srv.UserAuthorizationHandler = func(http.ResponseWriter, *http.Request) (string, error) { return subject.User, nil }
	serve := func(handle func(http.ResponseWriter, *http.Request) error) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := handle(w, r); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
		})
	}
	return &Server{Authorize: serve(srv.HandleAuthorizeRequest), Token: serve(srv.HandleTokenRequest)}, nil
}

package peers

import (
	"crypto"
	"crypto/rand"
	"net/http"

	"github.com/golang-jwt/jwt/v5"
	"github.com/openshift/osin"

	"github.com/authwright/authwright/bench/subject"
)

// newOsin returns osin with JWT access tokens, as in its own example of them, and rotation.
// It checks PKCE where the authorization request has a challenge; it can insist on one for
// public clients alone. It has no introspection endpoint.
func newOsin(alg string, key crypto.Signer) (*Server, error) {
	config := osin.NewServerConfig()
	config.AllowedAccessTypes = osin.AllowedAccessType{osin.AUTHORIZATION_CODE, osin.REFRESH_TOKEN}
	config.AuthorizationExpiration = 600 // as in package subject
	config.AccessExpiration = 600
	config.ErrorStatusCode = http.StatusBadRequest // it is 200 otherwise
	config.RequirePKCEForPublicClients = true
	srv := osin.NewServer(config, newOsinStore(&osin.DefaultClient{Id: subject.ClientID, Secret: subject.Secret, RedirectUri: subject.RedirectURI}))
	srv.AccessTokenGen = &osinTokens{jwt.GetSigningMethod(alg), key}
	return &Server{
		Authorize: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			resp := srv.NewResponse()
			defer resp.Close()
			if ar := srv.HandleAuthorizeRequest(resp, r); ar != nil {
				ar.UserData, ar.Authorized = subject.User, true
				srv.FinishAuthorizeRequest(resp, r, ar)
			}
			_ = osin.OutputJSON(resp, w, r)
		}),
		Token: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			resp := srv.NewResponse()
			defer resp.Close()
			if ar := srv.HandleAccessRequest(resp, r); ar != nil {
				ar.Authorized = true
				srv.FinishAccessRequest(resp, r, ar)
			}
			_ = osin.OutputJSON(resp, w, r)
		}),
	}, nil
}

// An osinTokens makes JWTs as access tokens, and refresh tokens as osin does.
type osinTokens struct {
	method jwt.SigningMethod
	key    crypto.Signer
}

func (t *osinTokens) GenerateAccessToken(data *osin.AccessData, generateRefresh bool) (access, refresh string, err error) {
	token := jwt.NewWithClaims(t.method, jwt.MapClaims{
		"iss": subject.Issuer, "sub": data.UserData, "aud": subject.Issuer,
		"client_id": data.Client.GetId(), "scope": data.Scope,
		"iat": data.CreatedAt.Unix(), "exp": data.ExpireAt().Unix(), "jti": rand.Text(),
	})
	token.Header["typ"], token.Header["kid"] = "at+jwt", "k"
	if access, err = token.SignedString(t.key); err == nil && generateRefresh {
		// A code of osin is what its refresh tokens are: a random UUID in base64url.
		refresh, err = (&osin.AuthorizeTokenGenDefault{}).GenerateAuthorizeToken(nil)
	}
	return access, refresh, err
}

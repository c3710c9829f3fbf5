package examples_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/resource"
)

// The PKCE pair of RFC 7636, appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	callback  = "http://127.0.0.1:4711/callback"
)

// authorizeURL is an authorization request of a public client on this machine.
func authorizeURL(issuer, client, scope string) string {
	return issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {client}, "redirect_uri": {callback}, "scope": {scope},
		"state": {"xyz"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}.Encode()
}

// codeOf is the code that a page sends on to the client.
func codeOf(t *testing.T, p *page, issuer string) string {
	t.Helper()
	require.Equal(t, http.StatusSeeOther, p.status, p.body)
	u, err := url.Parse(p.header.Get("Location"))
	require.NoError(t, err)
	q := u.Query()
	u.RawQuery = ""
	require.Equal(t, callback, u.String())
	require.Equal(t, "xyz", q.Get("state"))
	require.Equal(t, issuer, q.Get("iss"))
	require.NotEmpty(t, q.Get("code"), q)
	return q.Get("code")
}

// A tokenAnswer is what the token endpoint says.
type tokenAnswer struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Scope   string `json:"scope"`
	Error   string `json:"error"`
}

func postToken(t *testing.T, issuer string, form url.Values) (a tokenAnswer) {
	t.Helper()
	resp, err := http.PostForm(issuer+"/token", form)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(body, &a), "%s", body)
	return a
}

func redeem(t *testing.T, issuer, client, code string) tokenAnswer {
	t.Helper()
	return postToken(t, issuer, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {client}, "code": {code},
		"redirect_uri": {callback}, "code_verifier": {verifier},
	})
}

func refresh(t *testing.T, issuer, client, token string) tokenAnswer {
	t.Helper()
	return postToken(t, issuer, url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token}})
}

// verify does what a resource server elsewhere does: it knows the issuer's name only.
func verify(t *testing.T, issuer, token string) *resource.Token {
	t.Helper()
	v := &resource.Verifier{Issuer: issuer, Audience: issuer}
	verified, err := v.Verify(t.Context(), token)
	require.NoError(t, err)
	return verified
}

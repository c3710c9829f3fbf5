package integration_test

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/stretchr/testify/require"
)

// misplaced puts a secret of every kind where it does not belong, but into state, nonce and
// code_challenge: what a client puts there is kept, whatever it is.
func (tr *tour) misplaced() {
	cookies := tr.signedIn("alice").Jar.Cookies(mustParse(tr.issuer))
	for _, secret := range tr.kinds() {
		q := url.QueryEscape(secret)
		for _, path := range []string{"/token", "/revoke", "/introspect"} {
			tr.send4xx(http.MethodPost, path+"?code="+q+"&client_secret="+q+"&token="+q+"&unknown="+q, "grant_type=refresh_token&token=x", basicAuth("c1", secretOf1))
			for _, authorization := range []string{
				"Bearer " + secret, "Digest " + secret, "Basic " + secret, secret, "Basic  " + q, "DPoP " + secret, basicAuth(secret, ""), basicAuth(secret, secret), basicAuth("c1", secret+"x"), basicAuth("nobody", secret),
			} {
				tr.send(http.MethodPost, path, "grant_type=client_credentials&token=x", authorization)
			}
			for _, body := range []string{
				"grant_type=" + q + "&token=" + q, "grant_type=authorization_code&token=x&code_verifier=" + q + "&code=" + q, "grant_type=refresh_token&refresh_token=" + q + "&refresh_token=" + q + "&token=" + q + "&token=" + q,
				"grant_type=refresh_token&token_type_hint=" + q + "&token=" + q + "&refresh_token=" + q + "&scope=" + q + "&resource=" + q, q + "=" + q, q + "%zz", "{\"token\":\"" + q + "\"}",
			} {
				tr.send(http.MethodPost, path, body, basicAuth("c1", secretOf1))
			}
			for _, body := range []string{"client_id=" + q, "client_id=c1&client_secret=" + q + "x", "client_id=c1&client_assertion_type=" + q + "&client_assertion=" + q, "client_id=" + q + "&client_secret=" + q} {
				tr.send4xx(http.MethodPost, path, "grant_type=client_credentials&token=x&"+body, "")
			}
			tr.send4xx(http.MethodGet, path+"?token="+q, "", basicAuth("c1", secretOf1))
		}
		for _, target := range []string{
			"/" + url.PathEscape(secret), "/token/" + url.PathEscape(secret), "/userinfo?access_token=" + q, "/register?client_id=" + q, "/register?registration_access_token=" + q, "/jwks?key=" + q,
			"/logout?id_token_hint=" + q + "x", "/logout?client_id=" + q + "&post_logout_redirect_uri=" + q, "/consent?consent=" + q, "/.well-known/oauth-authorization-server?code=" + q,
			"/authorize?client_id=" + q, "/authorize?client_id=c1&redirect_uri=" + q, "/authorize?client_id=c1&redirect_uri=" + url.QueryEscape(c1URI) + "&response_type=" + q,
			"/authorize?" + asking("code_verifier", secret, "client_secret", secret, "code", secret, "refresh_token", secret, "prompt", "none").Encode(),
			"/authorize?" + asking("scope", secret).Encode(), "/authorize?" + asking("resource", secret).Encode(), "/authorize?" + asking("request", secret).Encode(),
			"/authorize?" + asking("prompt", secret).Encode(), "/authorize?" + asking("max_age", secret).Encode(), "/authorize?" + asking("id_token_hint", secret+"x").Encode(), "/authorize?" + asking("response_mode", secret).Encode(),
			"/authorize?" + asking("claims", secret).Encode(), "/authorize?" + asking("code_challenge_method", secret).Encode(), "/authorize?" + asking().Encode() + "&client_id=" + q, "/authorize?" + q,
		} {
			tr.send(http.MethodGet, target, "", "Bearer "+secret+"x", cookies...)
		}
		tr.send(http.MethodPost, "/consent", url.Values{"consent": {secret + "x"}, "decision": {secret}, secret: {secret}}.Encode(), "", append(cookies, &http.Cookie{Name: "__Host-authwright-browser", Value: q})...)
		tr.send(http.MethodPost, "/consent", url.Values{"consent": {secret, secret}}.Encode(), "", cookies...)
	}
}

// send sends a request and returns the status of the answer, which the tour keeps.
func (tr *tour) send(method, target, body, authorization string, cookies ...*http.Cookie) int {
	tr.t.Helper()
	r, err := http.NewRequestWithContext(tr.t.Context(), method, tr.issuer+target, strings.NewReader(body))
	require.NoError(tr.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return tr.do(r).status
}

func (tr *tour) send4xx(method, target, body, authorization string) {
	tr.t.Helper()
	status := tr.send(method, target, body, authorization)
	require.GreaterOrEqual(tr.t, status, 400, target)
	require.Less(tr.t, status, 500, target)
}

package integration_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// TestAttacksOnIssuer is section I of docs/threat-model.md.
func TestAttacksOnIssuer(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "I01 a response of another server", run: namedIssuer},
		{name: "I02 headers that name another host", run: foreignHost},
		{name: "I04 an issuer that is no issuer", run: badIssuers},
		{name: "I06 metadata that promises too much or too little", run: truthfulMetadata},
	})
}

// metadata is the document of RFC 8414.
func (v *victim) metadata(header ...string) (document map[string]any) {
	v.t.Helper()
	a := v.stranger().get(v.issuer+"/.well-known/oauth-authorization-server", header...)
	require.Equal(v.t, http.StatusOK, a.status)
	require.NoError(v.t, json.Unmarshal([]byte(a.body), &document))
	return document
}

func namedIssuer(t *testing.T, v *victim) {
	m := v.metadata()
	require.Equal(t, v.issuer, m["issuer"])
	require.Equal(t, true, m["authorization_response_iss_parameter_supported"])
	alice := v.signedIn("alice")
	for name, a := range map[string]reaction{
		"code": alice.decide(alice.authorize(asking()), "approve", "read"), "denied": alice.decide(alice.authorize(asking()), "deny"),
		"invalid": alice.authorize(asking("response_type", "token")), "silent": alice.authorize(asking("prompt", "none", "scope", "write")), "again": alice.authorize(asking("scope", "read")),
		"state twice": alice.authorizeRaw(asking().Encode() + "&state=x"),
	} {
		require.Equal(t, []string{v.issuer}, a.toClient(t, c1URI)["iss"], name)
	}
	form := alice.authorize(asking("scope", "read", "response_mode", "form_post"))
	require.Contains(t, form.body, `name="iss" value="`+v.issuer+`"`)
}

func foreignHost(t *testing.T, v *victim) {
	want := v.metadata()
	for _, name := range []string{"Host", "X-Forwarded-Host", "X-Forwarded-Server", "X-Original-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-Port", "Forwarded", "X-Original-URL", "X-Rewrite-URL"} {
		value := "evil.test"
		if name == "Forwarded" {
			value = "host=evil.test;proto=http"
		}
		set := func(r *http.Request) *http.Request {
			r.Header.Set(name, value)
			if name == "Host" {
				r.Host = value
			}
			return r
		}
		alice := v.signedIn("alice")
		get := func(target string) reaction {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.issuer+target, nil)
			require.NoError(t, err)
			return v.send(alice, set(r))
		}
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(get("/.well-known/openid-configuration").body), &m))
		require.Equal(t, want, m, name)
		page := get("/authorize?" + asking("scope", "openid", "prompt", "consent").Encode())
		require.NotContains(t, page.body, "evil.test", name)
		require.NotContains(t, strings.Join(page.header.Values("Set-Cookie"), ""), "evil.test", name)
		action, f := page.answerForm(t, "approve", "openid")
		a := v.send(alice, set(v.form(action, f)))
		code := a.toClient(t, c1URI).Get("code")
		got := v.do(set(v.form("/token", redeeming(code), "c1", secretOf1))).granted(t)
		require.Equal(t, v.issuer, payloadOf(t, got.Access)["iss"], name)
		require.Equal(t, v.issuer, payloadOf(t, got.ID)["iss"], name)
		v.live(got)
	}
	// No header makes a foreign page's form the user's own.
	alice := v.signedIn("alice")
	action, f := alice.authorize(asking("prompt", "consent")).answerForm(t, "approve", "read")
	a := alice.post(action, f, "Origin", "https://evil.test", "X-Forwarded-Host", "evil.test", "Forwarded", "host=evil.test")
	require.Equal(t, http.StatusForbidden, a.status)
}

func badIssuers(t *testing.T, v *victim) {
	for _, issuer := range []string{
		"", "auth.example.com", "//auth.example.com", "https://auth.example.com/", "https://auth.example.com?x=1", "https://auth.example.com?", "https://auth.example.com#f", "https://auth.example.com#",
		"https://user@auth.example.com", "http://auth.example.com", "http://10.0.0.1", "http://127.0.0.1.evil.test", "ftp://auth.example.com", "https://AUTH.example.com", "https://auth.example.com/a/../b",
		"https://auth.example.com//as", "https://auth.example.com/%61s", "https://auth.example.com\\evil.test", "https://auth.example.com/a b", "https://аuth.example.com", "javascript:alert(1)",
	} {
		cfg := v.config()
		cfg.Issuer = issuer
		_, err := authwright.NewServer(cfg)
		require.ErrorContains(t, err, "Issuer", issuer)
	}
}

func truthfulMetadata(t *testing.T, v *victim) {
	m := v.metadata()
	for name, value := range m {
		if endpoint, ok := value.(string); ok && (strings.HasSuffix(name, "_endpoint") || name == "jwks_uri") {
			require.True(t, strings.HasPrefix(endpoint, v.issuer+"/"), name)
			require.NotEqual(t, http.StatusNotFound, v.stranger().get(endpoint).status, name)
		}
	}
	require.ElementsMatch(t, []any{"authorization_code", "refresh_token", "client_credentials"}, m["grant_types_supported"])
	v.updateClient("c2", func(c *authwright.Client) { c.GrantTypes = []string{"client_credentials"} })
	v.refresh(v.tokens())
	v.token(url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}}, "c2", secretOf2).granted(t)
	for _, other := range []string{"password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange"} {
		v.token(url.Values{"grant_type": {other}}, "c1", secretOf1).refused(t, "unsupported_grant_type")
	}

	require.ElementsMatch(t, []any{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"}, m["token_endpoint_auth_methods_supported"])
	v.token(probing("client_id", "p1")).refused(t, "invalid_grant")
	v.token(probing("client_id", "c1", "client_secret", secretOf1)).refused(t, "invalid_grant")
	require.NotContains(t, m["introspection_endpoint_auth_methods_supported"], "none")
	v.post("/introspect", url.Values{"client_id": {"p1"}, "token": {"x"}}).refused(t, "invalid_client")

	alice := v.signedIn("alice")
	require.ElementsMatch(t, []any{"query", "form_post"}, m["response_modes_supported"])
	require.Equal(t, []any{"code"}, m["response_types_supported"])
	require.Equal(t, []any{"S256"}, m["code_challenge_methods_supported"])
	for _, mode := range []string{"fragment", "query.jwt", "jwt", "web_message"} {
		alice.authorize(asking("response_mode", mode)).failed(t, v, "invalid_request")
	}
	require.Equal(t, http.StatusOK, alice.authorize(asking("response_mode", "form_post")).status)
	require.Equal(t, false, m["request_parameter_supported"])
	require.Equal(t, false, m["request_uri_parameter_supported"])
	require.NotContains(t, m, "registration_endpoint")
	require.Equal(t, http.StatusNotFound, v.post("/register", url.Values{}).status)
}

package integration_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// TestAttacksOnClients is section K of docs/threat-model.md.
func TestAttacksOnClients(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "K01 two methods of authentication", run: twoMethods},
		{name: "K02 two clients", run: twoClients},
		{name: "K03 a secret of a client that has none", run: secretOfPublic},
		{name: "K04 no secret of a client that has one", run: noSecretOfConfidential},
		{name: "K05 special characters in the header", run: encodedSecrets},
		{name: "K06 an empty secret", run: emptySecrets},
		{name: "K08 whether a client exists", run: guessedClients},
		{name: "K10 credentials in the URL", run: credentialsInURL},
		{name: "K14 a malformed header", run: malformedHeaders},
		{name: "K16 a secret that was replaced", run: rotatedSecrets},
	})
}

// probing is a redemption that only client authentication can fail differently than with
// invalid_grant.
func probing(changes ...string) url.Values { return redeeming(strings.Repeat("A", 64), changes...) }

// everyEndpoint is where clients authenticate, but for the token endpoint.
var everyEndpoint = []string{"/revoke", "/introspect"}

// unauthenticated checks that no endpoint takes f and header for a client's.
func (v *victim) unauthenticated(code string, f url.Values, header ...string) {
	v.t.Helper()
	f.Set("token", "x")
	for _, path := range append(everyEndpoint, "/token") {
		r := v.form(path, f)
		r.Header["Authorization"] = header
		a := v.do(r)
		a.refused(v.t, code)
		if code == "invalid_client" && header != nil {
			require.Contains(v.t, a.header.Get("WWW-Authenticate"), "Basic", path)
		}
	}
}

func basicAuth(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func twoMethods(_ *testing.T, v *victim) {
	header := basicAuth("c1", secretOf1)
	v.unauthenticated("invalid_request", probing("client_id", "c1", "client_secret", secretOf1), header)
	v.unauthenticated("invalid_request", probing("client_secret", "wrong"), header)
	v.unauthenticated("invalid_request", probing("client_assertion", "x.y.z", "client_assertion_type", "x"), header)
	v.unauthenticated("invalid_request", probing("client_id", "c1", "client_secret", secretOf1, "client_assertion", "x.y.z"))
}

func twoClients(t *testing.T, v *victim) {
	for _, other := range []string{"c2", "p1", "nobody", "C1"} {
		v.unauthenticated("invalid_request", probing("client_id", other), basicAuth("c1", secretOf1))
	}
	v.token(probing("client_id", "c1"), "c1", secretOf1).refused(t, "invalid_grant")
	twice := probing("client_secret", secretOf2)
	twice["client_id"] = []string{"c1", "c2"}
	v.unauthenticated("invalid_request", twice)
}

func secretOfPublic(t *testing.T, v *victim) {
	for _, id := range []string{"p1", "n1"} {
		v.unauthenticated("invalid_client", probing("client_id", id, "client_secret", "guess"))
		v.unauthenticated("invalid_client", probing(), basicAuth(id, "guess"))
		v.unauthenticated("invalid_client", probing(), basicAuth(id, ""))
	}
	v.token(probing("client_id", "p1")).refused(t, "invalid_grant")
}

func noSecretOfConfidential(t *testing.T, v *victim) {
	code := v.code(asking())
	v.token(redeeming(code, "client_id", "c1")).refused(t, "invalid_client")
	v.unauthenticated("invalid_client", probing("client_id", "c1"))
	v.token(redeeming(code), "c1", secretOf1).granted(t)
}

func encodedSecrets(t *testing.T, v *victim) {
	const id, secret = "a:b+c%d&e", ": +% é=&"
	require.NoError(t, v.store.AddClient(t.Context(), &authwright.Client{ID: id, Secrets: storedSecrets(secret), RedirectURIs: []string{c1URI}}))
	v.token(probing(), id, secret).refused(t, "invalid_grant")
	v.token(probing("client_id", id, "client_secret", secret)).refused(t, "invalid_grant")
	for _, pair := range []string{id + ":" + secret, "c1:%", "c1:%zz", "c1:%f", "%:x", "c1:%ff", "c1:a;b", "c1:%00"} {
		v.unauthenticated("invalid_client", probing(), "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	}
}

func emptySecrets(t *testing.T, v *victim) {
	v.unauthenticated("invalid_client", probing(), basicAuth("c1", ""))
	v.unauthenticated("invalid_client", probing("client_id", "c1", "client_secret", ""))
	for _, hash := range []string{"", "sha256:", storedSecrets("")[0].Hash, "plain:x", "pbkdf2-sha256:0::", "pbkdf2-sha256:1:AA:"} {
		c := &authwright.Client{ID: "new", Secrets: []authwright.ClientSecret{{Hash: hash}}, RedirectURIs: []string{c1URI}}
		require.ErrorContains(t, v.store.AddClient(t.Context(), c), "Secrets", hash)
	}
	require.ErrorContains(t, v.store.AddClient(t.Context(), &authwright.Client{ID: "new", AuthMethod: authwright.AuthSecretBasic, RedirectURIs: []string{c1URI}}), "Secrets")
	v.unauthenticated("invalid_client", probing(), basicAuth("new", ""))
}

func guessedClients(t *testing.T, v *victim) {
	for _, path := range append(everyEndpoint, "/token") {
		for _, send := range []func(id string) reaction{
			func(id string) reaction { return v.post(path, changed(probing(), "token", "x"), id, "guess") },
			func(id string) reaction {
				return v.post(path, changed(probing("client_id", id, "client_secret", "guess"), "token", "x"))
			},
		} {
			known, unknown, public := send("c1"), send("nobody"), send("p1")
			for _, a := range []reaction{known, unknown, public} {
				a.header.Del("Date")
			}
			require.Equal(t, known, unknown, path)
			require.Equal(t, known, public, path)
		}
	}
}

func credentialsInURL(t *testing.T, v *victim) {
	secret := url.Values{"client_secret": {secretOf1}}.Encode()
	for _, path := range append(everyEndpoint, "/token") {
		for _, query := range []string{"?client_id=c1&" + secret, "?" + secret, "?client_id=c1", "?client_assertion=x.y.z"} {
			a := v.post(path+query, changed(probing("client_id", "c1"), "token", "x"))
			a.refused(t, "invalid_request")
			a = v.post(path+query, changed(probing(), "token", "x"), "c1", secretOf1)
			a.refused(t, "invalid_request")
		}
	}
	require.NotContains(t, v.log(), secretOf1)
	require.NotContains(t, v.log(), secret)
}

func malformedHeaders(_ *testing.T, v *victim) {
	good := basicAuth("c1", secretOf1)
	for _, header := range []string{
		"", "Basic", "Basic ", "Basic !!!", "Basic c1:x", "Basic " + base64.StdEncoding.EncodeToString([]byte("c1")), "Basic " + base64.StdEncoding.EncodeToString([]byte("\xff\xfe:\xff")),
		"Basic " + strings.Repeat("A", 100_000), "Bearer x", "Digest x", good + ", " + good, good + "=", strings.TrimPrefix(good, "Basic "), "Basic\u00a0" + strings.TrimPrefix(good, "Basic "),
	} {
		v.unauthenticated("invalid_client", probing(), header)
	}
	v.unauthenticated("invalid_request", probing(), good, good)
	v.unauthenticated("invalid_request", probing(), "Bearer x", good)
}

func rotatedSecrets(t *testing.T, v *victim) {
	replica := &victim{t: t, store: v.store}
	replica.start(func(cfg *authwright.Config) { cfg.Storage = v.store })
	const next = "the-next-secret-0123456789-0123456789"
	v.updateClient("c1", func(c *authwright.Client) { c.Secrets = storedSecrets(secretOf1, next) })
	for _, at := range []*victim{v, replica} {
		at.token(probing(), "c1", secretOf1).refused(t, "invalid_grant")
		at.token(probing(), "c1", next).refused(t, "invalid_grant")
	}
	v.updateClient("c1", func(c *authwright.Client) { c.Secrets = storedSecrets(next) })
	for _, at := range []*victim{v, replica} {
		at.token(probing(), "c1", secretOf1).refused(t, "invalid_client")
		at.token(probing(), "c1", next).refused(t, "invalid_grant")
	}
	v.updateClient("c1", func(c *authwright.Client) { c.Secrets[0].ExpiresAt = v.now().Add(-time.Second) })
	v.token(probing(), "c1", next).refused(t, "invalid_client")
	require.Equal(t, http.StatusUnauthorized, replica.token(probing(), "c1", next).status)
}

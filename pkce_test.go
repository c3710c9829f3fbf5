package authwright_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// s256 is the challenge of a verifier, however malformed that is (RFC 7636, section 4.2).
func s256(verifier string) string { return base64.RawURLEncoding.EncodeToString(sha(verifier)) }

// spaRequest is request for the public client spa.
func spaRequest(changes ...string) url.Values {
	return request(append([]string{"client_id", "spa", "redirect_uri", "https://spa.example/cb"}, changes...)...)
}

// spaForm is codeForm for the public client spa.
func spaForm(code string, changes ...string) url.Values {
	return codeForm(code, append([]string{"client_id", "spa", "redirect_uri", "https://spa.example/cb"}, changes...)...)
}

func TestPKCES256(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, v := range map[string]string{
		"the example of RFC 7636":   verifier,
		"43 characters":             strings.Repeat("a", 43),
		"128 characters":            strings.Repeat("Z9", 64),
		"every unreserved symbol":   strings.Repeat("-._~", 11),
		"digits and nothing else":   strings.Repeat("0123456789", 5),
		"what looks like an escape": strings.Repeat("~2F.", 12),
	} {
		t.Run("PK-01 S256 with "+name, func(t *testing.T) {
			a := w.token(codeForm(w.code(request("code_challenge", s256(v))), "code_verifier", v), "web", webSecret)
			require.Equal(t, http.StatusOK, a.status, a.body)
			a = w.token(spaForm(w.code(spaRequest("code_challenge", s256(v))), "code_verifier", v))
			require.Equal(t, http.StatusOK, a.status, a.body)
		})
	}
}

func TestPKCEChallenge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.signedIn("alice")
	none := []string{"code_challenge", "", "code_challenge_method", ""}
	for _, test := range []struct {
		name string
		q    url.Values
	}{
		{"PK-02 a public client without a challenge", spaRequest(none...)},
		{"PK-02 a public client with an empty challenge", func() url.Values { q := spaRequest(); q.Set("code_challenge", ""); return q }()},
		{"PK-02 a native client without a challenge", request(append(slices.Clone(none), "client_id", "cli", "redirect_uri", "http://127.0.0.1:4711/cb")...)},
		{"PK-03 a confidential client without a challenge", request(none...)},
		{"PK-03 a nonce does not replace the challenge", request(append(slices.Clone(none), "nonce", "n-0S6_WzA2Mj")...)},
		{"PK-04 no method means plain", request("code_challenge_method", "")},
		{"PK-04 no method means plain, for a public client too", spaRequest("code_challenge_method", "")},
		{"PK-04 no method with a verifier for a challenge", request("code_challenge_method", "", "code_challenge", verifier)},
		{"PK-05 the method plain", request("code_challenge_method", "plain")},
		{"PK-05 the method plain with a verifier for a challenge", spaRequest("code_challenge_method", "plain", "code_challenge", verifier)},
		{"PK-05 the method s256", request("code_challenge_method", "s256")},
		{"PK-05 the method S512", request("code_challenge_method", "S512")},
		{"PK-05 the method S256 and a blank", request("code_challenge_method", "S256 ")},
		{"PK-05 two methods in one", request("code_challenge_method", "plain S256")},
		{"PK-06 a challenge of 42 characters", request("code_challenge", challenge[:42])},
		{"PK-06 a challenge of 44 characters", request("code_challenge", challenge+"A")},
		{"PK-06 a challenge of 128 characters", request("code_challenge", strings.Repeat("ab", 64))},
		{"PK-06 a challenge of one character", request("code_challenge", "a")},
		{"PK-06 a padded challenge", request("code_challenge", challenge+"=")},
		{"PK-06 a challenge in plain base64", request("code_challenge", strings.Replace(challenge, "-", "+", 1))},
		{"PK-06 a challenge with a slash", request("code_challenge", "/"+challenge[1:])},
		{"PK-06 a challenge with unreserved characters that base64url has not", request("code_challenge", "~."+challenge[2:])},
		{"PK-06 a challenge with a blank", request("code_challenge", " "+challenge)},
		{"PK-06 a challenge with a line break behind it", request("code_challenge", challenge+"\n")},
		{"PK-06 a challenge with a line break in it", request("code_challenge", challenge[:20]+"\r\n"+challenge[20:])},
		{"PK-06 a challenge that no SHA-256 ends in", request("code_challenge", challenge[:42]+"N")},
		{"PK-06 a challenge that is not ASCII", request("code_challenge", challenge[:41]+"é")},
		{"PK-07 a method without a challenge", request("code_challenge", "")},
		{"PK-07 the method plain without a challenge", request("code_challenge", "", "code_challenge_method", "plain")},
		{"PK-15 plain is not there to be chosen", request("code_challenge_method", "plain", "code_challenge", strings.Repeat("a", 43))},
	} {
		t.Run(test.name, func(t *testing.T) {
			redirected(t, b.authorize(test.q), "invalid_request")
		})
	}
	t.Run("PK-15 the metadata document knows S256 only", func(t *testing.T) {
		m := b.get(w.issuer + "/.well-known/oauth-authorization-server").json(t)
		require.Equal(t, []any{"S256"}, m["code_challenge_methods_supported"])
	})
}

func TestPKCEVerifier(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	another := strings.Repeat("another-verifier", 3)
	for _, test := range []struct{ name, verifier string }{
		{"PK-08 no verifier", ""},
		{"PK-09 another verifier", another},
		{"PK-09 the challenge for a verifier, as in plain", challenge},
		{"PK-09 the verifier in other letters", strings.ToLower(verifier)},
		{"PK-09 the verifier and one character more", verifier + "A"},
		{"PK-09 the verifier with its last character changed", verifier[:42] + "l"},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused(t, w.token(codeForm(w.code(request()), "code_verifier", test.verifier), "web", webSecret), "invalid_grant")
			refused(t, w.token(spaForm(w.code(spaRequest()), "code_verifier", test.verifier)), "invalid_grant")
		})
	}
	t.Run("PK-08 an empty verifier", func(t *testing.T) {
		f := spaForm(w.code(spaRequest()))
		f.Set("code_verifier", "")
		refused(t, w.token(f), "invalid_grant")
	})
	t.Run("PK-09 the verifier of another authorization", func(t *testing.T) {
		mine, theirs := w.code(spaRequest()), w.code(spaRequest("code_challenge", s256(another)))
		refused(t, w.token(spaForm(mine, "code_verifier", another)), "invalid_grant")
		refused(t, w.token(spaForm(theirs)), "invalid_grant")
	})
	for _, test := range []struct{ name, verifier string }{
		{"PK-12 a verifier of 42 characters", strings.Repeat("a", 42)},
		{"PK-12 a verifier of one character", "a"},
		{"PK-12 a verifier of 129 characters", strings.Repeat("a", 129)},
		{"PK-12 a verifier with a plus sign", "+" + verifier},
		{"PK-12 a verifier with a slash", "/" + verifier},
		{"PK-12 a padded verifier", verifier + "="},
		{"PK-12 a verifier with a blank", verifier + " "},
		{"PK-12 a verifier with a line break", verifier + "\n"},
		{"PK-12 a verifier that is not ASCII", verifier + "é"},
	} {
		t.Run(test.name, func(t *testing.T) {
			// Its hash would match.
			code := w.code(request("code_challenge", s256(test.verifier)))
			refused(t, w.token(codeForm(code, "code_verifier", test.verifier), "web", webSecret), "invalid_request")
		})
	}
}

// InsecureWithoutPKCE is for OpenID Connect, where a nonce protects a confidential client.
func TestPKCEException(t *testing.T) {
	t.Parallel()
	w := newWorld(t, openIDWith(nil))
	for _, id := range []string{"web", "spa"} {
		w.changeClient(id, func(c *authwright.Client) {
			c.InsecureWithoutPKCE = true
			c.Scopes = append(c.Scopes, "openid")
		})
	}
	b := w.signedIn("alice")
	t.Run("PK-02 no exception for a public client", func(t *testing.T) {
		redirected(t, b.authorize(spaRequest("scope", "openid", "code_challenge", "", "code_challenge_method", "", "nonce", "n")), "invalid_request")
	})
	t.Run("PK-03 the exception", func(t *testing.T) {
		q := request("scope", "openid", "code_challenge", "", "code_challenge_method", "", "nonce", "n")
		refused(t, w.token(codeForm(w.code(q)), "web", webSecret), "invalid_request")
		require.Equal(t, http.StatusOK, w.token(codeForm(w.code(q), "code_verifier", ""), "web", webSecret).status)
		redirected(t, b.authorize(request("scope", "openid", "code_challenge", "", "nonce", "n")), "invalid_request")
		w.changeClient("web", func(c *authwright.Client) { c.InsecureWithoutPKCE = false })
		redirected(t, b.authorize(q), "invalid_request")
		w.changeClient("web", func(c *authwright.Client) { c.InsecureWithoutPKCE = true })
	})
	t.Run("PK-14 S256 is in both metadata documents", func(t *testing.T) {
		for _, document := range []string{"oauth-authorization-server", "openid-configuration"} {
			m := b.get(w.issuer + "/.well-known/" + document).json(t)
			require.Equal(t, []any{"S256"}, m["code_challenge_methods_supported"])
		}
	})
	t.Run("PK-03 no exception without OpenID Connect", func(t *testing.T) {
		redirected(t, b.authorize(request("code_challenge", "", "code_challenge_method", "", "nonce", "n")), "invalid_request")
	})
	t.Run("PK-08 no exception once a challenge was sent", func(t *testing.T) {
		code := w.code(request())
		refused(t, w.token(codeForm(code, "code_verifier", ""), "web", webSecret), "invalid_grant")
		refused(t, w.token(codeForm(code, "code_verifier", strings.Repeat("x", 43)), "web", webSecret), "invalid_grant")
		require.Equal(t, http.StatusOK, w.token(codeForm(code), "web", webSecret).status)
	})
	t.Run("PK-10 a verifier where there was no challenge", func(t *testing.T) {
		code := w.unchallenged(t)
		refused(t, w.token(codeForm(code), "web", webSecret), "invalid_request")
		require.Equal(t, http.StatusOK, w.token(codeForm(code, "code_verifier", ""), "web", webSecret).status, "the exception")
	})
}

// unchallenged returns a code without a challenge. It is made behind the server's back, as
// if it came from a server that shares the storage and is less strict.
func (w *world) unchallenged(t *testing.T) string {
	t.Helper()
	code := w.code(request())
	g := w.grantOf(code)
	g.CodeChallenge = ""
	g.Version++
	require.NoError(t, w.store.SaveGrant(t.Context(), g))
	return code
}

func TestPKCEUnchallengedCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, test := range []struct{ name, verifier string }{
		{"PK-10 a verifier for a code that has no challenge", verifier},
		{"PK-10 a verifier made from nothing for a code that has no challenge", s256("")},
		{"PK-11 a code that has no challenge, without a verifier", ""},
		{"PK-11 a code that has no challenge, with a malformed verifier", "x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := w.token(codeForm(w.unchallenged(t), "code_verifier", test.verifier), "web", webSecret)
			require.Equal(t, http.StatusBadRequest, a.status, a.body)
			require.Contains(t, []any{"invalid_request", "invalid_grant"}, a.json(t)["error"])
		})
	}
}

func TestPKCEDisclosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	live, spent, stranger := w.code(spaRequest()), w.code(spaRequest()), newWorld(t).code(spaRequest())
	require.Equal(t, http.StatusOK, w.token(spaForm(spent)).status)
	for _, test := range []struct{ name, verifier string }{
		{"PK-13 a wrong verifier does not tell a code from none", strings.Repeat("w", 43)},
		{"PK-13 a malformed verifier does not tell a code from none", "w"},
		{"PK-13 a missing verifier does not tell a code from none", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			alike(t,
				w.token(spaForm(live, "code_verifier", test.verifier)),
				w.token(spaForm(spent, "code_verifier", test.verifier)),
				w.token(spaForm(stranger, "code_verifier", test.verifier)),
			)
		})
	}
	t.Run("PK-13 and a good verifier for no code looks like a wrong one", func(t *testing.T) {
		alike(t, w.token(spaForm(live, "code_verifier", strings.Repeat("w", 43))), w.token(spaForm(stranger)))
	})
}

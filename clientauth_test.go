package authwright_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// basic is an Authorization header for what the client joined by itself.
func basic(joined string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(joined))
}

// authenticated checks that the client was let through, to be told about its code.
func authenticated(t *testing.T, a answer) {
	t.Helper()
	refused(t, a, "invalid_grant")
}

// probe is a redemption whose answer tells whether its client was authenticated.
func probe(changes ...string) url.Values { return codeForm("unknown", changes...) }

func TestClientAuthMethods(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	add := func(c *authwright.Client) {
		c.RedirectURIs = []string{"https://client.example/cb"}
		require.NoError(t, w.store.AddClient(t.Context(), c))
	}
	add(&authwright.Client{ID: "basic", AuthMethod: authwright.AuthSecretBasic, Secrets: []authwright.ClientSecret{stored("s")}})
	add(&authwright.Client{ID: "post", AuthMethod: authwright.AuthSecretPost, Secrets: []authwright.ClientSecret{stored("s")}})
	add(&authwright.Client{ID: "either", Secrets: []authwright.ClientSecret{stored("s")}})
	add(&authwright.Client{ID: "public", AuthMethod: authwright.AuthNone})

	for _, test := range []struct {
		name   string
		client string
		method authwright.AuthMethod
		ok     bool
	}{
		{"CA-02 client_secret_basic", "basic", authwright.AuthSecretBasic, true},
		{"CA-02 client_secret_post", "post", authwright.AuthSecretPost, true},
		{"CA-02 client_secret_basic, if the client may choose", "either", authwright.AuthSecretBasic, true},
		{"CA-02 client_secret_post, if the client may choose", "either", authwright.AuthSecretPost, true},
		{"CA-09 client_secret_post for client_secret_basic", "basic", authwright.AuthSecretPost, false},
		{"CA-09 client_secret_basic for client_secret_post", "post", authwright.AuthSecretBasic, false},
		{"CA-09 none for client_secret_basic", "basic", authwright.AuthNone, false},
		{"CA-09 none for client_secret_post", "post", authwright.AuthNone, false},
		{"CA-09 client_secret_basic for none", "public", authwright.AuthSecretBasic, false},
		{"CA-09 client_secret_post for none", "public", authwright.AuthSecretPost, false},
		{"CA-10 a public client sends client_id", "public", authwright.AuthNone, true},
		{"CA-10 a confidential client sends only client_id", "either", authwright.AuthNone, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := w.authenticate(probe(), test.client, "s", test.method)
			if test.ok {
				authenticated(t, a)
			} else {
				refused(t, a, "invalid_client")
			}
		})
	}
	for name, f := range map[string]url.Values{"codes": probe(), "refresh tokens": refreshForm("unknown")} {
		t.Run("CA-01 confidential clients authenticate to redeem "+name, func(t *testing.T) {
			refused(t, w.token(f), "invalid_client")
			f.Set("client_id", "web")
			refused(t, w.token(f), "invalid_client")
			refused(t, w.token(without(f, "client_id"), "web", otherSecret), "invalid_client")
			authenticated(t, w.token(f, "web", webSecret))
		})
	}
	m := w.browser().get(w.issuer + "/.well-known/oauth-authorization-server").json(t)
	for _, name := range []string{
		"token_endpoint", "revocation_endpoint", "introspection_endpoint",
		"pushed_authorization_request_endpoint", "device_authorization_endpoint",
	} {
		endpoint, ok := m[name].(string)
		if !ok {
			continue // switched off
		}
		t.Run("CA-01 confidential clients authenticate at the "+name, func(t *testing.T) {
			path, f := strings.TrimPrefix(endpoint, w.issuer), request("client_id", "", "grant_type", "refresh_token", "token", "x")
			refused(t, w.postForm(path, f), "invalid_client")
			refused(t, w.postForm(path, f, "web", otherSecret), "invalid_client")
			require.NotEqual(t, http.StatusUnauthorized, w.postForm(path, f, "web", webSecret).status)
			f.Set("client_id", "web")
			refused(t, w.postForm(path, f), "invalid_client")
		})
	}
	require.Contains(t, m, "token_endpoint")
	t.Run("CA-10 nobody says who it is", func(t *testing.T) {
		refused(t, w.token(probe()), "invalid_client")
	})
}

// authenticate sends f as a client that authenticates by method.
func (w *world) authenticate(f url.Values, id, secret string, method authwright.AuthMethod) answer {
	w.t.Helper()
	switch method {
	case authwright.AuthSecretBasic:
		return w.token(f, id, secret)
	case authwright.AuthSecretPost:
		f.Set("client_secret", secret)
	}
	f.Set("client_id", id)
	return w.token(f)
}

func TestClientAuthBasic(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const strangeID, strangeSecret = "https://client.example/a?b=c:d&e=%41+f", "pässwörd: 100% +&=;/\"✓"
	require.NoError(t, w.store.AddClient(t.Context(), &authwright.Client{
		ID: strangeID, RedirectURIs: []string{"https://client.example/cb"}, Secrets: []authwright.ClientSecret{stored(strangeSecret)},
	}))
	percent := func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			fmt.Fprintf(&b, "%%%02x", s[i])
		}
		return b.String()
	}
	for _, test := range []struct{ name, header string }{
		{"CA-03 form-encoding", basic(url.QueryEscape(strangeID) + ":" + url.QueryEscape(strangeSecret))},
		{"CA-03 a blank as %20", basic(url.QueryEscape(strangeID) + ":" + strings.ReplaceAll(url.QueryEscape(strangeSecret), "+", "%20"))},
		{"CA-03 everything escaped", basic(percent(strangeID) + ":" + percent(strangeSecret))},
		{"CA-04 the scheme in small letters", "basic " + strings.TrimPrefix(basic("web:"+webSecret), "Basic ")},
		{"CA-04 the scheme in capitals", "BASIC " + strings.TrimPrefix(basic("web:"+webSecret), "Basic ")},
		{"CA-04 the scheme in both", "bAsIc " + strings.TrimPrefix(basic("web:"+webSecret), "Basic ")},
	} {
		t.Run(test.name, func(t *testing.T) {
			authenticated(t, w.send("POST", "", probe().Encode(), "Authorization", test.header))
		})
	}
	for _, test := range []struct{ name, header string }{
		{"CA-03 an encoded secret is not the secret", basic(url.QueryEscape(strangeID) + ":" + url.QueryEscape(url.QueryEscape(strangeSecret)))},
		{"CA-03 a plus sign is a blank", basic("web:" + strings.Replace(webSecret, "-", "+", 1))},
		{"CA-04 nothing but the scheme", "Basic"},
		{"CA-04 no credentials", "Basic "},
		{"CA-04 an empty pair", basic(":")},
		{"CA-04 no colon", basic("web")},
		{"CA-04 no identifier", basic(":" + webSecret)},
		{"CA-04 no secret", basic("web:")},
		{"CA-04 what is not base64", "Basic web:" + webSecret},
		{"CA-04 base64 and something more", basic("web:"+webSecret) + " x"},
		{"CA-04 a broken escape", basic("web:%zz")},
		{"CA-04 an escape that ends early", basic("web:%4")},
		{"CA-04 what is not UTF-8", basic("web:\xff\xfe")},
		{"CA-04 a NUL", basic("web:%00")},
		{"CA-04 an identifier without end", basic(strings.Repeat("x", 10_000) + ":x")},
		{"CA-04 a secret without end", basic("web:" + strings.Repeat("x", 10_000))},
		{"CA-04 another scheme", "Bearer " + webSecret},
		{"CA-04 no scheme", strings.TrimPrefix(basic("web:"+webSecret), "Basic ")},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused(t, w.send("POST", "", probe().Encode(), "Authorization", test.header), "invalid_client")
		})
	}
}

func TestClientAuthRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	web := basic("web:" + webSecret)
	for _, test := range []struct {
		name    string
		headers []string
		form    url.Values
	}{
		{"CA-05 the header and the form", []string{web}, probe("client_id", "web", "client_secret", webSecret)},
		{"CA-05 the header and a wrong secret in the form", []string{web}, probe("client_id", "web", "client_secret", "x")},
		{"CA-05 the header and a secret of nobody in the form", []string{web}, probe("client_secret", "x")},
		{"CA-05 the header and an assertion", []string{web}, probe("client_assertion", "x.y.z", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")},
		{"CA-05 a secret and an assertion", nil, probe("client_id", "web", "client_secret", webSecret, "client_assertion", "x.y.z", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")},
		{"CA-05 two headers", []string{web, web}, probe()},
		{"CA-05 two schemes", []string{web, "Bearer x"}, probe()},
		{"CA-08 client_id names another client than the header", []string{web}, probe("client_id", "other")},
		{"CA-08 client_id names a public client, the header another", []string{web}, probe("client_id", "spa")},
		{"CA-08 client_id names nobody", []string{web}, probe("client_id", "nobody")},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.issuer+"/token", strings.NewReader(test.form.Encode()))
			require.NoError(t, err)
			r.Header["Authorization"] = test.headers
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			refused(t, w.do(http.DefaultClient, r), "invalid_request")
		})
	}
	t.Run("CA-08 client_id names the same client", func(t *testing.T) {
		authenticated(t, w.token(probe("client_id", "web"), "web", webSecret))
	})

	for _, header := range []string{basic("web:wrong"), "basic " + strings.TrimPrefix(basic("nobody:x"), "Basic "), "Basic ", "Bearer x"} {
		t.Run("CA-06 a challenge for "+header, func(t *testing.T) {
			a := w.send("POST", "", probe().Encode(), "Authorization", header)
			refused(t, a, "invalid_client")
			require.Regexp(t, `^Basic realm="[^"]+"`, a.header.Get("WWW-Authenticate"))
		})
	}
	t.Run("CA-06 the status without a header", func(t *testing.T) {
		require.Contains(t, []int{400, 401}, w.token(probe("client_id", "web", "client_secret", "wrong")).status)
	})

	for _, method := range []authwright.AuthMethod{authwright.AuthSecretBasic, authwright.AuthSecretPost} {
		t.Run("CA-07 an unknown client looks like a wrong secret in "+string(method), func(t *testing.T) {
			w.changeClient("other", func(c *authwright.Client) { c.Disabled = true })
			alike(t,
				w.authenticate(probe(), "web", "wrong", method),
				w.authenticate(probe(), "other", "wrong", method),
				w.authenticate(probe(), "spa", "wrong", method),
				w.authenticate(probe(), "nobody", "wrong", method),
				w.authenticate(probe(), "nobody at all", "wrong", method),
			)
		})
	}
	t.Run("CA-07 an unknown client looks like one that has a secret", func(t *testing.T) {
		alike(t, w.token(probe("client_id", "web")), w.token(probe("client_id", "nobody")))
	})
}

func TestClientAuthIdentifierProvesNothing(t *testing.T) {
	t.Parallel()
	// A storage that does not validate what it is told: the secret is empty, or the
	// method is one that this server has never heard of.
	var change func(*authwright.Client)
	between := &interference{afterClient: func(_ context.Context, c *authwright.Client) error {
		if change != nil && c.ID == "web" {
			change(c)
		}
		return nil
	}}
	w := newWorld(t, between.install)
	for _, test := range []struct {
		name   string
		change func(*authwright.Client)
	}{
		{"CA-11 a client with a secret", nil},
		{"CA-11 a client whose secret is empty", func(c *authwright.Client) { c.Secrets = []authwright.ClientSecret{stored("")} }},
		{"CA-11 a client whose secret has no hash", func(c *authwright.Client) { c.Secrets = []authwright.ClientSecret{{}} }},
		{"CA-11 a client whose secret is of an unknown scheme", func(c *authwright.Client) { c.Secrets = []authwright.ClientSecret{{Hash: "plain:"}} }},
		{"CA-09 a client of another method, with a secret", func(c *authwright.Client) { c.AuthMethod = "tls_client_auth" }},
		{"CA-09 a client of another method, without a secret", func(c *authwright.Client) { c.AuthMethod, c.Secrets = "tls_client_auth", nil }},
		{"CA-09 a client of private_key_jwt, with a secret", func(c *authwright.Client) { c.AuthMethod = "private_key_jwt" }},
		{"CA-09 a client of private_key_jwt, without a secret", func(c *authwright.Client) { c.AuthMethod, c.Secrets = "private_key_jwt", nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			code := w.code(request())
			change = test.change
			defer func() { change = nil }()
			answers := []answer{
				w.token(codeForm(code, "client_id", "web")),
				w.send("POST", "", codeForm(code, "client_id", "web").Encode()+"&client_secret=", "Authorization", ""),
				w.send("POST", "", codeForm(code).Encode(), "Authorization", basic("web:")),
			}
			if test.change != nil {
				answers = append(answers, w.token(codeForm(code), "web", webSecret), w.token(codeForm(code, "client_id", "web", "client_secret", webSecret)))
			}
			for _, a := range answers {
				require.NotEqual(t, http.StatusOK, a.status)
				require.NotContains(t, a.body, "access_token")
			}
		})
	}
	t.Run("CA-11 a public client has a code by its verifier only", func(t *testing.T) {
		code := w.code(spaRequest())
		refused(t, w.token(spaForm(code, "code_verifier", strings.Repeat("x", 43))), "invalid_grant")
		require.Equal(t, http.StatusOK, w.token(spaForm(code)).status)
	})
}

func TestClientAuthNative(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	t.Run("CA-12 native and browser apps need no secret", func(t *testing.T) {
		require.Equal(t, http.StatusOK, w.token(spaForm(w.code(spaRequest()))).status)
		q := request("client_id", "cli", "redirect_uri", "http://127.0.0.1:4711/cb")
		require.Equal(t, http.StatusOK, w.token(codeForm(w.code(q), "client_id", "cli", "redirect_uri", "http://127.0.0.1:4711/cb")).status)
	})

	// An application that ships with a secret has none.
	require.NoError(t, w.store.AddClient(t.Context(), &authwright.Client{
		ID: "app", Native: true, Secrets: []authwright.ClientSecret{stored("shipped")}, Scopes: []string{"read"},
		RedirectURIs: []string{"com.example.app:/cb"}, Consent: authwright.ConsentSkip,
	}))
	q := request("client_id", "app", "redirect_uri", "com.example.app:/cb", "scope", "read")
	b := w.signedIn("alice")
	t.Run("CA-12 a native app with a secret is asked about each time", func(t *testing.T) {
		for range 2 {
			page := b.authorize(q)
			code := b.decide(page, "approve", "read").location(t).Get("code")
			require.Equal(t, http.StatusOK, w.token(codeForm(code, "redirect_uri", ""), "app", "shipped").status)
		}
	})
	t.Run("CA-12 a native app with a secret cannot leave out PKCE", func(t *testing.T) {
		q := without(without(q, "code_challenge"), "code_challenge_method")
		redirected(t, b.authorize(q), "invalid_request")
	})
}

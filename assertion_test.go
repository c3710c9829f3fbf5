package authwright_test

import (
	"crypto"
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// keySetOf is a JWK set of public keys. Each is a key, or a JWK that wraps one.
func keySetOf(t *testing.T, keys ...any) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, k := range keys {
		jwk, ok := k.(jose.JSONWebKey)
		if !ok {
			jwk = jose.JSONWebKey{Key: k}
		}
		if signer, ok := jwk.Key.(crypto.Signer); ok {
			jwk.Key = signer.Public()
		}
		set.Keys = append(set.Keys, jwk)
	}
	return []byte(marshal(t, set))
}

// addSigner adds a client that acts for itself and authenticates with these keys.
func (w *world) addSigner(id string, jwks []byte, changes ...func(*authwright.Client)) {
	w.t.Helper()
	c := &authwright.Client{ID: id, JWKS: jwks, GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}, DefaultScopes: []string{"read"}}
	for _, change := range changes {
		change(c)
	}
	w.enroll(c)
}

// statement returns the claims of a good assertion of a client, with changes: nil removes a
// claim.
func (w *world) statement(id string, changes map[string]any) string {
	w.t.Helper()
	v := map[string]any{"iss": id, "sub": id, "aud": w.issuer, "exp": w.now().Unix() + 60, "iat": w.now().Unix(), "jti": rand.Text()}
	maps.Copy(v, changes)
	maps.DeleteFunc(v, func(_ string, v any) bool { return v == nil })
	return marshal(w.t, v)
}

// present asks for a token as whoever the assertion says.
func (w *world) present(assertion string, changes ...string) answer {
	w.t.Helper()
	return w.token(itself(append([]string{"client_assertion_type", jwtBearer, "client_assertion", assertion}, changes...)...))
}

func TestAssertionType(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := newKey(t)
	w.addSigner("robot", keySetOf(t, key))
	good := func() string { return signJWT(t, jose.ES256, key, nil, w.statement("robot", nil)) }
	t.Run("CA-15 the right type", func(t *testing.T) {
		a := w.present(good())
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, http.StatusOK, w.present(good(), "client_id", "robot").status)
	})
	for _, typ := range []string{
		"", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "urn:ietf:params:oauth:grant-type:jwt-bearer",
		"jwt-bearer", strings.ToUpper(jwtBearer), jwtBearer + " ", jwtBearer + "2",
	} {
		t.Run("CA-15 the type "+typ, func(t *testing.T) {
			assertion := good()
			refused(t, w.present(assertion, "client_assertion_type", typ), "invalid_client")
			refused(t, w.present(assertion, "client_assertion_type", typ, "client_id", "robot"), "invalid_client")
			require.Equal(t, http.StatusOK, w.present(assertion).status, "it is not spent")
		})
	}
	t.Run("CA-15 the type without an assertion", func(t *testing.T) {
		refused(t, w.token(itself("client_assertion_type", jwtBearer, "client_id", "robot")), "invalid_client")
	})
	t.Run("CA-15 two assertions", func(t *testing.T) {
		f := itself("client_assertion_type", jwtBearer)
		f["client_assertion"] = []string{good(), good()}
		refused(t, w.token(f), "invalid_request")
	})
	t.Run("CA-16 client_id names another client", func(t *testing.T) {
		refused(t, w.present(good(), "client_id", "web"), "invalid_request")
	})
	for _, path := range []string{"/revoke", "/introspect"} {
		t.Run("CA-15 the same at "+path, func(t *testing.T) {
			f := ofToken("x", "client_assertion_type", jwtBearer, "client_assertion", good())
			require.Equal(t, http.StatusOK, w.postForm(path, f).status)
			refused(t, w.postForm(path, f), "invalid_client")
		})
	}
}

func TestAssertionClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := newKey(t)
	w.addSigner("robot", keySetOf(t, key))
	w.addSigner("twin", keySetOf(t, key))
	now := w.now().Unix()
	type m = map[string]any
	for _, test := range []struct {
		name    string
		changes m
		ok      bool
	}{
		{"CA-16 iss and sub are the client", m{}, true},
		{"CA-16 no sub", m{"sub": nil}, false},
		{"CA-16 an empty sub", m{"sub": ""}, false},
		{"CA-16 a sub that is no text", m{"sub": 1}, false},
		{"CA-16 another client's sub", m{"sub": "twin"}, false},
		{"CA-16 a sub that is nobody", m{"sub": "nobody"}, false},
		{"CA-16 no iss", m{"iss": nil}, false},
		{"CA-16 another client's iss", m{"iss": "twin"}, false},
		{"CA-16 the server's iss", m{"iss": w.issuer}, false},
		{"CA-16 a sub in capitals", m{"sub": nil, "SUB": "robot"}, false},
		{"CA-17 no aud", m{"aud": nil}, false},
		{"CA-17 an empty aud", m{"aud": ""}, false},
		{"CA-17 the issuer in an array", m{"aud": []string{w.issuer}}, false},
		{"CA-17 the issuer and another", m{"aud": []string{w.issuer, "https://other.example"}}, false},
		{"CA-17 the token endpoint", m{"aud": w.issuer + "/token"}, false},
		{"CA-17 the token endpoint in an array", m{"aud": []string{w.issuer + "/token"}}, false},
		{"CA-17 the PAR endpoint", m{"aud": w.issuer + "/par"}, false},
		{"CA-17 the issuer and a slash", m{"aud": w.issuer + "/"}, false},
		{"CA-17 the issuer in capitals", m{"aud": strings.ToUpper(w.issuer)}, false},
		{"CA-17 the client", m{"aud": "robot"}, false},
		{"CA-17 an aud in capitals", m{"aud": nil, "AUD": w.issuer}, false},
		{"CA-17 an aud in capitals besides a wrong one", m{"aud": "https://other.example", "auD": w.issuer}, false},
		{"CA-18 no exp", m{"exp": nil}, false},
		{"CA-18 exp in the past", m{"exp": now - 1}, false},
		{"CA-18 exp now", m{"exp": now}, false},
		{"CA-18 exp in a second", m{"exp": now + 1}, true},
		{"CA-18 exp in fractions", m{"exp": float64(now) + 0.5}, true},
		{"CA-18 exp as text", m{"exp": fmt.Sprint(now + 60)}, false},
		{"CA-18 a negative exp", m{"exp": -1}, false},
		{"CA-18 exp in a day", m{"exp": now + 86_400}, false},
		{"CA-18 exp at the end of time", m{"exp": 1e308}, false},
		{"CA-18 no iat", m{"iat": nil}, true},
		{"CA-18 iat 10 s ahead", m{"iat": now + 10}, true},
		{"CA-18 iat 61 s ahead", m{"iat": now + 61, "exp": now + 120}, false},
		{"CA-18 iat as text", m{"iat": "now"}, false},
		{"CA-18 nbf 10 s ahead", m{"nbf": now + 10}, true},
		{"CA-18 nbf 61 s ahead", m{"nbf": now + 61, "exp": now + 120}, false},
		{"CA-19 no jti", m{"jti": nil}, false},
		{"CA-19 an empty jti", m{"jti": ""}, false},
		{"CA-19 a jti that is no text", m{"jti": 7}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := w.present(signJWT(t, jose.ES256, key, nil, w.statement("robot", test.changes)), "client_id", "robot")
			if test.ok {
				require.Equal(t, http.StatusOK, a.status, a.body)
			} else if a.json(t)["error"] != "invalid_request" { // client_id contradicts sub
				refused(t, a, "invalid_client")
			}
			require.Equal(t, test.ok, strings.Contains(a.body, "access_token"))
		})
	}
	good := w.statement("robot", nil)
	for _, test := range []struct{ name, claims string }{
		{"CA-17 two auds", strings.Replace(good, `"aud":`, `"aud":"https://other.example","aud":`, 1)},
		{"CA-16 two subs", strings.Replace(good, `"sub":`, `"sub":"twin","sub":`, 1)},
		{"CA-16 claims that are no object", `["robot"]`},
		{"CA-16 no claims", ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			refused(t, w.present(signJWT(t, jose.ES256, key, nil, test.claims)), "invalid_client")
		})
	}
}

func TestAssertionOnce(t *testing.T) {
	t.Parallel()
	between := new(interference)
	w := newWorld(t, between.install)
	replica := between.replica(w)
	key := newKey(t)
	w.addSigner("robot", keySetOf(t, key))
	w.addSigner("twin", keySetOf(t, key))
	sign := func(id string, changes map[string]any) string {
		return signJWT(t, jose.ES256, key, nil, w.statement(id, changes))
	}
	t.Run("CA-19 a second time", func(t *testing.T) {
		assertion := sign("robot", map[string]any{"exp": w.now().Unix() + 300})
		require.Equal(t, http.StatusOK, w.present(assertion).status)
		refused(t, w.present(assertion), "invalid_client")
		refused(t, replica.present(assertion), "invalid_client")
		w.advance(299 * time.Second)
		refused(t, w.present(assertion), "invalid_client")
		w.advance(time.Second)
		refused(t, w.present(assertion), "invalid_client")
	})
	t.Run("CA-19 the jti in another assertion", func(t *testing.T) {
		require.Equal(t, http.StatusOK, w.present(sign("robot", map[string]any{"jti": "1"})).status)
		refused(t, w.present(sign("robot", map[string]any{"jti": "1", "exp": w.now().Unix() + 61})), "invalid_client")
		require.Equal(t, http.StatusOK, w.present(sign("twin", map[string]any{"jti": "1"})).status, "of another client")
	})
	t.Run("CA-19 an assertion that is refused is not spent", func(t *testing.T) {
		require.Equal(t, http.StatusOK, w.present(sign("robot", map[string]any{"jti": "2"})).status)
		refused(t, w.present(sign("robot", map[string]any{"jti": "3", "aud": "https://other.example"})), "invalid_client")
		require.Equal(t, http.StatusOK, w.present(sign("robot", map[string]any{"jti": "3"})).status)
	})
	t.Run("CA-19 many times at once", func(t *testing.T) {
		assertion := sign("robot", nil)
		statuses := make([]int, racers)
		var wg sync.WaitGroup
		for i := range racers {
			server := []*world{w, replica}[i%2]
			wg.Go(func() {
				resp, err := http.PostForm(server.issuer+"/token", itself("client_assertion_type", jwtBearer, "client_assertion", assertion))
				if err == nil {
					statuses[i] = resp.StatusCode
					resp.Body.Close()
				}
			})
		}
		wg.Wait()
		count := make(map[int]int)
		for _, status := range statuses {
			count[status]++
		}
		require.Equal(t, map[int]int{http.StatusOK: 1, http.StatusUnauthorized: racers - 1}, count)
	})
}

func TestAssertionOtherJWT(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withIDTokens(t))
	w.changeClient("web", func(c *authwright.Client) {
		c.GrantTypes = append(c.GrantTypes, "authorization_code", "client_credentials")
	})
	tokens := w.tokens("scope", "read openid")
	own := w.token(itself("scope", "read"), "web", webSecret).json(t)
	// The worst case: the keys with which this server signs are taken for the client's.
	set := []byte(w.get("/jwks").body)
	w.changeClient("web", func(c *authwright.Client) { c.AuthMethod, c.JWKS = authwright.AuthPrivateKeyJWT, set })
	for _, test := range []struct {
		name  string
		token any
	}{
		{"CA-23 an ID token", tokens["id_token"]},
		{"CA-23 an access token", tokens["access_token"]},
		{"CA-23 the client's own access token", own["access_token"]},
		{"CA-23 what is no JWT", "x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			require.NotEmpty(t, test.token)
			a := w.present(test.token.(string))
			refused(t, a, "invalid_client")
			a = w.present(test.token.(string), "client_id", "web")
			require.NotEqual(t, http.StatusOK, a.status)
			require.NotContains(t, a.body, "access_token")
		})
	}
	t.Run("CA-23 a request object of the client", func(t *testing.T) {
		key := newKey(t)
		w.addSigner("robot", keySetOf(t, key))
		object := w.statement("robot", map[string]any{"sub": nil, "client_id": "robot", "response_type": "code", "scope": "read"})
		refused(t, w.present(signJWT(t, jose.ES256, key, nil, object)), "invalid_client")
		refused(t, w.present(signJWT(t, jose.ES256, key, nil, object), "client_id", "robot"), "invalid_client")
	})
}

func TestClientSecretExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	later := stored("later")
	later.ExpiresAt = w.now().Add(time.Hour)
	sooner := stored("sooner")
	sooner.ExpiresAt = w.now().Add(time.Minute)
	w.changeClient("web", func(c *authwright.Client) { c.Secrets = []authwright.ClientSecret{sooner, later} })
	try := func(secret string, ok bool) {
		t.Helper()
		for _, method := range []authwright.AuthMethod{authwright.AuthSecretBasic, authwright.AuthSecretPost} {
			a := w.authenticate(probe(), "web", secret, method)
			if ok {
				authenticated(t, a)
			} else {
				refused(t, a, "invalid_client")
			}
		}
		a := w.postForm("/introspect", url.Values{"token": {"x"}}, "web", secret)
		require.Equal(t, ok, a.status == http.StatusOK, a.body)
	}
	t.Run("CA-14 secrets that have not expired", func(t *testing.T) {
		w.advance(time.Minute - time.Millisecond)
		try("sooner", true)
		try("later", true)
	})
	t.Run("CA-14 a secret that has expired", func(t *testing.T) {
		w.advance(time.Millisecond)
		try("sooner", false)
		try("later", true)
	})
	t.Run("CA-14 all secrets have expired", func(t *testing.T) {
		w.advance(time.Hour)
		try("sooner", false)
		try("later", false)
		refused(t, w.token(probe("client_id", "web")), "invalid_client")
	})
}

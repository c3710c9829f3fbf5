package resource_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDiscovery(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	for _, tc := range []struct{ path, metadata string }{
		{"", "/.well-known/oauth-authorization-server"},
		{"/", "/.well-known/oauth-authorization-server"},
		{"/tenant", "/.well-known/oauth-authorization-server/tenant"},
		{"/tenant/", "/.well-known/oauth-authorization-server/tenant"},
		{"/a/b", "/.well-known/oauth-authorization-server/a/b"},
	} {
		t.Run("issuer"+tc.path, func(t *testing.T) {
			t.Parallel()
			s := newRemote(t, tc.path, k)
			v, _, _ := s.verifier(tc.path)
			require.Equal(t, 200, get(t, protect(v), token(k, nil, object{"iss": s.URL + tc.path})).Code)
			require.Equal(t, 1, s.count(tc.metadata))
			require.Equal(t, 1, s.count("/keys"))
		})
	}
}

// Whatever is wrong with the answers, it is not the token's fault.
func TestDiscoveryRefuses(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	keys := string(keySet(k))
	elsewhere := httptest.NewTLSServer(answer(keys))
	t.Cleanup(elsewhere.Close)
	metadata := func(issuer, uri string) http.HandlerFunc {
		return answer(fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, uri))
	}
	for _, tc := range []struct {
		name     string
		metadata func(s *remote) http.HandlerFunc // nil: good
		keys     http.HandlerFunc                 // nil: good
		log      string
	}{
		{"metadata of another issuer", func(s *remote) http.HandlerFunc { return metadata("https://evil.test", s.URL+"/keys") }, nil, "another issuer"},
		{"metadata of the issuer with a slash more", func(s *remote) http.HandlerFunc { return metadata(s.URL+"/", s.URL+"/keys") }, nil, "another issuer"},
		{"metadata with ISSUER", func(s *remote) http.HandlerFunc {
			return answer(fmt.Sprintf(`{"ISSUER":%q,"jwks_uri":%q}`, s.URL, s.URL+"/keys"))
		}, nil, "another issuer"},
		{"metadata with two issuers", func(s *remote) http.HandlerFunc {
			return answer(fmt.Sprintf(`{"issuer":"x","issuer":%q,"jwks_uri":%q}`, s.URL, s.URL+"/keys"))
		}, nil, "duplicate"},
		{"metadata that is no JSON", func(*remote) http.HandlerFunc { return answer("<html>") }, nil, "invalid character"},
		{"metadata with 203", func(s *remote) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(203); metadata(s.URL, s.URL+"/keys")(w, r) }
		}, nil, "status 203"},
		{"metadata that is too large", func(*remote) http.HandlerFunc { return answer(strings.Repeat(" ", 1<<20) + "{}") }, nil, "more than 1048576 bytes"},
		{"metadata on another scheme", func(*remote) http.HandlerFunc {
			return http.RedirectHandler(elsewhere.URL, http.StatusFound).ServeHTTP
		}, nil, "redirect to another scheme"},
		{"metadata on a host that is not this one", func(*remote) http.HandlerFunc {
			return http.RedirectHandler("http://evil.invalid/", http.StatusFound).ServeHTTP
		}, nil, "redirect to another scheme"},
		{"metadata in circles", func(s *remote) http.HandlerFunc {
			return http.RedirectHandler(s.URL+s.metadata, http.StatusFound).ServeHTTP
		}, nil, "too many redirects"},
		{"no jwks_uri", func(s *remote) http.HandlerFunc { return metadata(s.URL, "") }, nil, "is not an https URL"},
		{"jwks_uri by http", func(s *remote) http.HandlerFunc { return metadata(s.URL, "http://keys.invalid/") }, nil, "is not an https URL"},
		{"jwks_uri that is a file", func(s *remote) http.HandlerFunc { return metadata(s.URL, "file:///etc/passwd") }, nil, "is not an https URL"},
		{"keys are not there", nil, status(404), "status 404"},
		{"keys are not modified", nil, status(304), "status 304"},
		{"keys that are too large", nil, answer(keys + strings.Repeat(" ", 1<<20)), "more than 1048576 bytes"},
		{"keys that are no JSON", nil, answer("<html>"), "invalid character"},
		{"keys that end early", nil, answer(keys, "Content-Length", "100000"), "unexpected EOF"},
		{"no keys", nil, answer(`{"keys":[]}`), "no usable key"},
		{"keys in KEYS", nil, answer(strings.Replace(keys, "keys", "KEYS", 1)), "no usable key"},
		{"a deep key set", nil, answer(`{"keys":` + strings.Repeat("[", 500_000)), "max depth"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newRemote(t, "", k)
			if tc.metadata != nil {
				s.answer(s.metadata, tc.metadata(s))
			}
			if tc.keys != nil {
				s.answer("/keys", tc.keys)
			}
			v, _, log := s.verifier("")
			require.Equal(t, http.StatusServiceUnavailable, get(t, protect(v), token(k, nil, object{"iss": s.URL})).Code)
			require.Contains(t, log.String(), tc.log)
		})
	}
}

func TestRedirectedDiscovery(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	for hops, status := range map[int]int{1: 200, 3: 200, 4: 503} {
		t.Run(fmt.Sprint(hops, " redirects"), func(t *testing.T) {
			t.Parallel()
			s := newRemote(t, "", k)
			s.answer(fmt.Sprint("/", hops), s.answers["/keys"])
			s.answer("/keys", http.RedirectHandler("/1", http.StatusFound).ServeHTTP)
			for i := range hops - 1 {
				s.answer(fmt.Sprint("/", i+1), http.RedirectHandler(fmt.Sprint("/", i+2), http.StatusFound).ServeHTTP)
			}
			v, _, _ := s.verifier("")
			require.Equal(t, status, get(t, protect(v), token(k, nil, object{"iss": s.URL})).Code)
		})
	}
}

func TestDiscoveryClient(t *testing.T) {
	t.Parallel()
	k := newKey("k", "ES256")
	s := newRemote(t, "", k)
	v, _, _ := s.verifier("")
	v.Issuer = issuerID // https, and only this client gets there
	v.Client = &http.Client{Transport: to(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		switch r.URL.String() {
		case "https://auth.example.com/.well-known/oauth-authorization-server":
			answer(`{"issuer":"https://auth.example.com","jwks_uri":"https://keys.example.com/"}`)(w, r)
		case "https://keys.example.com/":
			answer(string(keySet(k)))(w, r)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
		return w.Result(), nil
	})}
	require.Equal(t, 200, get(t, protect(v), token(k, nil, nil)).Code)
	require.Empty(t, s.fetches)
}

type to func(*http.Request) (*http.Response, error)

func (f to) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// RFC 7517, section 5: a key that is not understood does not spoil the others, nor
// is it used.
func TestKeySet(t *testing.T) {
	t.Parallel()
	k, nameless := newKey("k", "ES256"), newKey("", "ES256")
	secret := []byte("a secret that everybody can read in the key set")
	encoded := base64.RawURLEncoding.EncodeToString(secret)
	strange := []string{
		`null`, `1`, `[]`, `{}`, `{"kty":"AKP2","kid":"a"}`,
		`{"kty":"EC","crv":"secp256k1","kid":"k","x":"AA","y":"AA"}`,
		`{"kty":"EC","crv":"P-256","kid":"k","x":"AA","y":"AA"}`,
		`{"kty":"oct","kid":"oct","alg":"HS256","k":"` + encoded + `"}`,
		`{"kty":"RSA","kid":"small","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 1)) + `"}`,
		`{"kty":"RSA","kid":"k","e":"AQAB","n":"` + base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("\xff", 128))) + `"}`,
	}
	set := strings.Replace(string(keySet(k, nameless)), `"keys":[`, `"keys":[`+strings.Join(strange, ",")+",", 1)
	v, _ := verifier()
	v.Keys = static([]byte(set))
	require.Equal(t, 200, get(t, protect(v), token(k, nil, nil)).Code)
	testRefused(t, v, []refused{
		{"J02 a secret in the key set", token(key{id: "oct", alg: "HS256", secret: secret}, nil, nil), badAlg},
		{"a key without a name", token(nameless, nil, nil), badKey},
		{"a key without a name and no kid", token(nameless, object{"kid": nil}, nil), badKey},
		{"J17 RSA key of 1024 bits", token(key{id: "k", alg: "RS256", private: rsaKey()}, nil, nil), badKey},
	})
}

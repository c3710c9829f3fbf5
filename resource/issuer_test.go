package resource_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/resource"
)

const (
	issuerID   = "https://auth.example.com"
	audience   = "https://api.example.com"
	handlerRan = "handler ran"
)

// start is when the tests begin.
var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A clock stands still until it is told to go on.
type clock struct{ elapsed atomic.Int64 }

func (c *clock) now() time.Time            { return start.Add(time.Duration(c.elapsed.Load())) }
func (c *clock) set(elapsed time.Duration) { c.elapsed.Store(int64(elapsed)) }

// A key signs tokens. secret is for those who have no private key.
type key struct {
	id, alg, use string
	private      crypto.Signer
	secret       []byte
}

func newKey(id, alg string) key {
	k := key{id: id, alg: alg, use: "sig"}
	switch alg[:2] {
	case "ES":
		k.private, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "Ed":
		_, k.private, _ = ed25519.GenerateKey(rand.Reader)
	default:
		k.private = rsaKey()
	}
	return k
}

var rsaKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, _ := rsa.GenerateKey(rand.Reader, 2048)
	return k
})

func (k key) jwk() jose.JSONWebKey {
	return jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Algorithm: k.alg, Use: k.use}
}

func keySet(keys ...key) []byte {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, k.jwk())
	}
	data, _ := json.Marshal(set)
	return data
}

func static(set []byte) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) { return set, nil }
}

// sign makes a compact JWS without the help of the code under test.
func sign(k key, header, payload []byte) string {
	input := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(input))
	var sig []byte
	switch {
	case k.secret != nil:
		mac := hmac.New(sha256.New, k.secret)
		mac.Write([]byte(input))
		sig = mac.Sum(nil)
	case k.private == nil:
	case k.alg == "ES256":
		r, s, _ := ecdsa.Sign(rand.Reader, k.private.(*ecdsa.PrivateKey), sum[:])
		sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case k.alg == "EdDSA":
		sig = ed25519.Sign(k.private.(ed25519.PrivateKey), []byte(input))
	case k.alg == "PS256":
		sig, _ = k.private.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	default:
		sig, _ = k.private.Sign(rand.Reader, sum[:], crypto.SHA256)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

type object = map[string]any

// with returns base with changes; what is changed to nil is not there.
func with(base, changes object) object {
	o := maps.Clone(base)
	maps.Copy(o, changes)
	maps.DeleteFunc(o, func(_ string, v any) bool { return v == nil })
	return o
}

// token returns a good access token but for the changes.
func token(k key, header, claims object) string {
	h, _ := json.Marshal(with(object{"alg": k.alg, "typ": "at+jwt", "kid": k.id}, header))
	return sign(k, h, payload(claims))
}

func payload(claims object) []byte {
	data, _ := json.Marshal(with(object{
		"iss": issuerID, "aud": audience, "sub": "alice", "client_id": "app", "jti": "t1",
		"iat": start.Unix(), "exp": start.Add(10 * time.Minute).Unix(), "scope": "read write",
	}, claims))
	return data
}

// verifier returns one that knows keys, and its clock.
func verifier(keys ...key) (*resource.Verifier, *clock) {
	c := new(clock)
	return &resource.Verifier{
		Issuer: issuerID, Audience: audience, Now: c.now, Keys: static(keySet(keys...)), Logger: slog.New(slog.DiscardHandler),
	}, c
}

// protect is a handler that says so when it runs.
func protect(v *resource.Verifier, scopes ...string) http.Handler {
	return v.Require(scopes...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, handlerRan)
	}))
}

func get(t *testing.T, h http.Handler, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	return serve(t, h, r)
}

// serve also checks what is true of every answer.
func serve(t *testing.T, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code == http.StatusOK {
		require.Equal(t, handlerRan, w.Body.String())
		return w
	}
	require.NotContains(t, w.Body.String(), handlerRan)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	require.Equal(t, w.Code == http.StatusServiceUnavailable, w.Header().Get("Retry-After") != "")
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
	params := challenge(t, w)
	if w.Code < 500 {
		require.Equal(t, params["error"], body.Error)
		require.Equal(t, params["error_description"], body.Description)
		require.NotEmpty(t, params["realm"])
	} else {
		require.Empty(t, params)
	}
	return w
}

// challenge parses WWW-Authenticate. RFC 6750, section 3: no attribute twice, and
// nothing but printable ASCII less " and \ in a value.
func challenge(t *testing.T, w *httptest.ResponseRecorder) map[string]string {
	t.Helper()
	lines := w.Header().Values("WWW-Authenticate")
	if len(lines) == 0 {
		return nil
	}
	require.Len(t, lines, 1)
	rest, ok := strings.CutPrefix(lines[0], "Bearer ")
	require.True(t, ok)
	params := make(map[string]string)
	for param := range strings.SplitSeq(rest, ", ") {
		require.Regexp(t, `^[a-z_]+="[\x20-\x21\x23-\x5B\x5D-\x7E]+"$`, param)
		name, value, _ := strings.Cut(param, "=")
		require.NotContains(t, params, name)
		params[name] = strings.Trim(value, `"`)
	}
	return params
}

// A remote is an authorization server that publishes its keys over HTTP.
type remote struct {
	*httptest.Server
	mu       sync.Mutex
	fetches  []string // paths
	answers  map[string]http.HandlerFunc
	metadata string // path
}

// newRemote starts an issuer whose identifier ends in path.
func newRemote(t *testing.T, path string, keys ...key) *remote {
	t.Helper()
	s := &remote{metadata: "/.well-known/oauth-authorization-server" + strings.TrimSuffix(path, "/")}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.fetches = append(s.fetches, r.URL.Path)
		answer := s.answers[r.URL.Path]
		s.mu.Unlock()
		if answer == nil {
			answer = http.NotFound
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	s.answers = map[string]http.HandlerFunc{
		s.metadata: answer(fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, s.URL+path, s.URL+"/keys")),
		"/keys":    answer(string(keySet(keys...))),
	}
	return s
}

func answer(body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		fmt.Fprint(w, body)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func (s *remote) answer(path string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = h
}

// count returns how often path was fetched.
func (s *remote) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(s.fetches), func(p string) bool { return p != path }))
}

// verifier returns one that fetches the keys of s, its clock and its log.
func (s *remote) verifier(path string) (*resource.Verifier, *clock, *logBuffer) {
	c, log := new(clock), new(logBuffer)
	return &resource.Verifier{
		Issuer: s.URL + path, Audience: audience, Now: c.now, Logger: slog.New(slog.NewTextHandler(log, nil)),
	}, c, log
}

type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

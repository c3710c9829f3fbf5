package authwright_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// BenchmarkTiming compares how long the server takes to refuse two things that a stranger
// could want to tell apart. Both are sent in turn, each as often first, to the handlers
// themselves. It reports the medians, their difference, and Welch's t of the faster nine
// tenths of each: what is said to take equally long should stay below 4.5, see
// docs/denial-of-service.md. Nothing fails: a machine that is busy is no defect.
func BenchmarkTiming(b *testing.B) {
	t, slow := newTimed(b), newTimed(b)
	slow.guess(b)
	for _, p := range t.pairs() {
		b.Run("pair="+p.name, func(b *testing.B) {
			t, n := t, b.N
			if p.slow {
				t, n = slow, min(n, 20)
			}
			for _, side := range []func() *http.Request{p.a, p.b} {
				t.time(b, side, p.status) // to warm up
			}
			a, c := make([]float64, n), make([]float64, n)
			for i := range n {
				if i%2 == 0 {
					a[i] = t.time(b, p.a, p.status)
					c[i] = t.time(b, p.b, p.status)
				} else {
					c[i] = t.time(b, p.b, p.status)
					a[i] = t.time(b, p.a, p.status)
				}
			}
			slices.Sort(a)
			slices.Sort(c)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(a[n/2], "first-ns")
			b.ReportMetric(c[n/2], "second-ns")
			b.ReportMetric(c[n/2]-a[n/2], "difference-ns")
			b.ReportMetric(welch(a[:max(1, n*9/10)], c[:max(1, n*9/10)]), "t")
			b.ReportMetric(float64(n), "samples")
		})
	}
}

// welch is Welch's t of two samples.
func welch(a, b []float64) float64 {
	moments := func(x []float64) (mean, variance float64) {
		for _, v := range x {
			mean += v / float64(len(x))
		}
		for _, v := range x {
			variance += (v - mean) * (v - mean) / float64(max(1, len(x)-1))
		}
		return mean, variance
	}
	ma, va := moments(a)
	mb, vb := moments(b)
	if va+vb == 0 {
		return 0
	}
	return (mb - ma) / math.Sqrt(va/float64(len(a))+vb/float64(len(b)))
}

// A pair is two requests that are refused in the same way.
type pair struct {
	name   string
	a, b   func() *http.Request
	status int
	slow   bool // the secret of a client was chosen, so wrong ones take a tenth of a second
}

// A timed server has a user who is always signed in, and consents to everything that web
// and other ask for.
type timed struct {
	srv     *authwright.Server
	user    *authwright.User
	refresh string // of web
	foreign string // of other
	code    string // of web
	asked   string // handle of a question
}

func newTimed(b *testing.B) *timed {
	b.Helper()
	store := new(authwright.Memory)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	clients := append(clients(), &authwright.Client{ID: "chosen", Secrets: []authwright.ClientSecret{authwright.ChosenSecret("sesame")}, RedirectURIs: []string{"https://c.example/cb"}, Scopes: []string{"read"}})
	for _, c := range clients {
		c.Consent = authwright.ConsentSkip
		c.DefaultScopes = []string{"read"}
	}
	clients[2].Consent = authwright.ConsentAlways
	jwk := `{"keys":[{"kty":"EC","crv":"P-256","x":"` + base64.RawURLEncoding.EncodeToString(key.X.FillBytes(make([]byte, 32))) +
		`","y":"` + base64.RawURLEncoding.EncodeToString(key.Y.FillBytes(make([]byte, 32))) + `"}]}`
	clients = append(clients,
		&authwright.Client{ID: "basic", AuthMethod: authwright.AuthSecretBasic, Secrets: []authwright.ClientSecret{stored(webSecret)}, RedirectURIs: []string{"https://b.example/cb"}},
		&authwright.Client{ID: "robot", JWKS: []byte(jwk), RedirectURIs: []string{"https://r.example/cb"}})
	for _, c := range clients {
		require.NoError(b, store.AddClient(b.Context(), c))
	}
	t := &timed{user: &authwright.User{Subject: "alice"}}
	t.srv = t.server(b, store, key)
	t.refresh = t.token(b, t.authorized(b, "web"), "web", webSecret)
	t.foreign = t.token(b, t.authorized(b, "other"), "other", otherSecret)
	t.code = t.authorized(b, "web")
	w := t.serve(t.request("GET", "/authorize?"+request("client_id", "spa", "redirect_uri", "https://spa.example/cb").Encode(), "")())
	t.asked = consentForm.FindStringSubmatch(w.Body.String())[2]
	return t
}

func (t *timed) server(b *testing.B, store authwright.Storage, key *ecdsa.PrivateKey) *authwright.Server {
	b.Helper()
	srv, err := authwright.NewServer(authwright.Config{
		Issuer: "https://as.example", Storage: store, SigningKeys: []authwright.SigningKey{{Signer: key}},
		Authenticator: authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) { return t.user, nil }),
		CodeLifetime:  10 * time.Minute,
		Logger:        slog.New(slog.NewJSONHandler(io.Discard, nil)),
	})
	require.NoError(b, err)
	return srv
}

func (t *timed) serve(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	t.srv.ServeHTTP(w, r)
	return w
}

// time is how many nanoseconds the answer to a request takes.
func (t *timed) time(b *testing.B, make func() *http.Request, status int) float64 {
	r, w := make(), httptest.NewRecorder()
	begun := time.Now()
	t.srv.ServeHTTP(w, r)
	took := time.Since(begun)
	if w.Code != status {
		b.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return float64(took)
}

func (t *timed) authorized(b *testing.B, client string) string {
	b.Helper()
	w := t.serve(t.request("GET", "/authorize?"+request("client_id", client, "redirect_uri", "https://"+client+".example/cb").Encode(), "")())
	u, err := url.Parse(w.Header().Get("Location"))
	require.NoError(b, err)
	require.NotEmpty(b, u.Query().Get("code"), w.Body)
	return u.Query().Get("code")
}

func (t *timed) token(b *testing.B, code, client, secret string) string {
	b.Helper()
	w := t.serve(t.post("/token", codeForm(code, "redirect_uri", ""), client, secret)())
	tokens := answer{body: w.Body.String()}
	_, text, _ := strings.Cut(tokens.body, `"refresh_token":"`)
	text, _, _ = strings.Cut(text, `"`)
	require.NotEmpty(b, text, tokens.body)
	return text
}

// guess lets the server know that there are chosen secrets.
func (t *timed) guess(b *testing.B) {
	b.Helper()
	require.Equal(b, http.StatusUnauthorized, t.serve(t.post("/token", refreshForm("x"), "chosen", "alohomora")()).Code)
}

func (t *timed) request(method, target, body string, auth ...string) func() *http.Request {
	return func() *http.Request {
		r := httptest.NewRequest(method, target, strings.NewReader(body))
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		if len(auth) == 2 {
			r.SetBasicAuth(url.QueryEscape(auth[0]), url.QueryEscape(auth[1]))
		}
		return r
	}
}

func (t *timed) post(path string, f url.Values, auth ...string) func() *http.Request {
	return t.request(http.MethodPost, path, f.Encode(), auth...)
}

// altered is a secret whose first bytes, as many as kept, are those of text, and the others
// wrong.
func altered(text string, kept int) string {
	raw, _ := base64.RawURLEncoding.DecodeString(text)
	raw = slices.Clone(raw)
	for i := kept; i < len(raw); i++ {
		raw[i] ^= 0x55
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (t *timed) pairs() []pair {
	f := codeForm(altered(t.code, 0))
	refreshing := func(token string) func() *http.Request {
		return t.post("/token", refreshForm(token), "web", webSecret)
	}
	redeeming := func(code string, changes ...string) func() *http.Request {
		return t.post("/token", codeForm(code, changes...), "web", webSecret)
	}
	asserting := func(id string) func() *http.Request {
		b64 := base64.RawURLEncoding.EncodeToString
		jwt := b64([]byte(`{"alg":"ES256"}`)) + "." + b64([]byte(`{"iss":"`+id+`","sub":"`+id+`"}`)) + "." + b64(append(make([]byte, 63), 1))
		return t.post("/token", url.Values{"client_assertion_type": {jwtBearer}, "client_assertion": {jwt}})
	}
	answering := func(handle string) func() *http.Request {
		return t.post("/consent", url.Values{"consent": {handle}, "decision": {"approve"}})
	}
	wrong := strings.Repeat("x", len(webSecret))
	almost := webSecret[:len(webSecret)-1] + "x"
	nearly := verifier[:len(verifier)-1] + "A"
	nobody := t.post("/token", f, "wob", wrong)
	return []pair{
		{name: "same-vs-same", a: nobody, b: nobody, status: 401},
		{name: "unknown-client-vs-wrong-secret", a: nobody, b: t.post("/token", f, "web", wrong), status: 401},
		{name: "unknown-client-vs-wrong-assertion", a: asserting("robox"), b: asserting("robot"), status: 401},
		{name: "wrong-secret-vs-wrong-method", a: t.post("/token", f, "basic", wrong), b: t.post("/token", codeForm(altered(t.code, 0), "client_id", "basic", "client_secret", wrong)), status: 401},
		{name: "wrong-secret-vs-long-prefix", a: t.post("/token", f, "web", wrong), b: t.post("/token", f, "web", almost), status: 401},
		{name: "unknown-client-vs-wrong-chosen-secret", a: nobody, b: t.post("/token", f, "chosen", wrong), status: 401, slow: true},
		{name: "unknown-client-vs-wrong-assertion-among-chosen", a: asserting("robox"), b: asserting("robot"), status: 401, slow: true},
		{name: "unknown-refresh-vs-forged-lineage", a: refreshing(altered(t.refresh, 0)), b: refreshing(altered(t.refresh, 16)), status: 400},
		{name: "unknown-refresh-vs-another-clients", a: refreshing(altered(t.foreign, 0)), b: refreshing(t.foreign), status: 400},
		{name: "forged-lineage-vs-long-prefix", a: refreshing(altered(t.refresh, 16)), b: refreshing(altered(t.refresh, 31)), status: 400},
		{name: "unknown-code-vs-forged-code", a: redeeming(altered(t.code, 0)), b: redeeming(altered(t.code, 16)), status: 400},
		{name: "forged-code-vs-long-prefix", a: redeeming(altered(t.code, 16)), b: redeeming(altered(t.code, 47)), status: 400},
		{name: "wrong-verifier-vs-long-prefix", a: redeeming(t.code, "code_verifier", strings.Repeat("z", len(verifier))), b: redeeming(t.code, "code_verifier", nearly), status: 400},
		{name: "unknown-question-vs-forged-handle", a: answering(altered(t.asked, 0)), b: answering(altered(t.asked, 16)), status: 400},
		{name: "forged-handle-vs-long-prefix", a: answering(altered(t.asked, 16)), b: answering(altered(t.asked, 47)), status: 400},
	}
}

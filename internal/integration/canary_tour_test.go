package integration_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A tour is a walk through everything that may happen to secrets. Each secret becomes a
// canary where it is handed out, and whatever else anybody gets to see is kept.
type tour struct {
	*victim
	*canaries
	kept *keptStore
	site *httptest.Server // of a client: its document, its keys, its back channel
	key  ed25519.PrivateKey

	initial string // what registrations have to bring
	trouble trouble

	mu      sync.Mutex
	answers strings.Builder // less the secrets that belong there
	stacks  strings.Builder
	errs    strings.Builder
}

// newTour starts a server whose every hook is the tour's.
func newTour(t *testing.T, store victimStore) *tour {
	t.Helper()
	tr := &tour{victim: newVictim(t, store), canaries: newCanaries()}
	tr.kept = &keptStore{victimStore: store, tour: tr}
	tr.victim.store = tr.kept
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	tr.key = private
	tr.site = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tr.visit(w, r, public) }))
	t.Cleanup(tr.site.Close)
	var stored authwright.ClientSecret
	tr.initial, stored = authwright.NewSecret()
	tr.victim.user = func(u *authwright.User) (*authwright.User, error) { return u, tr.happens("CurrentUser") }
	tr.start(func(cfg *authwright.Config) { tr.hook(cfg, stored) })
	tr.ts.Config.ErrorLog.SetOutput(victimLog{tr.victim}) // where net/http writes of panics
	tr.ts.Client().Transport = watch{tr.ts.Client().Transport, tr}

	for name, secret := range map[string]string{
		"client secret": secretOf1, "other client secret": secretOf2, "verifier": goodVerifier, "initial access token": tr.initial,
		"wrong secret": "a-wrong-secret-of-c1-0123456789", "wrong verifier": "wrong-verifier-wrong-verifier-wrong-verifier-0",
	} {
		tr.add(name, secret)
	}
	key := base64.RawURLEncoding.EncodeToString(tr.key.Seed())
	tr.add("key of a client", key)
	tr.add("signing key", base64.RawURLEncoding.EncodeToString(mustKey(t)))
	tr.updateClient("c1", func(c *authwright.Client) {
		c.PostLogoutRedirectURIs = []string{c1URI}
		c.BackchannelLogoutURI = tr.site.URL + "/backchannel"
	})
	for _, c := range []*authwright.Client{
		{ID: "m1", Secrets: storedSecrets(secretOf2), GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}},
		{ID: "k1", JWKS: tr.keySet(public), GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}},
	} {
		require.NoError(t, store.AddClient(t.Context(), c))
	}
	return tr
}

// mustKey is what of the signing key is secret.
func mustKey(t *testing.T) []byte {
	t.Helper()
	key, err := victimKey()
	require.NoError(t, err)
	return key.D.Bytes()
}

func (tr *tour) hook(cfg *authwright.Config, initial authwright.ClientSecret) {
	cfg.FetchRoots = x509.NewCertPool()
	cfg.FetchRoots.AddCert(tr.site.Certificate())
	cfg.InsecureFetchLoopback = true
	cfg.RequestTimeout = 2 * time.Second
	handlers := []slog.Handler{cfg.Logger.Handler(), slog.NewTextHandler(victimLog{tr.victim}, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})}
	cfg.Logger = slog.New(slog.NewMultiHandler(handlers...))
	cfg.SigningKeys = []authwright.SigningKey{{Signer: watchedSigner{cfg.SigningKeys[0].Signer, tr}}}
	cfg.ClientDocuments = &authwright.ClientDocuments{Allow: func(context.Context, *url.URL) error { return tr.happens("Allow") }}
	cfg.Registration = &authwright.Registration{
		Clients: tr.kept, InitialAccessTokens: []authwright.ClientSecret{initial},
		Admit: func(*http.Request, *authwright.Client) error { return tr.happens("Admit") },
	}
	cfg.Claims = func(context.Context, *authwright.Grant) (map[string]any, error) { return nil, tr.happens("Claims") }
	cfg.OpenID.UserInfo = func(context.Context, string) (map[string]any, error) { return nil, tr.happens("UserInfo") }
	cfg.OpenID.Logout = func(http.ResponseWriter, *http.Request) error { return tr.happens("Logout") }
	cfg.Limit = func(*http.Request, string) time.Duration {
		if tr.happens("Limit") != nil {
			return time.Minute
		}
		return 0
	}
	cfg.Source = func(*http.Request) string { _ = tr.happens("Source"); return "somewhere" }
	cfg.OnEvent = func(ctx context.Context, e authwright.Event) {
		tr.record(ctx, e)
		_ = tr.happens("OnEvent")
	}
}

// visit serves the client's own site.
func (tr *tour) visit(w http.ResponseWriter, r *http.Request, public ed25519.PublicKey) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/backchannel":
		tr.add("logout token", r.FormValue("logout_token"))
	case "/keys":
		w.Write(tr.keySet(public))
	case "/secretive": // a document must not have a secret, and nobody may see which
		json.NewEncoder(w).Encode(map[string]any{"client_id": tr.site.URL + r.URL.Path, "client_secret": secretOf1, "redirect_uris": []string{c1URI}})
	case "/broken":
		fmt.Fprintf(w, "{%q: %q", secretOf1, goodVerifier)
	default:
		json.NewEncoder(w).Encode(map[string]any{
			"client_id": tr.site.URL + r.URL.Path, "client_name": "site", "redirect_uris": []string{tr.site.URL + "/cb"},
			"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": tr.site.URL + "/keys", "scope": "read",
		})
	}
}

func (tr *tour) keySet(public ed25519.PublicKey) []byte {
	return fmt.Appendf(nil, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"1","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
}

// assertion authenticates a client by its key, once.
func (tr *tour) assertion(id string) []string {
	tr.t.Helper()
	now := tr.now().Unix()
	claims, err := json.Marshal(map[string]any{"iss": id, "sub": id, "aud": tr.issuer, "jti": rand.Text(), "iat": now, "exp": now + 60})
	require.NoError(tr.t, err)
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"1","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(claims)
	text := input + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(tr.key, []byte(input)))
	tr.add("assertion", text)
	return []string{"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", text}
}

// A watch keeps the answers that pass through it.
type watch struct {
	http.RoundTripper
	tour *tour
}

func (w watch) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err == nil {
		rest := w.tour.harvest(r, resp, string(body))
		w.tour.mu.Lock()
		defer w.tour.mu.Unlock()
		w.tour.answers.WriteString(rest)
	}
	return resp, err
}

// secretMembers are those of a JSON answer that are secrets, by the path that hands them out.
var secretMembers = map[string][]string{
	"/token":    {"access_token", "refresh_token", "id_token"},
	"/register": {"client_secret", "registration_access_token"},
}

var secretInputs = map[string]*regexp.Regexp{
	"/consent":   regexp.MustCompile(`(name="consent" value=")([^"]+)`),
	"/authorize": regexp.MustCompile(`(name="(?:consent|code)" value=")([^"]+)`),
}

// harvest makes canaries of the secrets that an answer has in their place, and returns the
// rest of it.
func (tr *tour) harvest(r *http.Request, resp *http.Response, body string) (rest string) {
	header := resp.Header.Clone()
	header.Del("Set-Cookie")
	for _, c := range resp.Cookies() {
		if strings.HasSuffix(c.Name, "authwright-browser") {
			tr.add("browser cookie", c.Value)
			c.Value = ""
		}
		if c.Name != "session" { // which is the host's
			header.Add("Set-Cookie", c.String())
		}
	}
	if u, err := url.Parse(header.Get("Location")); err == nil && u.RawQuery != "" {
		q := u.Query()
		if q.Get("error") == "" {
			tr.add("code", q.Get("code"))
			q.Del("code")
		}
		if next := q.Get("next"); next != "" {
			q.Set("next", lessCarried(next))
		}
		u.RawQuery = q.Encode()
		header.Set("Location", lessCarried(u.String()))
	}
	var object map[string]any
	if names := secretMembers[r.URL.Path]; resp.StatusCode < 300 && json.Unmarshal([]byte(body), &object) == nil {
		for name, value := range object {
			if text, ok := value.(string); ok && slices.Contains(names, name) {
				tr.add(name, text)
				object[name] = readableOf(text)
			}
		}
		body = fmt.Sprint(object)
	}
	if form := secretInputs[r.URL.Path]; form != nil && resp.StatusCode == http.StatusOK {
		for _, m := range form.FindAllStringSubmatch(body, -1) {
			tr.add("consent handle or code", m[2])
		}
		body = form.ReplaceAllString(body, "$1")
	}
	body = actions.ReplaceAllStringFunc(body, func(target string) string { return lessCarried(html.UnescapeString(target)) })
	return fmt.Sprintf("\n%s: %d %v\n%s", r.Method, resp.StatusCode, header, body)
}

var actions = regexp.MustCompile(`/(?:consent|authorize|logout)\?[^"]*`)

// lessCarried is a URL less what the browser that brought a request carries along with it,
// whatever it is.
func lessCarried(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return target
	}
	q := u.Query()
	for _, name := range []string{"claims", "prompt", "id_token_hint"} {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// readableOf is what everybody can read of a JWT, and nothing of anything else.
func readableOf(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return string(header) + string(payload)
}

// A watchedSigner is a key that is elsewhere, and may fail.
type watchedSigner struct {
	crypto.Signer
	tour *tour
}

func (s watchedSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := s.tour.happens("Sign"); err != nil {
		return nil, err
	}
	return s.Signer.Sign(rand, digest, opts)
}

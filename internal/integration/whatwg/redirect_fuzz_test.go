package whatwg_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	neturl "net/url"
	"strings"
	"testing"

	whatwg "github.com/nlnwa/whatwg-url/url"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A registry knows one client, whatever it is called.
type registry struct {
	*authwright.Memory
	client authwright.Client
}

func (r *registry) Client(context.Context, string) (*authwright.Client, error) {
	c := r.client
	return &c, nil
}

// The server compares bytes, and a browser goes where its own parser of URLs says. Whatever was
// registered and whatever is asked for, the browser ends up where the registered URI leads.
func FuzzRedirectInBrowser(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(f, err)
	known := &registry{Memory: new(authwright.Memory)}
	srv, err := authwright.NewServer(authwright.Config{
		Issuer:        "https://as.example",
		Storage:       known,
		Authenticator: authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) { return nil, nil }),
		SigningKeys:   []authwright.SigningKey{{Signer: key}},
		Logger:        slog.New(slog.DiscardHandler),
	})
	require.NoError(f, err)

	const good = "https://app.example.com/cb"
	for _, uri := range []string{
		good, "https://app.example.com@evil.test/cb", "https://evil.test\\@app.example.com/cb", "https:\\\\app.example.com/cb",
		"https:/app.example.com/cb", "https:///app.example.com/cb", "https:app.example.com/cb", "//app.example.com/cb", "https://app.example.com/cb/../evil", "https://app.example.com/%2e%2e/cb",
		"https://app.example.com/cb#frag", "https://app.example.com:443/cb", "https://app.example.com:65536/cb", "https://app.example.com:/cb",
		"HTTPS://app.example.com/cb", "https://APP.example.com/cb", "https://%61pp.example.com/cb", "https://%EF%BD%81pp.example.com/cb", "https://ａpp.example.com/cb",
		"https://xn--pp-8ka.example.com/cb", "https://xn--a/cb", "https://Xn--0-/cb", "https://+0/cb", "https://-0/cb", "https://0x-1/cb", "https://0-0/cb", "https://app。example.com/cb", "https://app\u00ad.example.com/cb", "https://app.example.com.evil.test/cb", "https://app.example.com./cb",
		"https://0x7f.1/cb", "https://2130706433/cb", "https://1.2.3/cb", "https://1.2.3.4.5/cb", "https://a.1/cb", "https://[::1%25lo]/cb", "https://[::ffff:7f00:1]/cb", "https://a_b.example/cb", "https://a!$&'()*+,;=b/cb",
		"https://app.example.com/\tcb", "https://app.example.com?/cb", "https://app.example.com;@evil.test/cb", "https://app.example.com:80:90/cb", "https://[app.example.com]/cb",
		"http://127.0.0.1/cb", "http://127.0.0.1:8080/cb", "http://127.0.0.1:99999/cb", "http://127.0.0.1:00080/cb", "http://127.0.0.1:80@evil.test/cb", "http://127.0.0.1?x", "http://[::1]:9/cb", "http://localhost:3000/cb",
		"com.example.app:/cb", "com.example.app://evil/cb", "com.example.app://Evil/cb", "com.example.app:cb", "javascript:alert(1)", "java\nscript:alert(1)",
	} {
		f.Add(good, uri)
		f.Add(uri, uri)
		f.Add("http://127.0.0.1:1/cb", uri)
		f.Add("http://localhost/cb", uri)
	}
	f.Fuzz(func(t *testing.T, registered, asked string) {
		known.client = authwright.Client{ID: "app", RedirectURIs: []string{registered}}
		if known.client.Validate() != nil {
			return
		}
		shown := (&authwright.Consent{RedirectURI: registered}).RedirectHost()
		b, err := whatwg.Parse(registered)
		if err != nil {
			return // nobody can go there: it has a label that is no punycode, for instance
		}
		require.Empty(t, b.Username()+b.Password()+b.Hash())
		reached := strings.Trim(b.Hostname(), "[]")
		if b.Scheme() != "https" && b.Scheme() != "http" {
			reached = b.Scheme() // an application on the device
		}
		if ip, err := netip.ParseAddr(shown); err == nil {
			require.Equal(t, ip, netip.MustParseAddr(reached))
		} else {
			require.Equal(t, strings.ToLower(shown), reached, "what a user is shown is where the browser goes")
		}

		q := neturl.Values{
			"client_id": {"app"}, "redirect_uri": {asked}, "response_type": {"code"}, "prompt": {"none"}, "state": {"s"},
			"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
		}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/authorize?"+q.Encode(), nil))
		location := w.Header()["Location"]
		if w.Code != http.StatusSeeOther {
			require.Equal(t, http.StatusBadRequest, w.Code)
			require.Empty(t, location)
			require.NotEqual(t, registered, asked)
			return
		}
		require.Len(t, location, 1)
		require.Contains(t, location[0], "error=login_required")
		to, err := whatwg.ParseRef("https://as.example/authorize", location[0])
		if err != nil {
			return // it chose a port that there is not
		}
		require.Equal(t, b.Scheme(), to.Scheme())
		require.Equal(t, b.Hostname(), to.Hostname())
		require.Equal(t, b.Pathname(), to.Pathname())
		require.Empty(t, to.Username()+to.Password()+to.Hash())
		if b.Scheme() != "http" {
			require.Equal(t, b.Port(), to.Port())
		}
	})
}

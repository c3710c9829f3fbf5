package authwright_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A publisher is a web server with client documents on it.
type publisher struct {
	*httptest.Server
	mu    sync.Mutex
	asked map[string]int
	pages map[string]http.HandlerFunc
}

// withPublisher returns a world whose server fetches documents from a publisher.
func withPublisher(t *testing.T, changes ...func(*authwright.Config)) (*world, *publisher) {
	t.Helper()
	p := &publisher{asked: map[string]int{}, pages: map[string]http.HandlerFunc{}}
	p.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked[r.URL.RequestURI()]++
		page := p.pages[r.URL.RequestURI()]
		p.mu.Unlock()
		if page == nil {
			http.NotFound(w, r)
			return
		}
		page(w, r)
	}))
	t.Cleanup(p.Close)
	return newWorld(t, append([]func(*authwright.Config){func(cfg *authwright.Config) {
		cfg.ClientDocuments = &authwright.ClientDocuments{Scopes: []string{"read", "write"}}
		cfg.InsecureFetchLoopback = true
		cfg.FetchRoots = x509.NewCertPool()
		cfg.FetchRoots.AddCert(p.Certificate())
	}}, changes...)...), p
}

// serve makes a path answer as page does.
func (p *publisher) serve(path string, page http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages[path] = page
}

// publish puts a document at a path and returns its URL. What the document says of itself
// is right unless it is among the changes. Headers are "Name: value".
func (p *publisher) publish(t *testing.T, path string, said profile, headers ...string) (id string) {
	t.Helper()
	id = p.URL + path
	text := marshal(t, profile{"client_id": id}.with(pairs(said)...))
	p.serve(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, h := range headers {
			name, value, _ := strings.Cut(h, ": ")
			w.Header().Set(name, value)
		}
		w.Write([]byte(text))
	})
	return id
}

func pairs(p profile) (list []any) {
	for name, value := range p {
		list = append(list, name, value)
	}
	return list
}

func (p *publisher) times(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// webApp and deskApp describe themselves.
var (
	webApp  = profile{"client_name": "Web App", "redirect_uris": []string{"https://web.example/cb"}}
	deskApp = profile{"client_name": "Desk App", "redirect_uris": []string{"http://127.0.0.1/cb", "http://localhost/cb"}}
)

// by is an authorization request of the client with this ID.
func by(id string, changes ...string) url.Values {
	return request(append([]string{"client_id", id}, changes...)...)
}

func TestClientDocument(t *testing.T) {
	t.Parallel()
	w, p := withPublisher(t)
	id := p.publish(t, "/client.json", webApp)
	t.Run("CM-12 a client that nobody knew is served at both endpoints", func(t *testing.T) {
		a := w.token(codeForm(w.code(by(id)), "client_id", id))
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.Equal(t, id, claims(t, a.json(t)["access_token"])["client_id"])
		a = w.token(refreshForm(a.json(t)["refresh_token"].(string), "client_id", id))
		require.Equal(t, http.StatusOK, a.status, a.body)
		_, err := w.store.Client(t.Context(), id)
		require.ErrorIs(t, err, authwright.ErrNotFound, "nothing is stored")
	})
	t.Run("CM-12 nobody else redeems its code", func(t *testing.T) {
		other := p.publish(t, "/other.json", webApp)
		refused(t, w.token(codeForm(w.code(by(id)), "client_id", other)), "invalid_grant")
		refused(t, w.token(codeForm(w.code(by(id)), "client_id", p.URL+"/nobody.json")), "invalid_client")
	})
	t.Run("CM-12 another server looks the document up by itself", func(t *testing.T) {
		replica, err := authwright.NewServer(w.config(t, p))
		require.NoError(t, err)
		f := codeForm(w.code(by(id)), "client_id", id)
		r := httptest.NewRequest(http.MethodPost, w.issuer+"/token", strings.NewReader(f.Encode()))
		r.Header.Set("Content-Type", formType)
		before, rec := p.times("/client.json"), httptest.NewRecorder()
		replica.ServeToken(rec, r)
		require.Equal(t, http.StatusOK, rec.Code, rec.Body)
		require.Equal(t, before+1, p.times("/client.json"))
	})
	t.Run("CM-03 the metadata say that documents are supported, if they are", func(t *testing.T) {
		require.Equal(t, true, w.get(wellKnown).json(t)["client_id_metadata_document_supported"])
		plain := newWorld(t)
		require.NotContains(t, plain.get(wellKnown).json(t), "client_id_metadata_document_supported")
	})
	t.Run("CM-11 without them, a URL is an ID like any other", func(t *testing.T) {
		w, p := withPublisher(t, func(cfg *authwright.Config) { cfg.ClientDocuments = nil })
		id := p.publish(t, "/client.json", webApp)
		errorPage(t, w.signedIn("alice").authorize(by(id)))
		require.Zero(t, p.times("/client.json"))
	})
	t.Run("CM-05 redirects go where the document says, and nowhere else", func(t *testing.T) {
		desk := p.publish(t, "/desk.json", deskApp)
		b := w.signedIn("bob") // who has not been asked yet
		for uri, ok := range map[string]bool{
			"https://web.example/cb": true, "https://web.example/cb/": false, "https://web.example/cb?x": false, "https://web.example/CB": false, "https://evil.example/cb": false,
			"http://127.0.0.1/cb": false, "http://web.example/cb": false, p.URL + "/client.json": false,
		} {
			if a := b.authorize(by(id, "redirect_uri", uri)); ok {
				consentPage(t, a)
			} else {
				errorPage(t, a)
			}
		}
		for uri, ok := range map[string]bool{
			"http://127.0.0.1/cb": true, "http://127.0.0.1:51004/cb": true, "http://localhost:3000/cb": true, "http://127.0.0.1:51004/": false,
			"https://web.example/cb": false, "http://[::1]/cb": false, "https://127.0.0.1/cb": false,
		} {
			if a := b.authorize(by(desk, "redirect_uri", uri)); ok {
				consentPage(t, a)
			} else {
				errorPage(t, a)
			}
		}
	})
	t.Run("CM-05 a redirect URI that no client may have is not one", func(t *testing.T) {
		bad := []string{"javascript:alert(1)", "http://web.example/cb", "https://*.example/cb", "https://web.example/cb#x", "app:/cb"}
		id := p.publish(t, "/mixed.json", webApp.with("redirect_uris", append(bad, "https://web.example/cb")))
		consentPage(t, w.signedIn("alice").authorize(by(id)))
		for _, uri := range bad {
			errorPage(t, w.signedIn("alice").authorize(by(id, "redirect_uri", uri)))
		}
	})
	t.Run("UI-09 the page says whose document it is and where the browser goes", func(t *testing.T) {
		desk := p.publish(t, "/desk.json", deskApp.with("client_name", "Your Bank"))
		w.advance(time.Hour)
		page := w.signedIn("alice").authorize(by(desk, "redirect_uri", "http://localhost:3000/cb")).body
		for _, text := range []string{"Your Bank", "<bdi>localhost</bdi>", "an application on this device", "an application of <strong><bdi>127.0.0.1</bdi>", "Nobody here has checked"} {
			require.Contains(t, page, text)
		}
	})
	t.Run("RU-17 an error sends nobody to it who does not want to go", func(t *testing.T) {
		a := w.signedIn("alice").authorize(by(id, "scope", "admin"))
		errorPage(t, a)
		require.Contains(t, a.body, `href="https://web.example/cb?error=invalid_scope`)
	})
}

// config is that of another server of the same world.
func (w *world) config(t *testing.T, p *publisher) authwright.Config {
	t.Helper()
	cfg := minimal(t)
	cfg.Issuer, cfg.Storage, cfg.Now = w.issuer, w.store, w.now
	cfg.ClientDocuments, cfg.InsecureFetchLoopback, cfg.FetchRoots = &authwright.ClientDocuments{Scopes: []string{"read", "write"}}, true, x509.NewCertPool()
	cfg.Scopes = []authwright.Scope{{Name: "read"}, {Name: "write"}}
	cfg.FetchRoots.AddCert(p.Certificate())
	return cfg
}

func TestClientDocumentURL(t *testing.T) {
	t.Parallel()
	w, p := withPublisher(t)
	host := strings.TrimPrefix(p.URL, "https://")
	_, port, _ := strings.Cut(host, ":")
	b := w.signedIn("alice")
	for _, tc := range []struct {
		name, id string
		ok       bool
	}{
		{"CM-01 https and a path", p.URL + "/client", true},
		{"CM-01 a query is allowed", p.URL + "/client?v=1", true},
		{"CM-01 a path of one slash is allowed", p.URL + "/", true},
		{"CM-01 an escape is a part of it", p.URL + "/%63lient", true},
		{"CM-01 dots that are no segment", p.URL + "/..client/.../c..", true},
		{"CM-01 no path", p.URL, false},
		{"CM-01 a query and no path", p.URL + "?v=1", false},
		{"CM-01 http", "http://" + host + "/client", false},
		{"CM-01 a scheme in capitals", "HTTPS://" + host + "/client", false},
		{"CM-01 another scheme", "ftp://" + host + "/client", false},
		{"CM-01 no scheme", host + "/client", false},
		{"CM-01 no host", "https:///client", false},
		{"CM-01 a port and no host", "https://:" + port + "/client", false},
		{"CM-01 a fragment", p.URL + "/client#x", false},
		{"CM-01 an empty fragment", p.URL + "/client#", false},
		{"CM-01 a user", "https://x@" + host + "/client", false},
		{"CM-01 a user and a password", "https://x:y@" + host + "/client", false},
		{"CM-01 an empty user", "https://@" + host + "/client", false},
		{"CM-01 a dot segment", p.URL + "/a/./client", false},
		{"CM-01 two dots", p.URL + "/a/../client", false},
		{"CM-01 dots at the end", p.URL + "/client/..", false},
		{"CM-01 an escaped dot", p.URL + "/a/%2e/client", false},
		{"CM-01 escaped dots", p.URL + "/a/%2e%2E/client", false},
		{"CM-01 a dot and an escaped one", p.URL + "/a/.%2e/client", false},
		{"CM-01 a backslash", p.URL + `\client`, false},
		{"CM-01 a backslash in the path", p.URL + `/a/..\client`, false},
		{"CM-01 a space", p.URL + "/a client", false},
		{"CM-01 not ASCII", p.URL + "/clïent", false},
		{"CM-01 a URL without end", p.URL + "/" + strings.Repeat("a", 2048), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := p.all()
			if !tc.ok {
				p.publish(t, "/client", webApp.with("client_id", tc.id))
				errorPage(t, b.authorize(by(tc.id)))
				require.Equal(t, before, p.all(), "nothing is fetched")
				return
			}
			p.publish(t, strings.TrimPrefix(tc.id, p.URL), webApp)
			consentPage(t, b.authorize(by(tc.id)))
			require.Equal(t, before+1, p.all())
		})
	}
}

// all is how often anything was asked for.
func (p *publisher) all() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, times := range p.asked {
		n += times
	}
	return n
}

func TestClientDocumentPolicy(t *testing.T) {
	t.Parallel()
	t.Run("CM-11 the host decides which documents are fetched", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t, func(cfg *authwright.Config) {
			cfg.ClientDocuments.Allow = func(_ context.Context, id *url.URL) error {
				if !strings.HasPrefix(id.Path, "/trusted/") {
					return errors.New("not one of ours")
				}
				return nil
			}
		})
		trusted, other := p.publish(t, "/trusted/client", webApp), p.publish(t, "/client", webApp)
		b := w.signedIn("alice")
		consentPage(t, b.authorize(by(trusted)))
		a := b.authorize(by(other))
		errorPage(t, a)
		require.NotContains(t, a.body, "not one of ours")
		refused(t, w.token(codeForm("x", "client_id", other)), "invalid_client")
		require.Zero(t, p.times("/client"))
		require.Contains(t, w.log(), "not one of ours")
	})
	t.Run("CM-11 a client that is known by its URL is not fetched", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t)
		id := p.publish(t, "/client", webApp)
		w.enroll(&authwright.Client{ID: id, Name: "Known", RedirectURIs: []string{"https://known.example/cb"}, Scopes: []string{"read"}})
		page := w.signedIn("alice").authorize(by(id, "redirect_uri", "https://known.example/cb", "scope", "read"))
		require.Contains(t, page.body, "Known")
		errorPage(t, w.signedIn("alice").authorize(by(id)))
		require.Zero(t, p.all())
	})
	t.Run("CM-11 nor is one that has been disabled, or has expired", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t)
		for _, c := range []authwright.Client{{ID: p.publish(t, "/disabled", webApp), Disabled: true}, {ID: p.publish(t, "/expired", webApp), ExpiresAt: w.now()}} {
			c.RedirectURIs = []string{"https://web.example/cb"}
			w.enroll(&c)
			errorPage(t, w.signedIn("alice").authorize(by(c.ID)))
		}
		require.Zero(t, p.all())
	})
	t.Run("CM-12 its scopes are those on offer", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t)
		b := w.signedIn("alice")
		id := p.publish(t, "/client", webApp.with("scope", "read admin"))
		consentPage(t, b.authorize(by(id, "scope", "read")))
		for _, scope := range []string{"admin", "write"} {
			errorPage(t, b.authorize(by(id, "scope", scope)))
		}
	})
	t.Run("CM-12 it does not act for itself", func(t *testing.T) {
		t.Parallel()
		w, p := withPublisher(t)
		key := newKey(t)
		id := p.publish(t, "/client", webApp.with("grant_types", []string{"authorization_code", "client_credentials"}, "token_endpoint_auth_method", "private_key_jwt", "jwks", jsonOf(t, keySetOf(t, key))))
		refused(t, w.present(signJWT(t, jose.ES256, key, nil, w.statement(id, nil))), "unauthorized_client")
	})
}

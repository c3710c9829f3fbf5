package authwright_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// A keyHost is a client's own web server on this machine, where its key set is.
type keyHost struct {
	*httptest.Server
	asked atomic.Int32 // for /jwks
	serve atomic.Value // of http.HandlerFunc: what it answers
}

// withKeyHost returns a world whose server reaches a keyHost, with the client robot in it
// that has its keys there.
func withKeyHost(t *testing.T, changes ...func(*authwright.Config)) (*world, *keyHost) {
	t.Helper()
	h := new(keyHost)
	h.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.asked.Add(1)
		h.serve.Load().(http.HandlerFunc)(w, r)
	}))
	t.Cleanup(h.Close)
	w := newWorld(t, append([]func(*authwright.Config){func(cfg *authwright.Config) {
		cfg.InsecureFetchLoopback = true
		cfg.FetchRoots = x509.NewCertPool()
		cfg.FetchRoots.AddCert(h.Certificate())
	}}, changes...)...)
	w.addSigner("robot", nil, func(c *authwright.Client) { c.JWKSURI = h.URL + "/jwks" })
	return w, h
}

// has makes the host answer with a body and headers, which come in pairs.
func (h *keyHost) has(body []byte, headers ...string) {
	h.serve.Store(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.Write(body)
	}))
}

// fails makes the host answer with nothing but a status.
func (h *keyHost) fails(status int) {
	h.serve.Store(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
}

// named is a key with a kid.
func named(kid string, key *ecdsa.PrivateKey) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: kid}
}

// by is a token request of robot, signed with key. An empty kid is left out.
func (w *world) by(kid string, key *ecdsa.PrivateKey) answer {
	w.t.Helper()
	header := map[string]any{"kid": kid}
	if kid == "" {
		header = nil
	}
	return w.present(signJWT(w.t, jose.ES256, key, header, w.statement("robot", nil)))
}

// later checks that a asks the client to come again.
func later(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, http.StatusServiceUnavailable, a.status, a.body)
	require.Equal(t, "temporarily_unavailable", a.json(t)["error"])
	require.NotContains(t, a.body, "127.0.0.1")
}

func TestFetchRotation(t *testing.T) {
	t.Parallel()
	first, second := newKey(t), newKey(t)
	for _, kids := range [][2]string{{"1", "2"}, {"", ""}, {"same", "same"}} {
		t.Run(fmt.Sprintf("CA-22 a key rotates without a restart, kids %q", kids), func(t *testing.T) {
			t.Parallel()
			w, h := withKeyHost(t)
			h.has(keySetOf(t, named(kids[0], first)), "Cache-Control", "max-age=86400")
			for range 5 {
				require.Equal(t, http.StatusOK, w.by(kids[0], first).status)
			}
			require.EqualValues(t, 1, h.asked.Load(), "one fetch is enough for many")

			h.has(keySetOf(t, named(kids[1], second)))
			w.advance(time.Minute - time.Millisecond)
			for range 5 {
				refused(t, w.by(kids[1], second), "invalid_client")
			}
			require.EqualValues(t, 1, h.asked.Load(), "not within a minute")
			w.advance(2 * time.Millisecond)
			require.Equal(t, http.StatusOK, w.by(kids[1], second).status)
			require.EqualValues(t, 2, h.asked.Load())
			refused(t, w.by(kids[0], first), "invalid_client")
			require.EqualValues(t, 2, h.asked.Load(), "the old key is dead, and asking again would not help")
		})
	}
	t.Run("CA-22 an unknown kid costs one fetch a minute", func(t *testing.T) {
		t.Parallel()
		w, h := withKeyHost(t)
		h.has(keySetOf(t, named("1", first)), "Cache-Control", "max-age=86400")
		for minute := range 3 {
			for i := range 5 {
				refused(t, w.by(fmt.Sprint("unknown ", i), second), "invalid_client")
			}
			require.EqualValues(t, minute+1, h.asked.Load())
			w.advance(time.Minute + time.Millisecond)
		}
	})
	for _, test := range []struct {
		cacheControl string
		age          time.Duration
	}{
		{"", 10 * time.Minute},
		{"max-age=3600", time.Hour},
		{"public, Max-Age=\"3600\", must-revalidate", time.Hour},
		{"max-age=0", time.Minute},
		{"max-age=-1", time.Minute},
		{"no-store", time.Minute},
		{"no-cache, max-age=3600", time.Minute},
		{"max-age=31536000", 24 * time.Hour},
		{"max-age=x", 10 * time.Minute},
	} {
		t.Run("CA-22 a key set is kept as long as it says: "+test.cacheControl, func(t *testing.T) {
			t.Parallel()
			w, h := withKeyHost(t)
			h.has(keySetOf(t, named("1", first)), "Cache-Control", test.cacheControl)
			require.Equal(t, http.StatusOK, w.by("1", first).status)
			w.advance(test.age - time.Millisecond)
			require.Equal(t, http.StatusOK, w.by("1", first).status)
			require.EqualValues(t, 1, h.asked.Load())
			h.has(keySetOf(t, named("2", second)))
			w.advance(time.Millisecond)
			refused(t, w.by("1", first), "invalid_client")
			require.EqualValues(t, 2, h.asked.Load())
		})
	}
}

func TestFetchFailure(t *testing.T) {
	t.Parallel()
	key, unknown := newKey(t), newKey(t)
	set := keySetOf(t, named("1", key))
	t.Run("CA-22 a fetch that fails spoils nothing", func(t *testing.T) {
		t.Parallel()
		w, h := withKeyHost(t)
		h.has(set, "Cache-Control", "max-age=86400")
		require.Equal(t, http.StatusOK, w.by("1", key).status)
		w.advance(2 * time.Minute)
		h.fails(http.StatusBadGateway)
		later(t, w.by("2", unknown))
		require.Equal(t, http.StatusOK, w.by("1", key).status)
		refused(t, w.by("2", unknown), "invalid_client")
		require.EqualValues(t, 2, h.asked.Load(), "nor is it repeated within a minute")
	})
	t.Run("CA-22 a fetch that is slow holds up nobody whose key is known", func(t *testing.T) {
		t.Parallel()
		w, h := withKeyHost(t)
		h.has(set, "Cache-Control", "max-age=86400")
		require.Equal(t, http.StatusOK, w.by("1", key).status)
		w.advance(2 * time.Minute)
		begun, release := make(chan struct{}), make(chan struct{})
		h.serve.Store(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			close(begun)
			<-release
			rw.Write(set)
		}))
		assertion := signJWT(t, jose.ES256, unknown, map[string]any{"kid": "2"}, w.statement("robot", nil))
		answered := make(chan int, 1)
		go func() {
			status := 0
			if resp, err := http.PostForm(w.issuer+"/token", itself("client_assertion_type", jwtBearer, "client_assertion", assertion)); err == nil {
				status = resp.StatusCode
				resp.Body.Close()
			}
			answered <- status
		}()
		select {
		case <-begun:
		case status := <-answered:
			require.Fail(t, "nobody fetched", "status %d", status)
		}
		status := w.by("1", key).status
		close(release)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, http.StatusUnauthorized, <-answered)
	})
	t.Run("CA-22 those who come at once share a fetch", func(t *testing.T) {
		t.Parallel()
		w, h := withKeyHost(t)
		h.has(set)
		statuses := make([]int, racers)
		var wg sync.WaitGroup
		for i := range racers {
			assertion := signJWT(t, jose.ES256, key, nil, w.statement("robot", nil))
			wg.Go(func() {
				resp, err := http.PostForm(w.issuer+"/token", itself("client_assertion_type", jwtBearer, "client_assertion", assertion))
				if err == nil {
					statuses[i] = resp.StatusCode
					resp.Body.Close()
				}
			})
		}
		wg.Wait()
		for _, status := range statuses {
			require.Equal(t, http.StatusOK, status)
		}
		require.EqualValues(t, 1, h.asked.Load())
	})
	t.Run("CA-22 a host is not asked without end", func(t *testing.T) {
		t.Parallel()
		w, h := withKeyHost(t)
		h.fails(http.StatusNotFound)
		for range 40 {
			later(t, w.by("1", key))
		}
		require.EqualValues(t, 30, h.asked.Load())
		h.has(set)
		w.advance(time.Minute)
		require.Equal(t, http.StatusOK, w.by("1", key).status)
	})
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(set) }))
	defer elsewhere.Close()
	w, h := withKeyHost(t, func(cfg *authwright.Config) { cfg.FetchRoots.AddCert(elsewhere.Certificate()) })
	for _, test := range []struct {
		name  string
		serve http.HandlerFunc
	}{
		{"CA-22 not found", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); w.Write(set) }},
		{"CA-22 an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); w.Write(set) }},
		{"CA-22 another success", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(203); w.Write(set) }},
		{"CA-22 a redirect on the host", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				w.Write(set)
			}
			http.Redirect(w, r, "/moved", http.StatusFound)
		}},
		{"CA-22 a redirect to another host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusPermanentRedirect)
		}},
		{"CA-22 a set that is too large", func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(strings.Replace(string(set), "{", "{"+strings.Repeat(" ", 64<<10), 1)))
		}},
		{"CA-22 a set that ends early", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(set)+1))
			w.Write(set)
		}},
		{"CA-22 no JSON", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }},
		{"CA-22 a list", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("[]")) }},
		{"CA-22 no keys", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("{}")) }},
		{"CA-22 nothing", func(http.ResponseWriter, *http.Request) {}},
	} {
		t.Run(test.name, func(t *testing.T) {
			h.serve.Store(test.serve)
			before := h.asked.Load()
			a := w.by("1", key)
			require.NotContains(t, a.body, "access_token")
			require.Contains(t, []int{http.StatusUnauthorized, http.StatusServiceUnavailable}, a.status)
			require.Equal(t, before+1, h.asked.Load())
			h.has(set, "Cache-Control", "no-store")
			require.Equal(t, http.StatusOK, w.by("1", key).status, "nothing bad is kept")
			w.advance(time.Minute)
		})
	}
	t.Run("CA-22 a host that nobody vouches for", func(t *testing.T) {
		w, h := withKeyHost(t, func(cfg *authwright.Config) { cfg.FetchRoots = x509.NewCertPool() })
		h.has(set)
		later(t, w.by("1", key))
	})
}

func TestFetchAddresses(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	l, err := net.Listen("tcp", ":0") // every address of this machine
	require.NoError(t, err)
	var connections atomic.Int32
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			c.Close()
		}
	})
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)

	strict := newWorld(t)
	lax := newWorld(t, func(cfg *authwright.Config) { cfg.InsecureFetchLoopback = true })
	for i, test := range []struct {
		name, uri string
		local     bool // what the switch allows
	}{
		{"CM-06 an address of this machine", "https://127.0.0.1:" + port, true},
		{"CM-06 another address of this machine", "https://127.9.9.9:" + port, true},
		{"CM-06 a name of this machine", "https://localhost:" + port, true},
		{"CM-06 an IPv4 address in an IPv6 one", "https://[::ffff:127.0.0.1]:" + port, true},
		{"CM-06 the same in hexadecimal", "https://[::ffff:7f00:1]:" + port, true},
		{"CM-06 no address", "https://0.0.0.0:" + port, false},
		{"CM-06 no IPv6 address", "https://[::]:" + port, false},
		{"CM-06 a translated IPv4 address", "https://[64:ff9b::7f00:1]:" + port, false},
		{"CM-06 the cloud's metadata", "https://169.254.169.254", false},
		{"CM-06 a private network", "https://10.0.0.1", false},
		{"CM-06 plain http", "http://127.0.0.1:" + port, false},
		{"CM-06 another scheme", "file:///etc/hostname", false},
		{"CM-06 user information", "https://x:y@127.0.0.1:" + port, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, w := range []*world{strict, lax} {
				id := fmt.Sprint("signer-", i)
				w.addSigner(id, nil, func(c *authwright.Client) { c.JWKSURI = test.uri })
				before := connections.Load()
				later(t, w.present(signJWT(t, jose.ES256, key, nil, w.statement(id, nil))))
				if test.local && w == lax {
					require.Greater(t, connections.Load(), before, "the test can tell")
				} else {
					require.Equal(t, before, connections.Load())
				}
			}
		})
	}
}

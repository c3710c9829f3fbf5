package integration_test

import (
	"crypto/elliptic"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// TestDenialOfServiceByKeys weighs assertions of clients whose key sets are as bad as they
// can be. Whoever registers, or has a document, is such a client.
func TestDenialOfServiceByKeys(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	var mu sync.Mutex
	sets := make(map[string]string)
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = w.Write([]byte(sets[r.URL.Path]))
	}))
	t.Cleanup(web.Close)
	v, s := besieged(t, new(authwright.Memory), reaching(web))

	full := func(key string) string { // 64 KiB of a key
		n := (64<<10 - 20) / (len(key) + 1)
		return `{"keys":[` + strings.Repeat(key+",", n-1) + key + `]}`
	}
	g := elliptic.P256().Params()
	p256 := fmt.Sprintf(`{"kty":"EC","crv":"P-256","x":%q,"y":%q}`, b64(g.Gx.Bytes()), b64(g.Gy.Bytes()))
	rsaKey := func(size int, e string) string {
		n := make([]byte, size)
		n[0], n[size-1] = 0xff, 0xff
		return fmt.Sprintf(`{"kty":"RSA","n":%q,"e":%q}`, b64(n), e)
	}
	const largest = "f____w" // exponent that Go takes, 2^31-1
	var burdens []burden
	for i, set := range []struct{ name, alg, keys string }{
		{"of no keys, 20,000 times", "RS256", full("{}")},
		{"of 500 keys of P-256", "ES256", full(p256)},
		{"of 100 keys of P-256", "ES256", `{"keys":[` + strings.Repeat(p256+",", 99) + p256 + `]}`},
		{"of RSA keys with 8,192 bits and the largest exponent", "RS256", full(rsaKey(1024, largest))},
		{"of an RSA key with 380,000 bits", "RS256", full(rsaKey(48_000, largest))},
		{"of an RSA key with an exponent of 380,000 bits", "RS256", full(rsaKey(256, strings.Repeat("_", 64_000)))},
		{"of nested arrays", "RS256", `{"keys":[{"kty":"RSA","x":` + nested(9000) + `}]}`},
		{"of a key with many members", "RS256", `{"keys":[{"kty":"RSA"` + members(6000) + `}]}`},
		{"of 1 MiB", "RS256", full("{}") + strings.Repeat(" ", 1<<20)},
	} {
		path, id := "/"+strconv.Itoa(i), "signer"+strconv.Itoa(i)
		sets[path] = set.keys
		status := http.StatusUnauthorized
		if len(set.keys) > 64<<10 {
			status = http.StatusServiceUnavailable // as if it could not be had
		}
		require.NoError(t, v.store.AddClient(t.Context(), &authwright.Client{ID: id, JWKSURI: web.URL + path, RedirectURIs: []string{c1URI}}))
		assertion := unverifiable(`{"alg":"`+set.alg+`"}`, fmt.Sprintf(`{"iss":%q,"sub":%[1]q}`, id))
		if set.alg == "ES256" {
			assertion = assertion[:strings.LastIndexByte(assertion, '.')+1] + b64(append(make([]byte, 63), 1))
		} else { // as long as the key
			assertion = assertion[:strings.LastIndexByte(assertion, '.')+1] + b64(append(make([]byte, 1023), 1))
		}
		burdens = append(burdens, burden{name: "J12 a key set " + set.name, make: asserting(assertion), status: status, most: 4 << 20})
	}
	v.weighAll(t, burdens)
	require.Zero(t, s.keys.Load())
}

// reaching lets the server fetch documents from web, and sets its clock still.
func reaching(web *httptest.Server) func(*authwright.Config) {
	return func(cfg *authwright.Config) {
		now := time.Now()
		cfg.Now = func() time.Time { return now }
		cfg.InsecureFetchLoopback = true
		if web != nil {
			cfg.FetchRoots = web.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		}
	}
}

// TestDenialOfServiceByClients lets strangers introduce themselves as often as they like.
func TestDenialOfServiceByClients(t *testing.T) {
	t.Run("D05 documents", manyDocuments)
	t.Run("D05 documents of many hosts", documentsOfManyHosts)
	t.Run("D05 registrations", manyRegistrations)
}

func manyDocuments(t *testing.T) {
	var fetched atomic.Int64
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		_, _ = w.Write([]byte(`{"client_id":` + nested(2000) + `}`))
	}))
	t.Cleanup(web.Close)
	v, s := besieged(t, new(authwright.Memory), reaching(web))
	for i := range 2000 {
		r := sending("GET", "/authorize?"+asking("client_id", web.URL+"/"+strconv.Itoa(i)).Encode(), "")()
		r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", i%200) // a hundred networks and more
		w := &silentWriter{header: http.Header{}}
		v.srv.ServeHTTP(w, r)
		require.NotEqual(t, http.StatusSeeOther, w.status)
	}
	require.EqualValues(t, 30, fetched.Load(), "of one host in a minute")
	require.Zero(t, s.written())
}

func documentsOfManyHosts(t *testing.T) {
	var connections atomic.Int64
	var hosts []string
	for i := range 4 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", i+1))
		require.NoError(t, err)
		t.Cleanup(func() { l.Close() })
		go func() {
			for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
				connections.Add(1)
				_ = conn.Close()
			}
		}()
		hosts = append(hosts, "https://"+l.Addr().String())
	}
	v, s := besieged(t, new(authwright.Memory), reaching(nil))
	for i := range 1000 {
		w := &silentWriter{header: http.Header{}}
		v.srv.ServeHTTP(w, sending("GET", "/authorize?"+asking("client_id", fmt.Sprint(hosts[i%4], "/", i)).Encode(), "")())
		require.Equal(t, http.StatusServiceUnavailable, w.status)
	}
	require.LessOrEqual(t, connections.Load(), int64(60), "for one source in a minute")
	require.NotZero(t, connections.Load())
	require.Zero(t, s.written())
}

func manyRegistrations(t *testing.T) {
	v, s := besieged(t, new(authwright.Memory), func(cfg *authwright.Config) {
		cfg.Source = func(r *http.Request) string { return r.Header.Get("X-Source") }
	})
	registered, tries := 0, 0
	const sources = 60
	for i := range sources {
		for range 25 {
			tries++
			w := &silentWriter{header: http.Header{}}
			v.srv.ServeHTTP(w, sending("POST", "/register", `{"redirect_uris":["https://new.example/cb"]}`, "Content-Type", "application/json", "X-Source", strconv.Itoa(i))())
			if w.status == http.StatusCreated {
				registered++
			} else {
				require.Equal(t, http.StatusTooManyRequests, w.status)
			}
		}
	}
	require.LessOrEqual(t, registered, 1000)
	require.EqualValues(t, registered, s.clients.Load())
	require.LessOrEqual(t, s.keys.Load(), int64(20*sources+1000))
	require.LessOrEqual(t, s.calls.Load(), int64(tries*29))
	require.Zero(t, s.grants.Load())
	t.Logf("%d registrations of %d sources: %d clients, %d keys, %d attempts to write", tries, sources, registered, s.keys.Load(), s.calls.Load())
}

// TestDenialOfServiceByGuesses weighs wrong secrets where a client has one that a person chose,
// which is hashed slowly.
func TestDenialOfServiceByGuesses(t *testing.T) {
	v, _ := besieged(t, new(authwright.Memory))
	require.NoError(t, v.store.AddClient(t.Context(), &authwright.Client{
		ID: "chosen", Secrets: []authwright.ClientSecret{authwright.ChosenSecret("sesame")}, RedirectURIs: []string{c1URI},
	}))
	const cpu = 50 * time.Millisecond
	v.weighAll(t, []burden{
		{name: "K08 a wrong secret that was chosen", make: posting("/token", "client_id=chosen&client_secret=x"), status: 401},
		{name: "K08 an unknown client's secret", make: posting("/token", "client_id=nobody&client_secret=x"), status: 401},
		{name: "K08 no secret", make: posting("/token", "client_id=chosen"), status: 401, cpu: cpu},
		{name: "K08 an unknown client", make: posting("/token", "client_id=nobody"), status: 401, cpu: cpu},
		{name: "K08 an unknown client's assertion", make: asserting(unverifiable(`{"alg":"RS256"}`, `{"sub":"nobody"}`)), status: 401, cpu: cpu},
	})
}

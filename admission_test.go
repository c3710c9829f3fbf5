package authwright_test

import (
	"context"
	"errors"
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

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// tooMany checks that a registration was refused for now.
func tooMany(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, http.StatusTooManyRequests, a.status, a.body)
	require.Equal(t, "temporarily_unavailable", a.json(t)["error"])
	require.Equal(t, "3600", a.header.Get("Retry-After"))
}

// bySource counts by a header, as behind a proxy.
func bySource(cfg *authwright.Config) {
	cfg.Source = func(r *http.Request) string { return r.Header.Get("X-Source") }
}

// Registration is open to everybody, and still cannot fill the storage.
func TestRegisterLimits(t *testing.T) {
	t.Parallel()
	t.Run("DR-06 a source registers 20 clients in an hour", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, registration(), bySource)
		for range 20 {
			require.Equal(t, http.StatusCreated, w.register(newcomer, "X-Source", "192.0.2.1").status)
			refused(t, w.register(newcomer.with("redirect_uris", nil), "X-Source", "192.0.2.1"), "invalid_client_metadata") // costs nothing
		}
		tooMany(t, w.register(newcomer, "X-Source", "192.0.2.1"))
		for _, other := range []string{"192.0.2.2", "192.0.2.1:1", "", strings.Repeat("x", 1000), "\xff"} {
			require.Equal(t, http.StatusCreated, w.register(newcomer, "X-Source", other).status, other)
		}
		w.advance(time.Hour - time.Millisecond)
		tooMany(t, w.register(newcomer, "X-Source", "192.0.2.1"))
		w.advance(time.Millisecond)
		require.Equal(t, http.StatusCreated, w.register(newcomer, "X-Source", "192.0.2.1").status)
	})
	for _, tc := range []struct {
		name       string
		taken, new string
		same       bool
	}{
		{"DR-06 without a Source, an address is one", "192.0.2.1:1024", "192.0.2.1:1025", true},
		{"DR-06 another address is another source", "192.0.2.1:1024", "192.0.2.2:1024", false},
		{"DR-06 an IPv6 network is one source", "[2001:db8:0:1::1]:1024", "[2001:db8:0:ff:1:2:3:4]:1024", true},
		{"DR-06 another IPv6 network is another source", "[2001:db8:0:1::1]:1024", "[2001:db8:1:1::1]:1024", false},
		{"DR-06 an IPv4 address is the same in IPv6", "192.0.2.1:1024", "[::ffff:192.0.2.1]:1024", true},
		{"DR-06 no address is a source too", "@", "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, registration())
			for range 20 {
				require.Equal(t, http.StatusCreated, w.registerFrom(tc.taken))
			}
			want := map[bool]int{true: http.StatusTooManyRequests, false: http.StatusCreated}[tc.same]
			require.Equal(t, want, w.registerFrom(tc.new))
		})
	}
	t.Run("DR-06 forwarded addresses count only if the host says so", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, registration())
		for i := range 20 {
			require.Equal(t, http.StatusCreated, w.register(newcomer, "X-Forwarded-For", strconv.Itoa(i)).status)
		}
		tooMany(t, w.register(newcomer, "X-Forwarded-For", "20", "Forwarded", "for=20"))
	})
	t.Run("DR-06 all together register 1,000 in an hour", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, registration(), func(cfg *authwright.Config) {
			var n atomic.Int64
			cfg.Source = func(*http.Request) string { return strconv.FormatInt(n.Add(1), 10) }
		})
		created := 0
		for range 2500 {
			if w.registerFrom("") == http.StatusCreated {
				created++
			}
		}
		require.LessOrEqual(t, created, 1000)
		require.Greater(t, created, 950)
		w.advance(time.Hour)
		require.Equal(t, http.StatusCreated, w.registerFrom(""))
	})
	t.Run("DR-06 at once as well as one after the other", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, registration())
		var created atomic.Int64
		var wg sync.WaitGroup
		for range 2 * racers {
			wg.Go(func() {
				if w.registerFrom("192.0.2.1:1") == http.StatusCreated {
					created.Add(1)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 20, created.Load())
	})
	t.Run("DR-06 scopes are those on offer", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, registration(), alwaysAsk)
		for _, asked := range []any{nil, "read write admin"} {
			c := w.registered(newcomer.with("scope", asked))
			require.Equal(t, "read write", c["scope"])
			errorPage(t, w.signedIn("alice").authorize(asRegistered(c, "scope", "admin")))
		}
	})
}

// registerFrom registers a client over a connection from address, and returns the status.
func (w *world) registerFrom(address string) int {
	r := httptest.NewRequest(http.MethodPost, w.issuer+"/register", strings.NewReader(`{"redirect_uris":["https://new.example/cb"]}`))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = address
	rec := httptest.NewRecorder()
	w.srv.ServeRegister(rec, r)
	return rec.Code
}

func TestRegisterExpiry(t *testing.T) {
	t.Parallel()
	known := func(w *world, c map[string]any) bool {
		a := w.transmit("GET", "/register?client_id="+c["client_id"].(string), "", http.Header{"Authorization": {"Bearer " + c["registration_access_token"].(string)}})
		return a.status == http.StatusOK
	}
	t.Run("DR-06 a client that nobody uses is forgotten after a day", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, registration())
		c := w.registered(newcomer)
		q, b := asRegistered(c), w.signedIn("alice")
		consentPage(t, b.authorize(q)) // which is no use yet
		require.NotEmpty(t, b.decide(b.authorize(q), "deny").location(t).Get("error"))
		w.advance(24*time.Hour - time.Millisecond)
		require.True(t, known(w, c))
		page := b.authorize(q)
		consentPage(t, page)
		w.advance(time.Millisecond)
		require.False(t, known(w, c))
		errorPage(t, b.decide(page, "approve", "read"))
		errorPage(t, b.authorize(q))
		n, err := w.store.DeleteExpired(t.Context(), w.now(), 0)
		require.NoError(t, err)
		require.NotZero(t, n)
		_, err = w.store.Client(t.Context(), c["client_id"].(string))
		require.ErrorIs(t, err, authwright.ErrNotFound, "the room is free again")
	})
	t.Run("DR-06 the first consent makes it last", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, registration())
		c := w.registered(newcomer.with("grant_types", []string{"authorization_code", "refresh_token"}))
		a := w.token(codeForm(w.code(asRegistered(c)), "redirect_uri", ""), c["client_id"].(string), c["client_secret"].(string))
		w.advance(10 * 24 * time.Hour)
		_, err := w.store.DeleteExpired(t.Context(), w.now(), 0)
		require.NoError(t, err)
		require.True(t, known(w, c))
		a = w.token(refreshForm(a.json(t)["refresh_token"].(string)), c["client_id"].(string), c["client_secret"].(string))
		require.Equal(t, http.StatusOK, a.status, a.body)
	})
	t.Run("DR-06 an end that the host has set stays", func(t *testing.T) {
		t.Parallel()
		var w *world
		w = newWorld(t, registration(func(r *authwright.Registration) {
			r.Admit = func(_ *http.Request, c *authwright.Client) error {
				c.ExpiresAt = w.now().Add(48 * time.Hour)
				return nil
			}
		}))
		c := w.registered(newcomer)
		require.NotEmpty(t, w.code(asRegistered(c)))
		w.advance(48*time.Hour - time.Millisecond)
		require.True(t, known(w, c))
		w.advance(time.Millisecond)
		require.False(t, known(w, c))
	})
}

func TestInitialAccessToken(t *testing.T) {
	t.Parallel()
	token, inDatabase := authwright.NewSecret()
	limited, alsoInDatabase := authwright.NewSecret()
	w := newWorld(t, registration(func(r *authwright.Registration) {
		alsoInDatabase.ExpiresAt = time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)
		r.InitialAccessTokens = []authwright.ClientSecret{inDatabase, alsoInDatabase}
	}))
	for name, header := range map[string]string{
		"none": "", "a wrong one": "Bearer " + strings.Repeat("x", len(token)), "an empty one": "Bearer ", "another scheme": "Basic " + token, "its hash": "Bearer " + inDatabase.Hash,
	} {
		t.Run("DR-06 an initial access token is required, and there is "+name, func(t *testing.T) {
			for _, said := range []profile{newcomer, newcomer.with("redirect_uris", nil)} {
				h := []string{"Authorization", header}
				if header == "" {
					h = nil
				}
				a := w.register(said, h...)
				require.Equal(t, http.StatusUnauthorized, a.status, a.body)
				require.Equal(t, "invalid_token", a.json(t)["error"])
				require.True(t, strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer"))
			}
		})
	}
	t.Run("DR-06 whoever brings one is neither counted nor forgotten", func(t *testing.T) {
		var c map[string]any
		for range 30 {
			a := w.register(newcomer, "Authorization", "bearer "+token)
			require.Equal(t, http.StatusCreated, a.status, a.body)
			c = a.json(t)
		}
		require.Equal(t, http.StatusCreated, w.register(newcomer, "Authorization", "Bearer "+limited).status)
		w.advance(time.Hour)
		require.Equal(t, http.StatusUnauthorized, w.register(newcomer, "Authorization", "Bearer "+limited).status)
		w.advance(48 * time.Hour)
		consentPage(t, w.signedIn("alice").authorize(asRegistered(c)))
	})
	t.Run("DR-06 tokens that could not be checked are found at the start", func(t *testing.T) {
		for _, bad := range []authwright.ClientSecret{{}, {Hash: "secret"}, {Hash: "pbkdf2-sha256:1:AAAA:" + strings.Repeat("A", 43)}} {
			cfg := minimal(t)
			registration(func(r *authwright.Registration) { r.InitialAccessTokens = []authwright.ClientSecret{bad} })(&cfg)
			_, err := authwright.NewServer(cfg)
			require.ErrorContains(t, err, "InitialAccessTokens")
		}
		cfg := minimal(t)
		cfg.Registration = new(authwright.Registration)
		_, err := authwright.NewServer(cfg)
		require.ErrorContains(t, err, "Registration: Clients is required")
	})
}

// fullDisk is a ClientStore that takes no more.
type fullDisk struct{ *authwright.Memory }

func (fullDisk) AddClient(context.Context, *authwright.Client) error    { return errDown }
func (fullDisk) UpdateClient(context.Context, *authwright.Client) error { return errDown }

func TestRegisterAdmit(t *testing.T) {
	t.Parallel()
	t.Run("DR-06 the host has the last word", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, registration(func(r *authwright.Registration) {
			r.Admit = func(_ *http.Request, c *authwright.Client) error {
				if c.Name == "Evil" {
					return errors.New("secret reason")
				}
				c.ID, c.Scopes, c.DefaultScopes = "web", []string{"read"}, nil
				c.Unverified = c.Name != "Partner"
				if c.Name == "Broken" {
					c.RedirectURIs = nil
				}
				return nil
			}
		}))
		for _, name := range []string{"Evil", "Broken"} {
			a := w.register(newcomer.with("client_name", name))
			refused(t, a, "invalid_client_metadata")
			require.NotContains(t, a.body, "reason")
		}
		robot := newcomer.with("grant_types", []string{"client_credentials"}, "response_types", []string{}, "redirect_uris", []string{}, "client_name", "Robot")
		refused(t, w.register(robot), "invalid_client_metadata")
		c := w.registered(robot.with("client_name", "Partner"))
		require.NotEqual(t, "web", c["client_id"], "an ID is not the host's to choose")
		require.Equal(t, "read", c["scope"])
		a := w.token(itself("scope", "read"), c["client_id"].(string), c["client_secret"].(string))
		require.Equal(t, http.StatusOK, a.status, a.body)
	})
	t.Run("DR-01 what could not be stored is not registered", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, registration(func(r *authwright.Registration) { r.Clients = fullDisk{r.Clients.(*authwright.Memory)} }))
		a := w.register(newcomer)
		require.Equal(t, http.StatusServiceUnavailable, a.status)
		require.NotContains(t, a.body, "client_id")
		require.NotContains(t, a.body, errDown.Error())
		require.NotContains(t, w.happened(), authwright.EventClientRegistered)
	})
}

// Nobody is made to connect to what a stranger names.
func TestRegisterFetchesNothing(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
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
	here := fmt.Sprintf("https://%s/", l.Addr())
	t.Run("DR-09 registering fetches nothing", func(t *testing.T) {
		w := newWorld(t, registration(), func(cfg *authwright.Config) { cfg.InsecureFetchLoopback = true })
		c := w.registered(newcomer.with("logo_uri", here+"logo", "sector_identifier_uri", here+"sector", "jwks_uri", here+"jwks", "backchannel_logout_uri", here+"logout",
			"client_uri", here, "policy_uri", here, "tos_uri", here, "initiate_login_uri", here, "request_uris", []string{here}))
		page := w.signedIn("alice").authorize(asRegistered(c))
		consentPage(t, page)
		require.NotContains(t, page.body, "logo")
		require.Zero(t, connections.Load())
	})
	for _, local := range []bool{false, true} {
		t.Run(fmt.Sprintf("DR-09 nor are its keys fetched from this machine, unless that is allowed: %v", local), func(t *testing.T) {
			w := newWorld(t, registration(), func(cfg *authwright.Config) { cfg.InsecureFetchLoopback = local })
			id := w.registered(newcomer.with("token_endpoint_auth_method", "private_key_jwt", "jwks_uri", here+"jwks"))["client_id"].(string)
			later(t, w.present(signJWT(t, jose.ES256, newKey(t), nil, w.statement(id, nil))))
			require.Equal(t, local, connections.Load() > 0)
		})
	}
}

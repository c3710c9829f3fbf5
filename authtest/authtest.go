// Package authtest gives tests a real authorization server: the handlers, the tokens and
// the refusals of production, in the test's own process, with nothing to set up.
//
// # Testing a resource server
//
// Mint whatever token a case needs, and send it:
//
//	func TestNotes(t *testing.T) {
//		as := authtest.NewServer(t)
//		api := httptest.NewServer(notes.Handler(as.Issuer))
//		defer api.Close()
//
//		token := as.Token(authtest.Token{Subject: "alice", Scopes: []string{"notes:read"}})
//		resp, err := as.Client(token).Get(api.URL + "/notes")
//		…
//	}
//
// The handler is the one that runs in production: it finds the keys by the metadata of
// its issuer. [Server.Verifier] is for a handler that takes a verifier.
//
// # Testing a client
//
// Configure it with as.Issuer and one of the built-in clients, [ConfidentialClient] or
// [PublicClient]. They may have every scope and be redirected to every URI, so there is
// nothing to register. Then sign in with [Server.Login], a browser that has no window:
//
//	resp, err := as.Login("alice").Get(app.URL + "/login") // ends at the application
//
// A program that waits for a code on its own is given one by [Server.Authorize].
//
// # Testing what goes wrong
//
// [Server.Advance] lets tokens expire, [Server.Revoke] ends an authorization,
// [Server.RotateKeys] and [Server.ReplaceKeys] change the keys, [Server.Deny] is a user
// who does not want to, and [Server.Fail] is an outage.
package authtest

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/resource"
)

// A Server is an authorization server that listens on this machine until its test ends.
// It is safe for concurrent use. A method that cannot do what it is asked for and returns
// no error ends the test that [NewServer] was given, so it must be called from that
// test's goroutine or from a subtest's.
type Server struct {
	*authwright.Server

	// Issuer is the server's URL.
	Issuer string

	// Secret is the client secret of [ConfidentialClient].
	Secret string

	// Store keeps the grants, and the clients that the test adds with
	// [authwright.Memory.AddClient]. One with the ID of a built-in client takes
	// its place. It is empty, and of no use, if the test has set Config.Storage.
	Store *authwright.Memory

	t       testing.TB
	origin  string // of Issuer
	handler http.Handler
	network *http.Transport
	storage storage
	clock   func() time.Time
	ahead   atomic.Int64 // by how much Now is ahead of clock, in nanoseconds

	mu       sync.Mutex
	failure  error
	keys     []authwright.SigningKey
	sessions map[string]authwright.User
	granted  registered
	claims   map[string]map[string]any // by grant
	events   []authwright.Event
}

// NewServer starts a server that stops at the end of t. Each of changes is applied, in
// turn, to its configuration before it starts: it may add to what is there, such as
// Resources, and replace any of it. What a change installs is in use together with
// what this package does, be it Claims, OnEvent, an Authenticator or a Storage.
//
// Without changes it is an OpenID Provider that accepts every scope and whose tokens are
// for the Issuer as audience. Its userinfo endpoint makes up a name and an email address
// for everybody, and its log is the test's.
func NewServer(t testing.TB, changes ...func(*authwright.Config)) *Server {
	t.Helper()
	s := &Server{
		Store: new(authwright.Memory), t: t, network: new(http.Transport), clock: time.Now,
		sessions: make(map[string]authwright.User), claims: make(map[string]map[string]any),
	}
	listener := httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		listener.Close()
		s.network.CloseIdleConnections()
		if s.Server != nil {
			s.Server.Close(context.Background()) // its fetches give up by themselves
		}
	})
	keys, err := firstKeys()
	if err != nil {
		t.Fatalf("authtest: %v", err)
	}
	s.Store.Now = s.Now
	cfg := authwright.Config{
		Issuer:      "http://" + listener.Listener.Addr().String(),
		Storage:     s.Store,
		Index:       s.Store,
		SigningKeys: keys,
		OpenID:      &authwright.OpenID{UserInfo: describe, Logout: s.logout},
		Logger:      slog.New(slog.NewTextHandler(t.Output(), nil)),
		Now:         time.Now,
	}
	for _, change := range changes {
		change(&cfg)
	}
	if err := s.start(cfg); err != nil {
		t.Fatalf("authtest: %v", err)
	}
	listener.Start()
	return s
}

// start makes the server of cfg, with all that this package has a hand in.
func (s *Server) start(cfg authwright.Config) error {
	issuer, err := url.Parse(cfg.Issuer)
	if err != nil {
		return err
	}
	s.Issuer, s.origin = cfg.Issuer, issuer.Scheme+"://"+issuer.Host
	if cfg.Now != nil {
		s.clock = cfg.Now
	}
	cfg.Now = s.Now
	secret, stored := authwright.NewSecret()
	s.Secret = secret
	s.storage = storage{s, cfg.Storage, stored, []string{cfg.Issuer}}
	for _, r := range cfg.Resources {
		s.storage.resources = append(s.storage.resources, r.ID)
	}
	switch {
	case cfg.Index == nil:
	case cfg.Index == s.Store && cfg.Storage != s.Store:
		cfg.Index = nil // which would find nothing
	default:
		cfg.Index = index{s, cfg.Index}
	}
	if cfg.Storage != nil {
		cfg.Storage = s.storage
	}
	cfg.Authenticator = s.authenticator(cfg.Authenticator)
	cfg.Claims = s.withClaims(cfg.Claims)
	cfg.OnEvent = s.recording(cfg.OnEvent)
	s.keys = slices.Clone(cfg.SigningKeys)
	cfg.SigningKeys = s.breakable(s.keys)

	if s.Server, err = authwright.NewServer(cfg); err != nil {
		return err
	}
	mux := http.NewServeMux()
	s.Server.Register(mux)
	mux.HandleFunc("GET "+loginPath, s.serveLogin)
	mux.HandleFunc("POST "+loginPath, s.takeLogin)
	s.handler = mux
	return nil
}

// serve answers every request, from the network and from this package.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if s.failing() != nil && isDocument(r.URL.Path) {
		http.Error(w, "authtest: the server is failing, as it was told to", http.StatusServiceUnavailable)
		return
	}
	s.learn(r)
	s.handler.ServeHTTP(w, r)
}

// Now is the time by the server's clock, which is the machine's, unless Config.Now is
// another, plus what [Server.Advance] has added.
func (s *Server) Now() time.Time { return s.clock().Add(time.Duration(s.ahead.Load())) }

// Advance moves the server's clock, and that of every [Server.Verifier], by d.
//
// A resource server that keeps to its own clock sees nothing of it. For that one, mint
// the token in the past:
//
//	as.Advance(-time.Hour)
//	expired := as.Token(authtest.Token{})
//	as.Advance(time.Hour)
func (s *Server) Advance(d time.Duration) { s.ahead.Add(int64(d)) }

// Events returns what has happened so far, oldest first.
func (s *Server) Events() []authwright.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// Verifier returns a verifier of the tokens that the server makes for audience, by the
// server's clock. An audience other than Issuer must be one of Config.Resources, or
// there will be no such token. It may be changed until it is used.
func (s *Server) Verifier(audience string) *resource.Verifier {
	return &resource.Verifier{Issuer: s.Issuer, Audience: audience, Now: s.Now, Keys: func(ctx context.Context) ([]byte, error) {
		if err := s.failing(); err != nil {
			return nil, err
		}
		return s.JWKS(ctx)
	}}
}

func (s *Server) recording(host func(context.Context, authwright.Event)) func(context.Context, authwright.Event) {
	return func(ctx context.Context, e authwright.Event) {
		s.mu.Lock()
		s.events = append(s.events, e)
		s.mu.Unlock()
		if host != nil {
			host(ctx, e)
		}
	}
}

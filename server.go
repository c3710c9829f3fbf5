package authwright

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Server is an OAuth 2.0 authorization server. All it remembers is in its
// [Storage], so that any number of Servers can share the work. It is safe for
// concurrent use.
type Server struct {
	cfg       Config
	base      string // path of the issuer
	origin    string // scheme and host of the issuer
	resources []Resource
	csrf      *http.CrossOriginProtection
	slow      *slowHashes
	fetch     *fetcher
	keys      keyring
	clients   clientCache
	metadata  atomic.Pointer[document]
	anyScope  bool // the host has listed none

	background sync.WaitGroup              // telling clients of logouts
	routes     map[string]http.HandlerFunc // by path, less the issuer's
	wellKnown  map[string]http.HandlerFunc // by path, from the root
}

// NewServer returns a Server for cfg, or an error that names the field at fault.
// It keeps no reference to the slices of cfg.
func NewServer(cfg Config) (*Server, error) {
	anyScope := cfg.Scopes == nil // before those of OpenID Connect are there
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("authwright: Config.%w", err)
	}
	u, err := url.Parse(cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("authwright: Config.Issuer: %w", err)
	}
	s := &Server{
		cfg:       cfg,
		base:      u.Path,
		origin:    u.Scheme + "://" + u.Host,
		resources: cfg.Resources,
		anyScope:  anyScope,
		csrf:      http.NewCrossOriginProtection(),
		slow:      newSlowHashes(),
		fetch:     newFetcher(cfg.Now, cfg.InsecureFetchLoopback, cfg.FetchRoots),
	}
	// Behind a proxy that rewrites Host, the origin of our own pages is still
	// the issuer's.
	if err := s.csrf.AddTrustedOrigin(s.origin); err != nil {
		return nil, fmt.Errorf("authwright: Config.Issuer: %w", err)
	}
	s.routes = map[string]http.HandlerFunc{
		pathAuthorize:  s.ServeAuthorize,
		pathConsent:    s.ServeConsent,
		pathToken:      s.ServeToken,
		pathJWKS:       s.ServeJWKS,
		pathRevoke:     s.ServeRevoke,
		pathIntrospect: s.ServeIntrospect,
	}
	if cfg.Registration != nil {
		s.routes[pathRegister] = s.ServeRegister
	}
	s.wellKnown = map[string]http.HandlerFunc{
		"/.well-known/oauth-authorization-server" + s.base: s.ServeMetadata,
	}
	if cfg.OpenID != nil {
		s.routes[pathUserInfo] = s.ServeUserInfo
		s.routes[pathDiscovery] = s.ServeMetadata
		s.wellKnown[pathDiscovery+s.base] = s.ServeMetadata
		if cfg.OpenID.Logout != nil {
			s.routes[pathLogout] = s.ServeLogout
		}
	}
	if err := s.SetSigningKeys(cfg.SigningKeys...); err != nil {
		return nil, err
	}
	return s, nil
}

// Paths of the endpoints below the issuer's.
const (
	pathAuthorize  = "/authorize"
	pathConsent    = "/consent"
	pathToken      = "/token"
	pathJWKS       = "/jwks"
	pathRevoke     = "/revoke"
	pathIntrospect = "/introspect"
	pathRegister   = "/register"
	pathUserInfo   = "/userinfo"
	pathLogout     = "/logout"
	pathDiscovery  = "/.well-known/openid-configuration"
)

// Paths returns the path of every endpoint, from the root of the issuer's host. A
// host exempts them from its own CSRF protection: the server brings its own, and
// the clients that call the token endpoint have no cookie to protect.
func (s *Server) Paths() []string {
	paths := slices.Collect(maps.Keys(s.wellKnown))
	for path := range s.routes {
		paths = append(paths, s.base+path)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Register mounts every endpoint on mux, the well-known documents included. Its
// patterns name their methods, so that they go together with a "GET /" of the host.
func (s *Server) Register(mux *http.ServeMux) {
	for _, path := range s.Paths() {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
			mux.Handle(method+" "+path, s)
		}
	}
}

// ServeHTTP serves every endpoint. Mount it below the issuer's path, with or
// without [http.StripPrefix], and its well-known documents at the root; or let
// [Server.Register] do so; or mount the Serve methods one by one.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if h, ok := s.routes[strings.TrimPrefix(path, s.base)]; ok {
		h(w, r)
	} else if h, ok := s.wellKnown[path]; ok {
		h(w, r)
	} else {
		http.NotFound(w, r)
	}
}

// now is the server's clock, in the precision that every storage keeps.
func (s *Server) now() time.Time { return s.cfg.Now().UTC().Truncate(time.Millisecond) }

// bounded gives r as much time as the host allows a request.
func (s *Server) bounded(r *http.Request) (*http.Request, *deadline) {
	d := &deadline{Context: s.withSource(r), at: time.Now().Add(s.cfg.RequestTimeout)}
	return r.WithContext(d), d
}

// serveAPI serves an endpoint that clients call directly. What endpoint returns is answered as
// JSON, and nothing as 204.
func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request, endpoint func(http.ResponseWriter, *http.Request) (any, error), methods ...string) {
	if preflight(w, r, methods...) || !allow(w, r, methods...) {
		return
	}
	if r.Header.Get("Origin") != "" {
		w.Header().Add("Vary", "Origin")
	}
	r, d := s.bounded(r)
	defer d.stop()
	v, err := endpoint(w, r)
	switch v := v.(type) {
	case nil:
		if err != nil {
			s.writeError(w, r, err)
			return
		}
		w.Header()["Cache-Control"] = headerNoStore
		w.WriteHeader(http.StatusNoContent)
	case object:
		writeBody(w, http.StatusOK, v.json())
	case *tokenResponse:
		writeBody(w, http.StatusOK, v.json())
	case *registrationResponse:
		writeJSON(w, v.status, v)
	default:
		writeJSON(w, http.StatusOK, v)
	}
}

// allow reports whether r has one of methods, and answers 405 if not.
func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	return false
}

// writeError answers err as JSON (RFC 6749, section 5.2) and logs what the client
// is not told.
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	s.log(r, e)
	if (e.Code == ErrInvalidToken || e.Code == ErrInsufficientScope) && w.Header().Get("WWW-Authenticate") == "" {
		w.Header().Set("WWW-Authenticate", challenge(r, e))
	}
	if e.Code == ErrInvalidClient && r.Header.Values("Authorization") != nil {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+s.cfg.Issuer+`", charset="UTF-8"`)
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter(e.RetryAfter)))
	}
	writeJSON(w, e.status(), struct {
		Code        ErrorCode `json:"error"`
		Description string    `json:"error_description,omitempty"`
	}{e.Code, printable(e.Description)})
}

// challenge is the WWW-Authenticate of RFC 6750, section 3. A request that brought no
// token is told no error.
func challenge(r *http.Request, e *Error) string {
	if _, present := bearer(r); !present {
		return "Bearer"
	}
	return `Bearer error="` + string(e.Code) + `", error_description="` + printable(e.Description) + `"`
}

func (s *Server) log(r *http.Request, e *Error) {
	level := slog.LevelInfo
	if e.status() >= 500 {
		level = slog.LevelError
	}
	s.cfg.Logger.LogAttrs(r.Context(), level, "authwright: request refused",
		slog.String("path", limit(r.URL.Path)),
		slog.String("error", string(e.Code)),
		slog.String("description", e.Description),
		slog.Any("cause", e.Err))
}

// writeJSON answers v, which nobody may cache (RFC 6749, section 5.1).
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // only for types that are ours
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	writeBody(w, status, body)
}

func writeBody(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = headerJSON
	h["Cache-Control"] = headerNoStore
	h["Pragma"] = headerNoCache
	h["X-Content-Type-Options"] = headerNoSniff
	w.WriteHeader(status)
	w.Write(body)
}

var (
	headerJSON    = []string{"application/json"}
	headerNoStore = []string{"no-store"}
	headerNoCache = []string{"no-cache"}
	headerNoSniff = []string{"nosniff"}
)

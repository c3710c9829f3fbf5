package authwright

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Registration lets clients register themselves (RFC 7591) and manage their
// registration (RFC 7592).
//
// Registration that nobody authenticates cannot fill the storage: one address may
// register 20 clients in an hour, all together 1,000, and a client to which no user has
// consented within a day is forgotten. Those that bring an initial access token are not
// counted and not forgotten.
type Registration struct {
	// Clients is where registrations are kept. All stores of this module fit. It
	// must be what [Config.Storage] reads.
	Clients ClientStore

	// Scopes such clients may ask for. Nil means all of [Config.Scopes].
	Scopes []string

	// InitialAccessTokens, if not nil, are required: a request must bring one. See
	// [NewSecret].
	InitialAccessTokens []ClientSecret

	// Admit, if set, has the last word: it may change c or refuse it by an error.
	Admit func(r *http.Request, c *Client) error

	// Source, if set, says where a request comes from, for counting. Nil means
	// the address of the connection, which behind a proxy is the proxy's.
	Source func(r *http.Request) string
}

// A ClientStore keeps client registrations. AddClient returns [ErrConflict] if the ID is
// taken; the others return [ErrNotFound] if it is not.
type ClientStore interface {
	AddClient(ctx context.Context, c *Client) error
	UpdateClient(ctx context.Context, c *Client) error
	DeleteClient(ctx context.Context, id string) error
}

const (
	maxRegistration     = 32 << 10 // bytes
	registrationsSource = 20       // from one source in an hour
	registrationsTotal  = 1000     // in an hour
	registrationUnused  = 24 * time.Hour
)

// A registered client's answer (RFC 7591, section 3.2.1; RFC 7592, section 3).
type registrationResponse struct {
	clientMetadata
	IssuedAt      int64  `json:"client_id_issued_at,omitempty"`
	Secret        string `json:"client_secret,omitempty"`
	SecretExpires *int64 `json:"client_secret_expires_at,omitempty"`
	AccessToken   string `json:"registration_access_token,omitempty"`
	URI           string `json:"registration_client_uri"`

	status int // of the HTTP answer
}

// ServeRegister serves the client registration endpoint: POST registers a client; GET,
// PUT and DELETE manage the one that the registration access token is for.
func (s *Server) ServeRegister(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Registration == nil {
		http.NotFound(w, r)
		return
	}
	endpoint := s.manage
	if r.Method == http.MethodPost {
		endpoint = s.register
	}
	s.serveAPI(w, r, endpoint, http.MethodPost, http.MethodGet, http.MethodPut, http.MethodDelete)
}

func (s *Server) register(w http.ResponseWriter, r *http.Request) (any, error) {
	c, secret, err := s.readRegistration(w, r)
	if err != nil {
		return nil, err
	}
	trusted, err := s.admitRegistration(r)
	if err != nil {
		return nil, err
	}
	// No URL, so no client document; and random, so no user's subject.
	c.ID = rand.Text()
	c.CreatedAt = s.now()
	if !trusted {
		c.ExpiresAt = c.CreatedAt.Add(registrationUnused)
	}
	token, stored := NewSecret()
	c.RegistrationToken = stored.Hash
	if err := s.admit(r, c); err != nil {
		return nil, err
	}
	if err := s.cfg.Registration.Clients.AddClient(r.Context(), c); err != nil {
		return nil, unavailable(err)
	}
	s.emit(r.Context(), EventClientRegistered, &Grant{ClientID: c.ID}, "")
	resp := s.describeRegistration(c, secret, token)
	resp.status = http.StatusCreated
	return resp, nil
}

// admit lets the host change c, and checks what came of it.
func (s *Server) admit(r *http.Request, c *Client) error {
	if s.cfg.Registration.Admit != nil {
		if err := s.cfg.Registration.Admit(r, c); err != nil {
			return &Error{Code: ErrInvalidClientMetadata, Description: "the registration was refused", Err: err}
		}
	}
	if err := c.Validate(); err != nil {
		return &Error{Code: ErrInvalidClientMetadata, Description: "the metadata contradict each other", Err: err}
	}
	return nil
}

// readRegistration reads the metadata of a client and, if it is to have one, makes its
// secret.
func (s *Server) readRegistration(w http.ResponseWriter, r *http.Request) (c *Client, secret string, err error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return nil, "", &Error{Code: ErrInvalidClientMetadata, Description: "the body must be application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRegistration))
	if err != nil {
		return nil, "", &Error{Code: ErrInvalidClientMetadata, Description: "the body is too large", Status: http.StatusRequestEntityTooLarge}
	}
	var m clientMetadata
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, "", metadataFault("the body is not a JSON object of client metadata")
	}
	if m.SoftwareStatement != "" {
		return nil, "", &Error{Code: "unapproved_software_statement", Description: "software statements are not supported"}
	}
	m.ID, m.Secret, m.SecretExpires = "", nil, nil // the server's to say
	if m, err = m.withDefaults(AuthSecretBasic); err != nil {
		return nil, "", err
	}
	if c, err = m.client(s.offered(s.cfg.Registration.Scopes)); err != nil {
		return nil, "", err
	}
	c.allowOrigin(w, r)
	if err := checkApplicationType(c); err != nil {
		return nil, "", err
	}
	if c.AuthMethod == AuthSecretBasic || c.AuthMethod == AuthSecretPost {
		var stored ClientSecret
		secret, stored = NewSecret()
		c.Secrets = []ClientSecret{stored}
	}
	return c, secret, nil
}

// checkApplicationType keeps web applications off the user's device (OpenID Connect
// Registration, section 2), as far as that does not lock out those who left the type at
// its default: a public client on the loopback interface is a native one.
func checkApplicationType(c *Client) error {
	for _, uri := range c.RedirectURIs {
		if isHTTPS(uri) {
			continue
		}
		if !c.Native && c.AuthMethod != AuthNone {
			return &Error{Code: ErrInvalidRedirectURI, Description: "a web application must redirect to https; register application_type native"}
		}
		c.Native = true
	}
	return nil
}

// admitRegistration reports whether somebody vouches for the request, or else whether
// it is within bounds.
func (s *Server) admitRegistration(r *http.Request) (trusted bool, err error) {
	tokens := s.cfg.Registration.InitialAccessTokens
	if tokens == nil {
		return false, s.countRegistration(r)
	}
	token, _ := bearer(r)
	for _, stored := range tokens {
		h, err := stored.parse()
		if err == nil && h.rounds == 0 && token != "" && same(h.sum, hash([]byte(token))) && (stored.ExpiresAt.IsZero() || s.now().Before(stored.ExpiresAt)) {
			return true, nil
		}
	}
	return false, errInitialAccessToken
}

var errInitialAccessToken = &Error{Code: ErrInvalidToken, Description: "an initial access token is required"}

// countRegistration takes one of a source's places, and one of everybody's.
func (s *Server) countRegistration(r *http.Request) error {
	source := remoteSource(r)
	if s.cfg.Registration.Source != nil {
		source = s.cfg.Registration.Source(r)
	}
	until := time.Now().Add(time.Hour) // the storage's clock, not the server's
	for i := range registrationsSource {
		ok, err := s.takePlace(r.Context(), "register:"+source+":"+strconv.Itoa(i), until)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		for range 8 { // a free one of many is found soon, if there are any to speak of
			n, err := rand.Int(rand.Reader, big.NewInt(registrationsTotal))
			if err != nil {
				return err
			}
			if ok, err := s.takePlace(r.Context(), "register::"+n.String(), until); ok || err != nil {
				return err
			}
		}
		break
	}
	return &Error{Code: ErrTemporarilyUnavailable, Description: "too many registrations", Status: http.StatusTooManyRequests, RetryAfter: time.Hour}
}

func (s *Server) takePlace(ctx context.Context, key string, until time.Time) (bool, error) {
	err := s.cfg.Storage.UseOnce(ctx, key, until)
	if errors.Is(err, ErrConflict) {
		return false, nil
	} else if err != nil {
		return false, unavailable(err)
	}
	return true, nil
}

// remoteSource is the network that r came from: for IPv6, what one customer has.
func remoteSource(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "unknown"
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		if p, err := ip.Prefix(56); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

// keepClient makes the registration of a client that a user has consented to last.
func (s *Server) keepClient(ctx context.Context, c *Client) error {
	if s.cfg.Registration == nil || c.ExpiresAt.IsZero() {
		return nil
	}
	c.ExpiresAt = time.Time{}
	return s.cfg.Registration.Clients.UpdateClient(ctx, c)
}

// describeRegistration is everything that is registered, defaults included.
func (s *Server) describeRegistration(c *Client, secret, token string) *registrationResponse {
	resp := &registrationResponse{
		status:         http.StatusOK,
		clientMetadata: c.describe(),
		Secret:         secret,
		AccessToken:    token,
		URI:            s.cfg.Issuer + pathRegister + "?client_id=" + url.QueryEscape(c.ID),
	}
	if !c.CreatedAt.IsZero() {
		resp.IssuedAt = c.CreatedAt.Unix()
	}
	if secret != "" {
		resp.SecretExpires = new(int64) // never
	}
	return resp
}

// bearer returns the token of the Authorization header (RFC 6750, section 2.1), and
// whether there are credentials at all.
func bearer(r *http.Request) (token string, present bool) {
	header := r.Header.Values("Authorization")
	if len(header) != 1 {
		return "", len(header) > 0
	}
	scheme, token, _ := strings.Cut(header[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", true
	}
	return strings.TrimSpace(token), true
}

package authwright

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json" // knows one spelling of a name, and refuses it twice
)

// Registration lets clients register themselves (RFC 7591) and manage their
// registration (RFC 7592).
//
// Registration that nobody authenticates cannot fill the storage: one source, see
// [Config.Source], may register 20 clients in an hour, all together 1,000, each of 8 KiB
// at most, and a client to which no user has consented within a day is forgotten. Those
// that bring an initial access token are not counted and not forgotten.
type Registration struct {
	// Clients is where registrations are kept. All stores of this module fit. It
	// must be what [Config.Storage] reads.
	Clients ClientStore

	// Scopes such clients may ask for. Nil means all of [Config.Scopes].
	Scopes []string

	// InitialAccessTokens, if not nil, are required: a request must bring one. See
	// [NewSecret].
	InitialAccessTokens []ClientSecret

	// Admit, if set, has the last word on a registration, and on each change of one:
	// it may change c, save for its ID, or refuse it by an error. A client acts for
	// itself (client_credentials) only if Admit makes it not Unverified.
	Admit func(r *http.Request, c *Client) error
}

// A ClientStore keeps client registrations. AddClient returns [ErrConflict] if the ID is
// taken; the others return [ErrNotFound] if it is not.
type ClientStore interface {
	AddClient(ctx context.Context, c *Client) error
	UpdateClient(ctx context.Context, c *Client) error
	DeleteClient(ctx context.Context, id string) error
}

const (
	maxRegistration     = 8 << 10 // bytes
	registrationsSource = 20      // from one source in an hour
	registrationsTotal  = 1000    // in an hour
	registrationUnused  = 24 * time.Hour
)

// withStrangers checks how clients introduce themselves, and makes that the server's own.
func (cfg *Config) withStrangers() error {
	if cfg.ClientDocuments != nil {
		d := *cfg.ClientDocuments
		d.Scopes = slices.Clone(d.Scopes)
		cfg.ClientDocuments = &d
	}
	if cfg.Registration == nil {
		return nil
	}
	r := *cfg.Registration
	r.Scopes, r.InitialAccessTokens = slices.Clone(r.Scopes), slices.Clone(r.InitialAccessTokens)
	cfg.Registration = &r
	if r.Clients == nil {
		return errors.New("Registration: Clients is required")
	}
	for _, token := range r.InitialAccessTokens {
		if h, err := token.parse(); err != nil || h.rounds > 0 {
			return errors.New("Registration: InitialAccessTokens must be those of NewSecret")
		}
	}
	return nil
}

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
	trusted, err := s.vouched(r)
	if err != nil {
		return nil, err
	}
	m, err := readMetadata(w, r)
	if err != nil {
		return nil, err
	}
	c, err := s.registrant(w, r, m)
	if err != nil {
		return nil, err
	}
	// No URL, so no client document; and random, so no user's subject.
	c.ID = rand.Text()
	c.CreatedAt = s.now()
	secret := c.newSecret()
	token, stored := NewSecret()
	c.RegistrationToken = stored.Hash
	if err := contradiction(c.Validate()); err != nil {
		return nil, err
	}
	if !trusted {
		c.ExpiresAt = c.CreatedAt.Add(registrationUnused)
		if err := s.countRegistration(r); err != nil {
			return nil, err
		}
	}
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

// newSecret gives c a secret if it is to have one.
func (c *Client) newSecret() (secret string) {
	if c.AuthMethod == AuthSecretBasic || c.AuthMethod == AuthSecretPost {
		var stored ClientSecret
		secret, stored = NewSecret()
		c.Secrets = []ClientSecret{stored}
	}
	return secret
}

// admit lets the host change c, and checks what came of it.
func (s *Server) admit(r *http.Request, c *Client) error {
	if s.cfg.Registration.Admit != nil {
		id := c.ID
		if err := s.cfg.Registration.Admit(r, c); err != nil {
			if r.Context().Err() != nil {
				return unavailable(err) // it did not get round to a verdict
			}
			return &Error{Code: ErrInvalidClientMetadata, Description: "the registration was refused", Err: err}
		}
		c.ID = id
	}
	return contradiction(c.usable())
}

// contradiction is what is wrong with a client as a whole, as it may see it.
func contradiction(err error) error {
	if e := new(Error); err == nil || errors.As(err, &e) {
		return err
	}
	return &Error{Code: ErrInvalidClientMetadata, Description: "the metadata contradict each other", Err: err}
}

// readMetadata reads what a client says of itself from the body of r.
func readMetadata(w http.ResponseWriter, r *http.Request) (m clientMetadata, err error) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return m, metadataFault("the body must be application/json")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRegistration))
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return m, &Error{Code: ErrInvalidClientMetadata, Description: "the body is too large", Status: http.StatusRequestEntityTooLarge}
	} else if err != nil {
		return m, &Error{Code: ErrInvalidClientMetadata, Description: "the body ended early", Err: err}
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return m, metadataFault("the body is not a JSON object of client metadata")
	}
	return m, nil
}

// registrant is the client that m describes, for the server to give an ID and a secret.
func (s *Server) registrant(w http.ResponseWriter, r *http.Request, m clientMetadata) (*Client, error) {
	if m.SoftwareStatement != "" {
		return nil, &Error{Code: "unapproved_software_statement", Description: "software statements are not supported"}
	}
	m.ID = "" // the server's to say
	m, err := m.withDefaults(AuthSecretBasic)
	if err != nil {
		return nil, err
	}
	c, err := s.describedClient(m, s.offered(s.cfg.Registration.Scopes))
	if err != nil {
		return nil, err
	}
	c.allowOrigin(w, r)
	for _, uri := range c.RedirectURIs {
		if !s.cfg.Profile.allowsRedirect(uri) {
			return nil, redirectFault("a redirect URI must be https or on the loopback interface")
		}
	}
	return c, checkApplicationType(c, m.Application)
}

// checkApplicationType keeps web applications off the user's device (OpenID Connect
// Registration, section 2). Public clients that leave out the type, as many do on the
// loopback interface, are taken for what they are.
func checkApplicationType(c *Client, declared string) error {
	if c.Native || !slices.ContainsFunc(c.RedirectURIs, func(uri string) bool { return !isHTTPS(uri) }) {
		return nil
	}
	if declared != "" || c.AuthMethod != AuthNone {
		return redirectFault("a web application must redirect to https; register application_type native")
	}
	c.Native = true
	return nil
}

func redirectFault(reason string) error {
	return &Error{Code: ErrInvalidRedirectURI, Description: reason}
}

// keepClient makes the registration of a client that a user has consented to last, unless
// the host has given it another end.
func (s *Server) keepClient(ctx context.Context, c *Client) error {
	if s.cfg.Registration == nil || c.ExpiresAt.IsZero() || !c.ExpiresAt.Equal(c.CreatedAt.Add(registrationUnused)) {
		return nil
	}
	defer s.forgetClient(c.ID)
	c, err := s.cfg.Storage.Client(ctx, c.ID) // as it is now, to change nothing else
	if err != nil {
		return err
	}
	c.ExpiresAt = time.Time{}
	return s.cfg.Registration.Clients.UpdateClient(ctx, c)
}

// describeRegistration is everything that is registered, defaults included.
func (s *Server) describeRegistration(c *Client, secret, token string) *registrationResponse {
	resp := &registrationResponse{
		status:         http.StatusOK,
		clientMetadata: s.metadataOf(c),
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

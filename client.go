package authwright

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Client is an application that may ask for tokens (RFC 6749, section 2).
type Client struct {
	ID   string `json:"client_id"`
	Name string `json:"client_name,omitempty"` // shown to the user; empty means ID

	// Secrets authenticate the client, any one of them; keep two while a secret
	// is being replaced. A client without any is public: it proves itself by
	// PKCE alone. See [NewSecret].
	Secrets []ClientSecret `json:"secrets,omitempty"`

	// AuthMethod is how the client authenticates. Empty means [AuthNone] for a
	// client without secrets, and [AuthSecretBasic] or [AuthSecretPost], as it
	// likes, for a client with secrets.
	AuthMethod AuthMethod `json:"token_endpoint_auth_method,omitempty"`

	// Native marks an application that is installed on its users' devices. What
	// it ships with is no secret, so it is treated as public even if it
	// authenticates (RFC 8252, section 8.5).
	Native bool `json:"native,omitempty"`

	// RedirectURIs are complete URIs, compared byte by byte. The port of a
	// loopback address, and of localhost for public clients, is free
	// (RFC 8252, section 7.3).
	RedirectURIs []string `json:"redirect_uris,omitempty"`

	// GrantTypes the client may use. Nil means authorization_code and
	// refresh_token; leave out refresh_token for a client that should not stay
	// signed in.
	GrantTypes []string `json:"grant_types,omitempty"`

	// Scopes it may ask for. DefaultScopes stand in for a request that names
	// none; if they are nil, such a request is refused unless Scopes is empty too.
	Scopes        []string `json:"scopes,omitempty"`
	DefaultScopes []string `json:"default_scopes,omitempty"`

	// Resources it may ask tokens for, by their IDs. Nil means all of
	// [Config.Resources].
	Resources []string `json:"resources,omitempty"`

	// Consent says when the user is asked.
	Consent ConsentPolicy `json:"consent,omitempty"`

	// Disabled refuses the client everything and keeps its registration.
	Disabled bool `json:"disabled,omitempty"`

	CreatedAt time.Time `json:"created_at,omitzero"`
}

// An AuthMethod is a way of authenticating a client, from the IANA registry of
// OAuth token endpoint authentication methods.
type AuthMethod string

// The supported methods.
const (
	AuthNone        AuthMethod = "none"                // client_id only
	AuthSecretBasic AuthMethod = "client_secret_basic" // Authorization header
	AuthSecretPost  AuthMethod = "client_secret_post"  // form parameters
)

// A ConsentPolicy says when the user is asked to consent to a client.
type ConsentPolicy string

const (
	// ConsentRemember asks once for each scope. A client whose identity nobody
	// can vouch for, which is a public client that does not redirect to https,
	// is asked for each time all the same (RFC 8252, section 8.6).
	ConsentRemember ConsentPolicy = ""

	// ConsentAlways asks each time.
	ConsentAlways ConsentPolicy = "always"

	// ConsentSkip never asks, with the exception that ConsentRemember makes. It
	// is for applications of the same owner as the server.
	ConsentSkip ConsentPolicy = "skip"
)

// Validate returns an error that names the first field that no server could
// accept. The stores of this module call it before they register a client.
func (c *Client) Validate() error {
	if err := c.validate(); err != nil {
		return fmt.Errorf("authwright: client %.64q: %w", c.ID, err)
	}
	return nil
}

func (c *Client) validate() error {
	if !isPrintableASCII(c.ID) || len(c.ID) > maxClientID {
		return errors.New("ID must be printable ASCII of at most 2048 bytes")
	}
	for _, uri := range c.RedirectURIs {
		if err := validateRedirectURI(uri); err != nil {
			return fmt.Errorf("RedirectURIs: %.256q %w", uri, err)
		}
	}
	for _, s := range slices.Concat(c.Scopes, c.DefaultScopes) {
		if !isScopeToken(s) {
			return fmt.Errorf("Scopes: %.64q is not a scope (RFC 6749, section 3.3)", s)
		}
	}
	if i := slices.IndexFunc(c.DefaultScopes, func(s string) bool { return !slices.Contains(c.Scopes, s) }); i >= 0 {
		return fmt.Errorf("DefaultScopes: %q is not among Scopes", c.DefaultScopes[i])
	}
	for _, s := range c.Secrets {
		if err := s.validate(); err != nil {
			return fmt.Errorf("Secrets: %w", err)
		}
	}
	switch c.AuthMethod {
	case AuthNone:
		if len(c.Secrets) > 0 {
			return errors.New("AuthMethod none contradicts Secrets")
		}
	case AuthSecretBasic, AuthSecretPost:
		if len(c.Secrets) == 0 {
			return fmt.Errorf("AuthMethod %s needs Secrets", c.AuthMethod)
		}
	case "":
	default:
		return fmt.Errorf("AuthMethod %.64q is not supported", c.AuthMethod)
	}
	switch c.Consent {
	case ConsentRemember, ConsentAlways, ConsentSkip:
	default:
		return fmt.Errorf("Consent %.64q is not a policy", c.Consent)
	}
	if c.mayUse("authorization_code") && len(c.RedirectURIs) == 0 {
		return errors.New("RedirectURIs is required for the authorization_code grant")
	}
	return nil
}

const maxClientID = 2048

// public reports whether the client cannot keep a secret.
func (c *Client) public() bool { return len(c.Secrets) == 0 || c.Native }

// accepts reports whether the client may authenticate by method.
func (c *Client) accepts(method AuthMethod) bool {
	if c.AuthMethod != "" {
		return method == c.AuthMethod
	}
	return (method == AuthNone) == (len(c.Secrets) == 0)
}

func (c *Client) mayUse(grantType string) bool {
	if c.GrantTypes == nil {
		return grantType == "authorization_code" || grantType == "refresh_token"
	}
	return slices.Contains(c.GrantTypes, grantType)
}

// assured reports whether uri, registered for c, leads to nobody but c: it is an
// https address, or the code that is sent there is worthless without a secret.
func (c *Client) assured(uri string) bool { return isHTTPS(uri) || !c.public() }

func (c *Client) clone() *Client {
	d := *c
	d.Secrets = slices.Clone(c.Secrets)
	d.RedirectURIs = slices.Clone(c.RedirectURIs)
	d.GrantTypes = slices.Clone(c.GrantTypes)
	d.Scopes = slices.Clone(c.Scopes)
	d.DefaultScopes = slices.Clone(c.DefaultScopes)
	d.Resources = slices.Clone(c.Resources)
	return &d
}

package authwright

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Client is an application that may ask for tokens (RFC 6749, section 2).
type Client struct {
	ID   string `json:"client_id"`
	Name string `json:"client_name,omitempty"` // shown to the user; empty means ID

	// Secrets authenticate the client, any one of them; keep two while a secret
	// is being replaced. A client without any is public: it proves itself by
	// PKCE alone. See [NewSecret].
	Secrets []ClientSecret `json:"secrets,omitempty"`

	// JWKS is the JSON Web Key Set with which the client signs, and JWKSURI where
	// it is fetched from instead. Setting either is for [AuthPrivateKeyJWT].
	JWKS    json.RawMessage `json:"jwks,omitempty"`
	JWKSURI string          `json:"jwks_uri,omitempty"`

	// AuthMethod is how the client authenticates. Empty means [AuthSecretBasic] or
	// [AuthSecretPost], as it likes, for a client with secrets,
	// [AuthPrivateKeyJWT] for one with keys, and [AuthNone] for others.
	AuthMethod AuthMethod `json:"token_endpoint_auth_method,omitempty"`

	// AuthSigningAlg is the only algorithm its assertions may have. Empty means
	// any of ES256, PS256, EdDSA and RS256.
	AuthSigningAlg string `json:"token_endpoint_auth_signing_alg,omitempty"`

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
	GrantTypes []string `json:"grant_types,omitzero"`

	// Scopes it may ask for. DefaultScopes stand in for a request that names
	// none; if they are nil, such a request is refused unless Scopes is empty too.
	Scopes        []string `json:"scopes,omitempty"`
	DefaultScopes []string `json:"default_scopes,omitzero"`

	// Resources it may ask tokens for, by their IDs. Nil means all of
	// [Config.Resources].
	Resources []string `json:"resources,omitzero"`

	// Serves makes the client a resource server: it may introspect access tokens
	// for these resources.
	Serves []string `json:"serves,omitempty"`

	// Consent says when the user is asked.
	Consent ConsentPolicy `json:"consent,omitempty"`

	// Disabled refuses the client everything and keeps its registration.
	Disabled bool `json:"disabled,omitempty"`

	// Unverified marks a client that introduced itself. Errors do not send the
	// browser to it without asking, users are asked again when it describes itself
	// otherwise, and it does not act for itself.
	Unverified bool `json:"unverified,omitempty"`

	// RegistrationToken is the hash with which it manages its registration.
	RegistrationToken string `json:"registration_token,omitempty"`

	// InsecureWithoutPKCE lets a confidential client leave out PKCE, as OpenID
	// Connect does. A code that is stolen on its way can then be redeemed by
	// whoever gets it into the client's own callback; the client must check the
	// nonce of its ID tokens.
	InsecureWithoutPKCE bool `json:"insecure_without_pkce,omitempty"`

	// IDTokenAlg is the JWS algorithm of its ID tokens. Empty means RS256.
	IDTokenAlg string `json:"id_token_signed_response_alg,omitempty"`

	// PostLogoutRedirectURIs are where a user may be sent after logging out, and
	// BackchannelLogoutURI is told that one has, if the client got tokens within
	// [Config.RefreshTokenLifetime]. The latter must be https.
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	BackchannelLogoutURI   string   `json:"backchannel_logout_uri,omitempty"`

	// Origins, besides those of its https redirect URIs, from which scripts in a
	// browser may call the server on the client's behalf (CORS).
	Origins []string `json:"origins,omitempty"`

	// Pages about the client, linked to on the consent page.
	URI       string `json:"client_uri,omitempty"`
	PolicyURI string `json:"policy_uri,omitempty"`
	TermsURI  string `json:"tos_uri,omitempty"`

	CreatedAt time.Time `json:"created_at,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // unknown afterwards; zero means never
}

// An AuthMethod is a way of authenticating a client, from the IANA registry of
// OAuth token endpoint authentication methods.
type AuthMethod string

// The supported methods.
const (
	AuthNone        AuthMethod = "none"                // client_id only
	AuthSecretBasic AuthMethod = "client_secret_basic" // Authorization header
	AuthSecretPost  AuthMethod = "client_secret_post"  // form parameters

	AuthPrivateKeyJWT AuthMethod = "private_key_jwt" // a signed JWT, RFC 7523
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
	for _, uri := range c.PostLogoutRedirectURIs {
		if err := validateRedirectURI(uri); err != nil {
			return fmt.Errorf("PostLogoutRedirectURIs: %.256q %w", uri, err)
		}
	}
	if uri := c.BackchannelLogoutURI; uri != "" && (!isHTTPS(uri) || validateRedirectURI(uri) != nil) {
		return errors.New("BackchannelLogoutURI must be an https URL with a path and without a fragment")
	}
	if c.IDTokenAlg != "" && !slices.Contains(clientAlgorithms, c.idTokenAlg()) {
		return fmt.Errorf("IDTokenAlg %.64q is not supported", c.IDTokenAlg)
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
	case AuthPrivateKeyJWT:
		if !c.hasKeys() {
			return errors.New("AuthMethod private_key_jwt needs JWKS or JWKSURI")
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
func (c *Client) public() bool { return c.Native || c.accepts(AuthNone) }

// accepts reports whether the client may authenticate by method.
func (c *Client) accepts(method AuthMethod) bool {
	if c.AuthMethod != "" {
		return method == c.AuthMethod
	}
	switch {
	case len(c.Secrets) > 0:
		return method == AuthSecretBasic || method == AuthSecretPost
	case c.hasKeys():
		return method == AuthPrivateKeyJWT
	}
	return method == AuthNone
}

func (c *Client) hasKeys() bool { return len(c.JWKS) > 0 || c.JWKSURI != "" }

func (c *Client) mayUse(grantType string) bool {
	if c.GrantTypes == nil {
		return grantType == "authorization_code" || grantType == "refresh_token"
	}
	return slices.Contains(c.GrantTypes, grantType)
}

// assured reports whether uri, registered for c, leads to nobody but c: it is an
// https address, or the code that is sent there is worthless without a secret.
func (c *Client) assured(uri string) bool { return isHTTPS(uri) || !c.public() }

// idTokenAlg is the algorithm of c's ID tokens (OpenID Connect Registration, section 2).
func (c *Client) idTokenAlg() jose.SignatureAlgorithm {
	return jose.SignatureAlgorithm(cmp.Or(c.IDTokenAlg, string(jose.RS256)))
}

func (c *Client) clone() *Client {
	d := *c
	d.Secrets = slices.Clone(c.Secrets)
	d.JWKS = slices.Clone(c.JWKS)
	cloneLists(&d.RedirectURIs, &d.GrantTypes, &d.Scopes, &d.DefaultScopes, &d.Resources, &d.Serves, &d.PostLogoutRedirectURIs, &d.Origins)
	return &d
}

// cloneLists replaces each list by a copy of its own, all of them in one piece of memory.
func cloneLists(lists ...*[]string) {
	n := 0
	for _, list := range lists {
		n += len(*list)
	}
	room := make([]string, 0, n)
	for _, list := range lists {
		if *list != nil {
			room = append(room, *list...)
			*list = slices.Clip(room[len(room)-len(*list):])
		}
	}
}

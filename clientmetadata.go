package authwright

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// clientMetadata is what a client says about itself, when it registers or in its own
// document (RFC 7591, section 2; OpenID Connect Registration, section 2).
type clientMetadata struct {
	ID             string          `json:"client_id,omitempty"`
	Name           string          `json:"client_name,omitempty"`
	RedirectURIs   []string        `json:"redirect_uris,omitempty"`
	AuthMethod     AuthMethod      `json:"token_endpoint_auth_method,omitempty"`
	AuthAlg        string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	GrantTypes     []string        `json:"grant_types,omitempty"`
	ResponseTypes  []string        `json:"response_types,omitempty"`
	Scope          string          `json:"scope,omitempty"`
	Application    string          `json:"application_type,omitempty"`
	JWKS           json.RawMessage `json:"jwks,omitempty"`
	JWKSURI        string          `json:"jwks_uri,omitempty"`
	URI            string          `json:"client_uri,omitempty"`
	PolicyURI      string          `json:"policy_uri,omitempty"`
	TermsURI       string          `json:"tos_uri,omitempty"`
	IDTokenAlg     string          `json:"id_token_signed_response_alg,omitempty"`
	LogoutURIs     []string        `json:"post_logout_redirect_uris,omitempty"`
	BackchannelURI string          `json:"backchannel_logout_uri,omitempty"`

	// Secrets have no place in a document that everybody can read.
	Secret        json.RawMessage `json:"client_secret,omitempty"`
	SecretExpires json.RawMessage `json:"client_secret_expires_at,omitempty"`

	SoftwareStatement string `json:"software_statement,omitempty"`
}

// withDefaults fills in what RFC 7591, section 2 says of absence, leaves out what this
// server does not do, and refuses what contradicts itself.
func (m clientMetadata) withDefaults(method AuthMethod) (clientMetadata, error) {
	if m.AuthMethod == "" {
		m.AuthMethod = method
	}
	if m.GrantTypes == nil {
		m.GrantTypes = []string{"authorization_code"}
	}
	if m.ResponseTypes == nil && slices.Contains(m.GrantTypes, "authorization_code") {
		m.ResponseTypes = []string{"code"}
	}
	m.GrantTypes = slices.DeleteFunc(slices.Clone(m.GrantTypes), func(t string) bool {
		return t != "authorization_code" && t != "refresh_token" && t != "client_credentials"
	})
	m.ResponseTypes = slices.DeleteFunc(slices.Clone(m.ResponseTypes), func(t string) bool { return t != "code" })
	// Section 2.1: the two lists say the same in two ways.
	if slices.Contains(m.GrantTypes, "authorization_code") != slices.Contains(m.ResponseTypes, "code") {
		return m, metadataFault("grant_types and response_types contradict each other")
	}
	switch m.Application {
	case "", "web", "native":
	default:
		return m, metadataFault("application_type must be web or native")
	}
	switch m.AuthMethod {
	case AuthNone, AuthSecretBasic, AuthSecretPost, AuthPrivateKeyJWT:
	default:
		return m, metadataFault("token_endpoint_auth_method is not supported")
	}
	if m.AuthAlg != "" && !slices.Contains(clientAlgorithms, jose.SignatureAlgorithm(m.AuthAlg)) {
		return m, metadataFault("token_endpoint_auth_signing_alg is not supported")
	}
	if bytes.Equal(m.JWKS, []byte("null")) {
		m.JWKS = nil
	}
	return m, m.check()
}

// check refuses what must not be shown, fetched or kept.
func (m *clientMetadata) check() error {
	for _, uri := range []string{m.URI, m.PolicyURI, m.TermsURI, m.JWKSURI, m.BackchannelURI} {
		if u, err := url.Parse(uri); uri != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(uri) > maxClientID) {
			return metadataFault("a URI in the metadata must be https")
		}
	}
	for _, uri := range m.LogoutURIs {
		if err := validateRedirectURI(uri); err != nil {
			return metadataFault(fmt.Sprintf("a post_logout_redirect_uri %v", err))
		}
	}
	if len(m.RedirectURIs) > 32 || len(m.Name) > 256 || !isText(m.Name) || len(m.LogoutURIs) > 32 {
		return metadataFault("the metadata are too many or too long")
	}
	if m.JWKS == nil {
		return nil
	}
	if m.JWKSURI != "" {
		return metadataFault("jwks and jwks_uri exclude each other")
	}
	var set struct {
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(m.JWKS, &set); err != nil || set.Keys == nil {
		return metadataFault("jwks is not a JSON Web Key Set")
	}
	for _, key := range set.Keys {
		if key["d"] != nil || key["k"] != nil { // RFC 7518, section 6: private, or shared
			return metadataFault("jwks has a key that is not public")
		}
	}
	return nil
}

// describedClient is the client that m describes. Its scopes are those of m that are on offer, or
// all on offer if m names none.
func (s *Server) describedClient(m clientMetadata, offer []string) (*Client, error) {
	scopes, err := parseScope(m.Scope)
	if err != nil {
		return nil, metadataFault(asError(err).Description)
	}
	if scopes == nil {
		scopes = slices.Clone(offer)
	}
	scopes = slices.DeleteFunc(scopes, func(s string) bool { return !slices.Contains(offer, s) })
	for _, uri := range m.RedirectURIs {
		if err := validateRedirectURI(uri); err != nil {
			return nil, &Error{Code: ErrInvalidRedirectURI, Description: fmt.Sprintf("a redirect URI %v", err)}
		}
	}
	if s.cfg.OpenID == nil {
		m.IDTokenAlg = "" // of tokens that there are not
	} else if m.IDTokenAlg != "" && s.keys.at(s.now()).signing[jose.SignatureAlgorithm(m.IDTokenAlg)] == nil {
		return nil, metadataFault("id_token_signed_response_alg is not supported")
	}
	return &Client{
		ID: m.ID, Name: m.Name, RedirectURIs: m.RedirectURIs, GrantTypes: m.GrantTypes, Scopes: scopes,
		DefaultScopes: scopes, // the user sees them, and nobody else has chosen
		AuthMethod:    m.AuthMethod, AuthSigningAlg: m.AuthAlg, JWKS: m.JWKS, JWKSURI: m.JWKSURI,
		Native: m.Application == "native", URI: m.URI, PolicyURI: m.PolicyURI, TermsURI: m.TermsURI,
		IDTokenAlg: m.IDTokenAlg, PostLogoutRedirectURIs: m.LogoutURIs, BackchannelLogoutURI: m.BackchannelURI,
		Unverified: true,
	}, nil
}

// usable leaves c no grant type that it would be refused: what a stranger may do, users
// allow it.
func (c *Client) usable() error {
	if c.Unverified {
		c.GrantTypes = slices.DeleteFunc(slices.Clone(c.GrantTypes), func(t string) bool { return t == "client_credentials" })
	}
	if c.GrantTypes != nil && len(c.GrantTypes) == 0 {
		return metadataFault("no grant type that this server supports")
	}
	return c.Validate()
}

// description is the hash of what a client that introduced itself says of itself, as far as
// users rely on it: it can become something else at any time (Client ID Metadata Documents,
// section 8.4). Of other clients it is nil; what becomes of them is the host's doing.
func (c *Client) description() []byte {
	if !c.Unverified {
		return nil
	}
	text, err := json.Marshal(Client{
		Name: c.Name, URI: c.URI, PolicyURI: c.PolicyURI, TermsURI: c.TermsURI, RedirectURIs: c.RedirectURIs,
		AuthMethod: c.AuthMethod, JWKS: c.JWKS, JWKSURI: c.JWKSURI,
	})
	if err != nil { // only for a key set that is no JSON
		return nil
	}
	return hash(text)
}

// metadataOf is what is registered of c, defaults included.
func (s *Server) metadataOf(c *Client) clientMetadata {
	m := clientMetadata{
		ID: c.ID, Name: c.Name, RedirectURIs: c.RedirectURIs, GrantTypes: c.GrantTypes, Scope: strings.Join(c.Scopes, " "),
		AuthMethod: c.AuthMethod, AuthAlg: c.AuthSigningAlg, JWKS: c.JWKS, JWKSURI: c.JWKSURI,
		Application: "web", URI: c.URI, PolicyURI: c.PolicyURI, TermsURI: c.TermsURI,
		LogoutURIs: c.PostLogoutRedirectURIs, BackchannelURI: c.BackchannelLogoutURI,
	}
	if c.Native {
		m.Application = "native"
	}
	if c.mayUse("authorization_code") {
		m.ResponseTypes = []string{"code"}
	}
	if s.cfg.OpenID != nil {
		m.IDTokenAlg = string(c.idTokenAlg())
	}
	return m
}

func metadataFault(reason string) error {
	return &Error{Code: ErrInvalidClientMetadata, Description: reason}
}

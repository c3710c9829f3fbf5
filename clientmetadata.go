package authwright

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
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

// withDefaults fills in what RFC 7591, section 2 says of absence, and refuses what
// contradicts itself.
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
	// What this server does not do is left out, and the answer says so.
	m.GrantTypes = slices.DeleteFunc(slices.Clone(m.GrantTypes), func(t string) bool {
		return t != "authorization_code" && t != "refresh_token" && t != "client_credentials"
	})
	m.ResponseTypes = slices.DeleteFunc(slices.Clone(m.ResponseTypes), func(t string) bool { return t != "code" })
	// Section 2.1: the two lists say the same in two ways.
	if slices.Contains(m.GrantTypes, "authorization_code") != slices.Contains(m.ResponseTypes, "code") {
		return m, metadataFault("grant_types and response_types contradict each other")
	}
	if len(m.GrantTypes) == 0 {
		return m, metadataFault("no grant type that this server supports")
	}
	switch m.Application {
	case "":
		m.Application = "web"
	case "web", "native":
	default:
		return m, metadataFault("application_type must be web or native")
	}
	for _, uri := range []string{m.URI, m.PolicyURI, m.TermsURI, m.JWKSURI, m.BackchannelURI} {
		if u, err := url.Parse(uri); uri != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || len(uri) > maxClientID) {
			return m, metadataFault("a URI in the metadata must be https")
		}
	}
	if len(m.RedirectURIs) > 32 || len(m.Name) > 256 || !isText(m.Name) || len(m.LogoutURIs) > 32 {
		return m, metadataFault("the metadata are too many or too long")
	}
	return m, nil
}

// client is the client that m describes. Its scopes are those of m that are on offer, or
// all on offer if m names none.
func (m clientMetadata) client(offer []string) (*Client, error) {
	scopes, err := parseScope(m.Scope)
	if err != nil {
		return nil, metadataFault("scope has a character that no scope may have")
	}
	if scopes == nil {
		scopes = slices.Clone(offer)
	}
	scopes = slices.DeleteFunc(scopes, func(s string) bool { return !slices.Contains(offer, s) })
	c := &Client{
		ID: m.ID, Name: m.Name, RedirectURIs: m.RedirectURIs, GrantTypes: m.GrantTypes, Scopes: scopes,
		DefaultScopes: scopes, // the user sees them, and nobody else has chosen
		AuthMethod:    m.AuthMethod, AuthSigningAlg: m.AuthAlg, JWKS: m.JWKS, JWKSURI: m.JWKSURI,
		Native: m.Application == "native", URI: m.URI, PolicyURI: m.PolicyURI, TermsURI: m.TermsURI,
		IDTokenAlg: m.IDTokenAlg, PostLogoutRedirectURIs: m.LogoutURIs, BackchannelLogoutURI: m.BackchannelURI,
		Unverified: true,
	}
	for _, uri := range m.RedirectURIs {
		if err := validateRedirectURI(uri); err != nil {
			return nil, &Error{Code: ErrInvalidRedirectURI, Description: fmt.Sprintf("a redirect URI %v", err)}
		}
	}
	return c, nil
}

// describe is the metadata of c, as an answer to its registration.
func (c *Client) describe() clientMetadata {
	m := clientMetadata{
		ID: c.ID, Name: c.Name, RedirectURIs: c.RedirectURIs, GrantTypes: c.GrantTypes, Scope: strings.Join(c.Scopes, " "),
		AuthMethod: c.AuthMethod, AuthAlg: c.AuthSigningAlg, JWKS: c.JWKS, JWKSURI: c.JWKSURI,
		Application: "web", URI: c.URI, PolicyURI: c.PolicyURI, TermsURI: c.TermsURI,
		IDTokenAlg: c.IDTokenAlg, LogoutURIs: c.PostLogoutRedirectURIs, BackchannelURI: c.BackchannelLogoutURI,
	}
	if c.Native {
		m.Application = "native"
	}
	if slices.Contains(c.GrantTypes, "authorization_code") {
		m.ResponseTypes = []string{"code"}
	}
	return m
}

func metadataFault(reason string) error {
	return &Error{Code: ErrInvalidClientMetadata, Description: reason}
}

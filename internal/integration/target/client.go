package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/authwright/authwright"
)

// A client is a registration in the names of RFC 7591, section 2, and of OpenID Connect
// Dynamic Client Registration 1.0.
type client struct {
	ID              string
	Secret          string
	Name            string
	RedirectURIs    []string
	AuthMethod      authwright.AuthMethod
	GrantTypes      []string
	ResponseTypes   []string
	Scope           *string
	ApplicationType string

	JWKS           json.RawMessage
	JWKSURI        string
	AuthSigningAlg string
	IDTokenAlg     string
	LogoutURIs     []string
	BackchannelURI string
	URI            string
	PolicyURI      string
	TermsURI       string
	WithoutPKCE    bool
}

func (c *client) UnmarshalJSON(data []byte) error {
	return decodeObject(data, map[string]any{
		"client_id":                  &c.ID,
		"client_secret":              &c.Secret,
		"client_name":                &c.Name,
		"redirect_uris":              &c.RedirectURIs,
		"token_endpoint_auth_method": &c.AuthMethod,
		"grant_types":                &c.GrantTypes,
		"response_types":             &c.ResponseTypes,
		"scope":                      &c.Scope,
		"application_type":           &c.ApplicationType,

		"jwks":                            &c.JWKS,
		"jwks_uri":                        &c.JWKSURI,
		"token_endpoint_auth_signing_alg": &c.AuthSigningAlg,
		"id_token_signed_response_alg":    &c.IDTokenAlg,
		"post_logout_redirect_uris":       &c.LogoutURIs,
		"backchannel_logout_uri":          &c.BackchannelURI,
		"client_uri":                      &c.URI,
		"policy_uri":                      &c.PolicyURI,
		"tos_uri":                         &c.TermsURI,
		"insecure_without_pkce":           &c.WithoutPKCE, // of ours
	})
}

// What a registration may ask for. Whatever else it names would never be had.
var (
	grantTypes    = []string{"authorization_code", "refresh_token", "client_credentials"}
	responseTypes = []string{"code"}
)

// register returns c as the library knows it. A client that names no scope may ask for
// those of known.
func (c *client) register(known []string) (*authwright.Client, error) {
	for _, t := range c.GrantTypes {
		if !slices.Contains(grantTypes, t) {
			return nil, fmt.Errorf("grant_types: %q is not supported", t)
		}
	}
	for _, t := range c.ResponseTypes {
		if !slices.Contains(responseTypes, t) {
			return nil, fmt.Errorf("response_types: %q is not supported", t)
		}
	}
	switch c.ApplicationType {
	case "", "web", "native":
	default:
		return nil, fmt.Errorf("application_type: %q is neither web nor native", c.ApplicationType)
	}
	r := &authwright.Client{
		ID:           c.ID,
		Name:         c.Name,
		AuthMethod:   c.AuthMethod,
		Native:       c.ApplicationType == "native",
		RedirectURIs: c.RedirectURIs,
		GrantTypes:   c.GrantTypes,
		Scopes:       known,

		JWKS:                   c.JWKS,
		JWKSURI:                c.JWKSURI,
		AuthSigningAlg:         c.AuthSigningAlg,
		IDTokenAlg:             c.IDTokenAlg,
		PostLogoutRedirectURIs: c.LogoutURIs,
		BackchannelLogoutURI:   c.BackchannelURI,
		URI:                    c.URI,
		PolicyURI:              c.PolicyURI,
		TermsURI:               c.TermsURI,
		InsecureWithoutPKCE:    c.WithoutPKCE,
	}
	if c.Scope != nil {
		r.Scopes = strings.Fields(*c.Scope)
	}
	if c.Secret != "" {
		r.Secrets = []authwright.ClientSecret{hashSecret(c.Secret)}
	}
	return r, r.Validate()
}

// hashSecret hashes what is long enough to have been drawn at random as NewSecret does,
// so that a suite with many clients need not wait for slow hashes.
func hashSecret(secret string) authwright.ClientSecret {
	if len(secret) < 32 {
		return authwright.ChosenSecret(secret)
	}
	return hashToken(secret)
}

// hashToken hashes as NewSecret does.
func hashToken(secret string) authwright.ClientSecret {
	sum := sha256.Sum256([]byte(secret))
	return authwright.ClientSecret{Hash: "sha256:" + base64.RawURLEncoding.EncodeToString(sum[:])}
}

package authwright

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// metadata is the document of RFC 8414, section 2 and OpenID Connect Discovery, section 3.
// What has no elements is left out; what has a default that is not ours is spelled out.
type metadata struct {
	Issuer                   string   `json:"issuer"`
	AuthorizationEndpoint    string   `json:"authorization_endpoint"`
	TokenEndpoint            string   `json:"token_endpoint"`
	JWKSURI                  string   `json:"jwks_uri"`
	RevocationEndpoint       string   `json:"revocation_endpoint"`
	IntrospectionEndpoint    string   `json:"introspection_endpoint"`
	RegistrationEndpoint     string   `json:"registration_endpoint,omitempty"`
	Scopes                   []string `json:"scopes_supported,omitempty"`
	ResponseTypes            []string `json:"response_types_supported"`
	ResponseModes            []string `json:"response_modes_supported"`
	GrantTypes               []string `json:"grant_types_supported"`
	ChallengeMethods         []string `json:"code_challenge_methods_supported"`
	AuthMethods              []string `json:"token_endpoint_auth_methods_supported"`
	AuthAlgs                 []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs       []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs    []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	IssParameter             bool     `json:"authorization_response_iss_parameter_supported"`
	ClientDocuments          bool     `json:"client_id_metadata_document_supported,omitempty"`
	ProtectedResources       []string `json:"protected_resources,omitempty"`

	// Without request objects, which is not what absence means.
	RequestParameter    bool `json:"request_parameter_supported"`
	RequestURIParameter bool `json:"request_uri_parameter_supported"`

	*openIDMetadata
}

type openIDMetadata struct {
	UserInfoEndpoint  string   `json:"userinfo_endpoint"`
	EndSession        string   `json:"end_session_endpoint,omitempty"`
	SubjectTypes      []string `json:"subject_types_supported"`
	IDTokenAlgs       []string `json:"id_token_signing_alg_values_supported"`
	Claims            []string `json:"claims_supported"`
	ClaimsParameter   bool     `json:"claims_parameter_supported"`
	BackchannelLogout bool     `json:"backchannel_logout_supported,omitempty"`
	BackchannelSID    bool     `json:"backchannel_logout_session_supported,omitempty"`
}

func (s *Server) buildMetadata() error {
	var algs []string
	for _, alg := range clientAlgorithms {
		algs = append(algs, string(alg))
	}
	confidential := []string{string(AuthSecretBasic), string(AuthSecretPost), string(AuthPrivateKeyJWT)}
	all := append([]string{string(AuthNone)}, confidential...)
	m := metadata{
		Issuer:                   s.cfg.Issuer,
		AuthorizationEndpoint:    s.cfg.Issuer + pathAuthorize,
		TokenEndpoint:            s.cfg.Issuer + pathToken,
		JWKSURI:                  s.cfg.Issuer + pathJWKS,
		RevocationEndpoint:       s.cfg.Issuer + pathRevoke,
		IntrospectionEndpoint:    s.cfg.Issuer + pathIntrospect,
		ResponseTypes:            []string{"code"},
		ResponseModes:            []string{"query", "form_post"},
		GrantTypes:               []string{"authorization_code", "refresh_token", "client_credentials"},
		ChallengeMethods:         []string{"S256"},
		AuthMethods:              all,
		AuthAlgs:                 algs,
		RevocationAuthMethods:    all,
		RevocationAuthAlgs:       algs,
		IntrospectionAuthMethods: confidential,
		IntrospectionAuthAlgs:    algs,
		IssParameter:             true,
		ClientDocuments:          s.cfg.ClientDocuments != nil,
		openIDMetadata:           s.openIDMetadata(),
	}
	if s.cfg.Registration != nil {
		m.RegistrationEndpoint = s.cfg.Issuer + pathRegister
	}
	for _, sc := range s.cfg.Scopes {
		m.Scopes = append(m.Scopes, sc.Name)
	}
	for _, r := range s.resources {
		m.ProtectedResources = append(m.ProtectedResources, r.ID)
	}
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("authwright: metadata: %w", err)
	}
	d := newDocument("application/json", "public, max-age=3600", body)
	s.metadata.Store(&d)
	return nil
}

// openIDMetadata is nil, and adds nothing, without [Config.OpenID].
func (s *Server) openIDMetadata() *openIDMetadata {
	if s.cfg.OpenID == nil {
		return nil
	}
	m := &openIDMetadata{
		UserInfoEndpoint: s.cfg.Issuer + pathUserInfo,
		SubjectTypes:     []string{"public"},
		Claims:           []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr"},
		ClaimsParameter:  true,
	}
	for _, alg := range s.keys.at(s.now()).algorithms {
		m.IDTokenAlgs = append(m.IDTokenAlgs, string(alg))
	}
	for _, sc := range s.cfg.Scopes {
		m.Claims = union(m.Claims, sc.Claims)
	}
	if s.cfg.OpenID.Logout != nil {
		m.EndSession = s.cfg.Issuer + pathLogout
		m.BackchannelLogout = s.cfg.Index != nil
		m.BackchannelSID = m.BackchannelLogout
	}
	return m
}

// ServeMetadata serves the metadata document (RFC 8414). When the issuer has a path, the
// document lives outside it, at /.well-known/oauth-authorization-server + path. For an
// OpenID Provider it is also the discovery document, at both places where clients look for
// that.
func (s *Server) ServeMetadata(w http.ResponseWriter, r *http.Request) {
	s.metadata.Load().serve(w, r)
}

// A document is public, the same for everybody, and made once.
type document struct {
	body                   []byte
	contentType, etag, age []string
}

func newDocument(contentType, age string, body []byte) document {
	sum := sha256.Sum256(body)
	return document{
		body:        body,
		contentType: []string{contentType},
		etag:        []string{`"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`},
		age:         []string{age},
	}
}

// serve answers with d, or with 304 to somebody who has it: a proxy that has compressed it may
// have made the tag a weak one, or one of several (RFC 9110, section 13.1.2).
func (d *document) serve(w http.ResponseWriter, r *http.Request) {
	if preflight(w, r, http.MethodGet, http.MethodHead) || !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	h := w.Header()
	h["Content-Type"] = d.contentType
	h["Cache-Control"] = d.age
	h["Etag"] = d.etag
	h["X-Content-Type-Options"] = headerNoSniff
	h["Access-Control-Allow-Origin"] = anyOrigin // public and without credentials
	if slices.ContainsFunc(r.Header["If-None-Match"], func(tags string) bool { return strings.Contains(tags, d.etag[0]) }) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if r.Method == http.MethodGet {
		w.Write(d.body)
	}
}

var anyOrigin = []string{"*"}

package authwright

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
)

// metadata is the document of RFC 8414, section 2. What has no elements is left
// out; what has a default that is not ours is spelled out.
type metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	Scopes                []string `json:"scopes_supported,omitempty"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	IssParameter          bool     `json:"authorization_response_iss_parameter_supported"`
	ProtectedResources    []string `json:"protected_resources,omitempty"`
}

func (s *Server) buildMetadata() error {
	m := metadata{
		Issuer:                s.cfg.Issuer,
		AuthorizationEndpoint: s.cfg.Issuer + pathAuthorize,
		TokenEndpoint:         s.cfg.Issuer + pathToken,
		JWKSURI:               s.cfg.Issuer + pathJWKS,
		ResponseTypes:         []string{"code"},
		ResponseModes:         []string{"query"},
		GrantTypes:            []string{"authorization_code", "refresh_token"},
		AuthMethods:           []string{string(AuthNone), string(AuthSecretBasic), string(AuthSecretPost)},
		ChallengeMethods:      []string{"S256"},
		IssParameter:          true,
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
	s.metadata = newDocument("application/json", "public, max-age=3600", body)
	return nil
}

// ServeMetadata serves the metadata document (RFC 8414). When the issuer has a
// path, the document lives outside it, at
// /.well-known/oauth-authorization-server + path.
func (s *Server) ServeMetadata(w http.ResponseWriter, r *http.Request) {
	s.metadata.serve(w, r)
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

func (d *document) serve(w http.ResponseWriter, r *http.Request) {
	if !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	h := w.Header()
	h["Content-Type"] = d.contentType
	h["Cache-Control"] = d.age
	h["Etag"] = d.etag
	h["X-Content-Type-Options"] = headerNoSniff
	h["Access-Control-Allow-Origin"] = anyOrigin // public and without credentials
	if r.Header.Get("If-None-Match") == d.etag[0] {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if r.Method == http.MethodGet {
		w.Write(d.body)
	}
}

var anyOrigin = []string{"*"}

package resource

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Metadata describes a protected resource to clients that know no more than its URL
// (RFC 9728): with what is in the [Verifier], they find out whom to ask for a token.
// Everything in it is optional.
type Metadata struct {
	// Scopes are those that a client needs to be of any use here. A client asks for
	// all of them if nothing tells it which it needs; what only some operations need
	// is better left to the challenges of [Verifier.Require]. The scope
	// offline_access is left out: no resource needs a refresh token.
	Scopes []string

	Name string // for people

	// Pages for people: about the interface, about what a client may do with what it
	// gets, and the terms of service.
	DocumentationURL, PolicyURL, TermsURL string
}

// metadataDocument is RFC 9728, section 2. Section 3.2: "Parameters with zero values
// MUST be omitted".
type metadataDocument struct {
	Resource      string   `json:"resource"`
	Issuers       []string `json:"authorization_servers"`
	Scopes        []string `json:"scopes_supported,omitempty"`
	Methods       []string `json:"bearer_methods_supported"`
	Name          string   `json:"resource_name,omitempty"`
	Documentation string   `json:"resource_documentation,omitempty"`
	Policy        string   `json:"resource_policy_uri,omitempty"`
	Terms         string   `json:"resource_tos_uri,omitempty"`
}

const wellKnown = "/.well-known/oauth-protected-resource"

// A publication is the metadata as clients find it.
type publication struct {
	path, url string
	body      []byte
}

// publish makes the document. A client that fetched it for one resource must not use it
// for another (section 3.3), so that resource has to be the URL it began with.
func (v *Verifier) publish() (*publication, error) {
	u, err := url.Parse(v.Audience)
	if err != nil || !trustworthy(u) || u.User != nil || strings.ContainsAny(v.Audience, "?#") || u.EscapedPath() != u.Path || quotable(v.Audience) != v.Audience {
		return nil, errors.New("Audience must be an https URL with a plain path and without user, query and fragment, if there is Metadata")
	}
	m := v.Metadata
	if err := checkScopes(m.Scopes); err != nil {
		return nil, fmt.Errorf("Metadata: Scopes: %w", err)
	}
	body, err := json.Marshal(metadataDocument{
		Resource:      v.Audience,
		Issuers:       []string{v.Issuer},
		Scopes:        slices.DeleteFunc(slices.Clone(m.Scopes), func(s string) bool { return s == offlineAccess }),
		Methods:       []string{"header"},
		Name:          m.Name,
		Documentation: m.DocumentationURL,
		Policy:        m.PolicyURL,
		Terms:         m.TermsURL,
	})
	if err != nil {
		return nil, fmt.Errorf("Metadata: %w", err)
	}
	// Section 3.1: "any terminating slash (/) following the host component MUST be
	// removed before inserting".
	path := wellKnown
	if u.Path != "/" {
		path += u.Path
	}
	return &publication{path: path, url: u.Scheme + "://" + u.Host + path, body: body}, nil
}

// MetadataPath returns the path at which clients look for the metadata: the well-known
// one with that of Audience after it (RFC 9728, section 3.1). It is empty if there is no
// Metadata.
func (v *Verifier) MetadataPath() string {
	if v.ready() != nil || v.published == nil {
		return ""
	}
	return v.published.path
}

// ServeMetadata serves the metadata document to anybody, scripts of other origins
// included. It belongs at [Verifier.MetadataPath]; if a host has only one resource,
// /.well-known/oauth-protected-resource is where some older clients look.
func (v *Verifier) ServeMetadata(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if err := v.ready(); err != nil {
		v.logger().ErrorContext(r.Context(), "resource: no metadata can be served", "error", err)
		h.Set("Cache-Control", "no-store")
		http.Error(w, "the server is misconfigured", http.StatusInternalServerError)
		return
	}
	if v.published == nil {
		http.NotFound(w, r)
		return
	}
	h.Set("Access-Control-Allow-Origin", "*")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "public, max-age=3600")
		h.Set("X-Content-Type-Options", "nosniff")
		if r.Method == http.MethodGet {
			w.Write(v.published.body)
		}
	case http.MethodOptions: // MCP clients in a browser name the protocol's version in a header
		h.Set("Access-Control-Allow-Methods", "GET, HEAD")
		h.Set("Access-Control-Allow-Headers", "*")
		h.Set("Access-Control-Max-Age", "7200")
		w.WriteHeader(http.StatusNoContent)
	default:
		h.Set("Allow", "GET, HEAD, OPTIONS")
		h.Set("Cache-Control", "no-store")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// Register mounts the metadata document at [Verifier.MetadataPath], where the mux serves
// the host of Audience from its root. Without Metadata it does nothing.
func (v *Verifier) Register(mux *http.ServeMux) {
	path := v.MetadataPath()
	if path == "" {
		return
	}
	if strings.HasSuffix(path, "/") {
		path += "{$}" // and nothing below it
	}
	for _, method := range []string{http.MethodGet, http.MethodOptions} { // GET is HEAD, too
		mux.HandleFunc(method+" "+path, v.ServeMetadata)
	}
}

package authwright

import (
	"slices"
	"strings"
)

// A Scope is a permission a client may ask for (RFC 6749, section 3.3).
type Scope struct {
	Name        string
	Description string // shown on the consent page; empty means Name

	// Claims about the user that the scope discloses, at the userinfo endpoint. Nil
	// means those of OpenID Connect Core, section 5.4, for its scopes.
	Claims []string
}

// A Resource is a protected resource that accepts this server's tokens (RFC 8707).
type Resource struct {
	// ID is an absolute URI without a fragment. It is what a client sends as
	// resource, and the aud of the tokens it gets.
	ID string

	// Scopes have a meaning here. Nil means every scope.
	Scopes []string
}

func (r *Resource) understands(scope string) bool {
	return r.Scopes == nil || slices.Contains(r.Scopes, scope)
}

// isScopeToken reports whether s is one scope (RFC 6749, section 3.3).
func isScopeToken(s string) bool { return isPrintableASCII(s) && !strings.ContainsAny(s, `"\`) }

// maxScopes is how many scopes one parameter may name. Each is compared with all before it,
// which a stranger must not make long.
const maxScopes = 500

// parseScope splits a scope parameter, dropping repetitions.
func parseScope(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	if strings.Count(text, " ") >= maxScopes {
		return nil, &Error{Code: ErrInvalidScope, Description: "scope has too many values"}
	}
	scopes := make([]string, 0, 1+strings.Count(text, " "))
	for s := range strings.SplitSeq(text, " ") {
		if !isScopeToken(s) {
			return nil, &Error{Code: ErrInvalidScope, Description: "scope has a character that no scope may have"}
		}
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes, nil
}

// requestedScopes is the scope of an authorization request: what it names, or the
// client's default. Nothing the client may not have is let through.
func (s *Server) requestedScopes(c *Client, text string) ([]string, error) {
	scopes, err := parseScope(text)
	if err != nil {
		return nil, err
	}
	if scopes == nil {
		if c.DefaultScopes == nil && len(c.Scopes) > 0 {
			return nil, &Error{Code: ErrInvalidScope, Description: "no scope was requested and the client has no default"}
		}
		return slices.Clone(c.DefaultScopes), nil
	}
	for _, name := range scopes {
		if !slices.Contains(c.Scopes, name) || !s.knowsScope(name) {
			return nil, &Error{Code: ErrInvalidScope, Description: "the client may not have " + s.named(c, name)}
		}
	}
	return scopes, nil
}

// named is a scope in a description. One that is neither the server's nor the client's is not
// repeated: it may be a secret that got into the wrong parameter.
func (s *Server) named(c *Client, scope string) string {
	if slices.Contains(c.Scopes, scope) || slices.ContainsFunc(s.cfg.Scopes, func(sc Scope) bool { return sc.Name == scope }) {
		return "the scope " + scope
	}
	return "a scope that it asks for"
}

func (s *Server) knowsScope(name string) bool {
	return s.anyScope || slices.ContainsFunc(s.cfg.Scopes, func(sc Scope) bool { return sc.Name == name })
}

// requestedResources is where a grant's tokens will be good (RFC 8707, section 2):
// the resources the request names or, if it names none, the first that
// understands every scope.
func (s *Server) requestedResources(c *Client, ids, scopes []string) ([]string, error) {
	if len(ids) == 0 {
		return s.defaultResources(c, scopes)
	}
	var granted []string
	for _, id := range ids {
		r := s.resource(id)
		if r == nil || !c.reaches(r.ID) {
			return nil, &Error{Code: ErrInvalidTarget, Description: "the resource is unknown here, or not for this client"}
		}
		if !slices.Contains(granted, r.ID) {
			granted = append(granted, r.ID)
		}
	}
	return granted, nil
}

// defaultResources is where a grant's tokens are good if its request does not say: at the
// first resource that understands every scope and, for OpenID Connect, at this server too,
// whose userinfo endpoint is what its scopes are for.
func (s *Server) defaultResources(c *Client, scopes []string) ([]string, error) {
	openID := s.isOpenID(scopes)
	others := keep(scopes, func(sc string) bool { return sc != offlineAccess && !(openID && isStandardScope(sc)) })
	for i := range s.resources {
		r := &s.resources[i]
		if openID && len(others) == 0 && r.Scopes != nil && r.ID != s.cfg.Issuer {
			continue
		}
		if !c.reaches(r.ID) && !(openID && r.ID == s.cfg.Issuer) || slices.ContainsFunc(others, func(sc string) bool { return !r.understands(sc) }) {
			continue
		}
		if openID && r.ID != s.cfg.Issuer {
			return []string{r.ID, s.cfg.Issuer}, nil
		}
		return []string{r.ID}, nil
	}
	return nil, &Error{Code: ErrInvalidScope, Description: "no single resource understands all of these scopes; name one with the resource parameter"}
}

// resource returns the resource a client calls id. Scheme and host are compared
// without regard to case, and one trailing slash more or less is forgiven.
func (s *Server) resource(id string) *Resource {
	for i := range s.resources {
		if s.resources[i].ID == id {
			return &s.resources[i]
		}
	}
	for i := range s.resources {
		if canonicalResource(s.resources[i].ID) == canonicalResource(id) {
			return &s.resources[i]
		}
	}
	return nil
}

func canonicalResource(id string) string {
	end := len(id)
	if i := strings.Index(id, "://"); i >= 0 {
		if j := strings.IndexAny(id[i+3:], "/?"); j >= 0 {
			end = i + 3 + j
		}
		id = strings.ToLower(id[:end]) + id[end:]
	}
	return strings.TrimSuffix(id, "/")
}

func (c *Client) reaches(resource string) bool {
	return c.Resources == nil || slices.Contains(c.Resources, resource)
}

// meaningful returns the scopes that at least one of the resources understands.
func (s *Server) meaningful(scopes, resources []string) []string {
	return keep(scopes, func(name string) bool {
		return slices.ContainsFunc(resources, func(id string) bool {
			r := s.resource(id)
			return r != nil && r.understands(name)
		})
	})
}

// subset reports whether every element of a is in b.
func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

// narrowScopes is the scope of a token that g is asked for. Nothing that g has not is
// given (RFC 6749, section 6).
func narrowScopes(g *Grant, f form) ([]string, error) {
	scopes, err := parseScope(f.get("scope"))
	if err != nil {
		return nil, err
	}
	if scopes == nil {
		return g.Scopes, nil
	}
	if !subset(scopes, g.Scopes) {
		return nil, &Error{Code: ErrInvalidScope, Description: "the scope goes beyond what was granted"}
	}
	return scopes, nil
}

// narrowResources is the audience of a token that g is asked for (RFC 8707, section
// 2.2): the resources named, or all of the grant's that still exist.
func (s *Server) narrowResources(g *Grant, c *Client, ids []string) ([]string, error) {
	var named []string
	for _, id := range ids {
		r := s.resource(id)
		if r == nil || !slices.Contains(g.Resources, r.ID) {
			return nil, &Error{Code: ErrInvalidTarget, Description: "the resource was not granted"}
		}
		named = union(named, []string{r.ID})
	}
	if named == nil {
		named = g.Resources
	}
	named = keep(named, func(id string) bool {
		return s.resource(id) != nil && (c.reaches(id) || id == s.cfg.Issuer)
	})
	if len(named) == 0 {
		return nil, &Error{Code: ErrInvalidTarget, Description: "the resource is not served any more"}
	}
	return named, nil
}

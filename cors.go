package authwright

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Scripts of other origins may call the endpoints that clients call, each from the origins of
// its own client and never with cookies (RFC 9700, section 2.6). Nothing that a browser
// navigates to has any of this.

// preflight answers the question that a browser asks before it sends a script's request, and
// reports whether r was one. It names no client yet, so that the answer is the same for every
// origin; the answer to the request itself is what tells.
func preflight(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" || origin(r) == "" {
		return false
	}
	h := w.Header()
	h["Access-Control-Allow-Origin"] = anyOrigin
	h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
	h.Set("Access-Control-Allow-Headers", "*, Authorization, Content-Type, DPoP")
	h.Set("Access-Control-Max-Age", "7200")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// allowOrigin lets the script that sent r read the answer, if it is of an origin of the
// client.
func (s *Server) allowOrigin(w http.ResponseWriter, r *http.Request, clientID string) error {
	if origin(r) == "" {
		return nil
	}
	c, err := s.client(r.Context(), clientID)
	if errors.Is(err, ErrNotFound) {
		return nil
	} else if err != nil {
		return unavailable(err)
	}
	c.allowOrigin(w, r)
	return nil
}

func (c *Client) allowOrigin(w http.ResponseWriter, r *http.Request) {
	from := origin(r)
	if from == "" {
		return
	}
	if c.hasOrigin(from) {
		w.Header().Set("Access-Control-Allow-Origin", from)
		w.Header().Set("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce, Retry-After")
	}
}

// origin is the origin of the script that sent r. An opaque one could be anybody's.
func origin(r *http.Request) string {
	if from := r.Header.Get("Origin"); from != "null" {
		return from
	}
	return ""
}

// hasOrigin reports whether scripts of from act for c. Those of its redirect URIs do; the
// port of a loopback address is free, as it is there.
func (c *Client) hasOrigin(from string) bool {
	if slices.Contains(c.Origins, from) {
		return true
	}
	return slices.ContainsFunc(c.RedirectURIs, func(uri string) bool {
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" {
			return false
		}
		return matchRedirect(u.Scheme+"://"+u.Host, from, c.public())
	})
}

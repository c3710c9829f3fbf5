package authwright

import (
	"encoding/json"
	"maps"
	"slices"
)

// A claimsRequest is the claims parameter (OpenID Connect Core, section 5.5).
type claimsRequest struct {
	UserInfo map[string]*claimRequest `json:"userinfo,omitempty"`
	IDToken  map[string]*claimRequest `json:"id_token,omitempty"`
}

// A claimRequest is nil for a claim that is merely asked for.
type claimRequest struct {
	Essential bool              `json:"essential,omitempty"`
	Value     json.RawMessage   `json:"value,omitempty"`
	Values    []json.RawMessage `json:"values,omitempty"`
}

const maxClaimsRequest = 4 << 10

// parseClaims checks a claims parameter and returns it as it is kept.
func parseClaims(text string) (json.RawMessage, error) {
	if text == "" {
		return nil, nil
	}
	fault := &Error{Code: ErrInvalidRequest, Description: "claims is not a JSON object of section 5.5"}
	var c claimsRequest
	if len(text) > maxClaimsRequest || json.Unmarshal([]byte(text), &c) != nil {
		return nil, fault
	}
	if sub := c.IDToken["sub"]; sub != nil && sub.Value != nil && c.subject() == "" {
		return nil, fault // nobody is called that
	}
	kept, err := json.Marshal(c)
	if err != nil {
		return nil, fault
	}
	return kept, nil
}

func readClaims(kept json.RawMessage) (c claimsRequest) {
	if len(kept) > 0 && json.Unmarshal(kept, &c) != nil {
		return claimsRequest{}
	}
	return c
}

// names are the claims that are asked for, in order.
func (c claimsRequest) names() []string {
	var names []string
	for _, set := range []map[string]*claimRequest{c.UserInfo, c.IDToken} {
		for name := range set {
			if !slices.Contains(names, name) && !slices.Contains(reservedClaims, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// subject is the only user who will do, or "".
func (c claimsRequest) subject() (subject string) {
	if r := c.IDToken["sub"]; r != nil && json.Unmarshal(r.Value, &subject) != nil {
		return ""
	}
	return subject
}

// acrs are the authentication contexts of which the login must have one, or nil (section
// 5.5.1.1).
func (c claimsRequest) acrs() []string {
	r := c.IDToken["acr"]
	if r == nil || !r.Essential {
		return nil
	}
	var acrs []string
	for _, value := range append(r.Values, r.Value) {
		var acr string
		if json.Unmarshal(value, &acr) == nil && acr != "" {
			acrs = append(acrs, acr)
		}
	}
	return acrs
}

// withoutDeclined is a kept claims request without the claims that the user was shown as part
// of the scopes asked for, and has declined with one of them.
func (s *Server) withoutDeclined(kept json.RawMessage, asked, granted []string) (json.RawMessage, error) {
	if len(kept) == 0 {
		return kept, nil
	}
	c, shown, covered := readClaims(kept), s.covered(asked), s.covered(granted)
	declined := func(name string, _ *claimRequest) bool {
		return slices.Contains(shown, name) && !slices.Contains(covered, name)
	}
	maps.DeleteFunc(c.UserInfo, declined)
	maps.DeleteFunc(c.IDToken, declined)
	return json.Marshal(c)
}

package resource

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4/json"

	"github.com/authwright/authwright/internal/plain"
)

// claims are the members of a payload, each of another name.
type claims []plain.Member

// parseClaims returns the members of payload, in room if there is enough. If they are not plain
// they come from go-jose's decoder: unlike encoding/json it refuses repeated members and never
// takes ISS for iss.
func parseClaims(payload string, room claims) (claims, error) {
	if c, ok := plain.Members(payload, room); ok {
		return c, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(payload), &members); err != nil {
		return nil, err
	}
	c := make(claims, 0, len(members))
	for name, value := range members {
		c = append(c, plain.Member{Name: name, Value: string(value)})
	}
	return c, nil
}

// get returns the value of the claim name, or "" if there is none.
func (c claims) get(name string) string {
	for i := range c {
		if c[i].Name == name {
			return c[i].Value
		}
	}
	return ""
}

// has reports whether there is the claim name.
func (c claims) has(name string) bool { return c.get(name) != "" }

// read makes a Token of a payload whose signature is good (RFC 9068, section 4).
func (v *Verifier) read(payload string) (*Token, error) {
	var room [12]plain.Member // as many as most have
	c, err := parseClaims(payload, room[:0])
	if err != nil {
		return nil, refusedClaims
	}
	return v.accept(c, payload, "iss", "aud", "exp", "sub", "client_id", "iat", "jti")
}

// accept makes a Token of the claims in payload. They must be there if they are
// required, and are checked if they are there.
func (v *Verifier) accept(c claims, payload string, required ...string) (*Token, error) {
	lacking := func(name string) bool { return !c.has(name) }
	if c.ambiguous() || slices.ContainsFunc(required, lacking) {
		return nil, refusedClaims
	}
	if iss, ok := c.text("iss"); !ok && !lacking("iss") {
		return nil, refusedClaims
	} else if ok && iss != v.Issuer {
		return nil, refusedIssuer
	}
	if here, ok := c.contains("aud", v.Audience); !ok {
		return nil, refusedClaims
	} else if !here {
		return nil, refusedAudience
	}
	t, err := c.token()
	if err != nil {
		return nil, err
	}
	t.payload, t.notBefore = payload, t.IssuedAt
	if c.has("nbf") {
		nbf, ok := c.date("nbf")
		if !ok {
			return nil, refusedClaims
		}
		if nbf.After(t.notBefore) {
			t.notBefore = nbf
		}
	}
	if err := v.checkTime(t); err != nil {
		return nil, err
	}
	// RFC 9449, section 7.2 and RFC 8705, section 3: whoever accepts a bound token
	// without the proof makes it a bearer token again.
	if c.has("cnf") {
		return nil, refusedBound
	}
	return t, nil
}

// checkTime refuses a token whose time has not come or is over.
func (v *Verifier) checkTime(t *Token) error {
	switch now := v.now(); {
	case t.notBefore.After(now.Add(v.leeway())):
		return refusedEarly
	case !now.Before(t.Expiry.Add(v.leeway())):
		return refusedExpired
	}
	return nil
}

// token reads the claims that this package names.
func (c claims) token() (*Token, error) {
	t := &Token{}
	for _, claim := range []struct {
		name  string
		value *string
	}{{"jti", &t.ID}, {"sub", &t.Subject}, {"client_id", &t.ClientID}} {
		if !c.has(claim.name) {
			continue
		}
		if *claim.value, _ = c.text(claim.name); *claim.value == "" {
			return nil, refusedClaims
		}
	}
	var issued, expires bool
	t.IssuedAt, issued = c.date("iat")
	t.Expiry, expires = c.date("exp")
	if !issued && c.has("iat") || !expires {
		return nil, refusedClaims
	}
	if c.has("grant_id") {
		var ok bool
		if t.GrantID, ok = c.text("grant_id"); !ok {
			return nil, refusedClaims
		}
	}
	if c.has("scope") {
		scope, ok := c.text("scope")
		if !ok {
			return nil, refusedClaims
		}
		t.Scopes = slices.DeleteFunc(strings.Split(scope, " "), func(s string) bool { return s == "" })
	}
	return t, nil
}

// text returns the claim name if it is a string.
func (c claims) text(name string) (string, bool) {
	value := c.get(name)
	if value == "" || value[0] != '"' {
		return "", false
	}
	if s, ok := plain.Text(value); ok {
		return s, true
	}
	var s string
	err := json.Unmarshal([]byte(value), &s)
	return s, err == nil
}

// contains reports whether the claim name is text or has it among others, and whether it is a
// string or an array of strings at all (RFC 7519, section 4.1.3).
func (c claims) contains(name, text string) (contains, ok bool) {
	if s, ok := c.text(name); ok {
		return s == text, true
	}
	value := c.get(name)
	if texts, ok := plain.Texts(value); ok {
		for s := range texts {
			contains = contains || s == text
		}
		return contains, true
	}
	var list []*string
	if err := json.Unmarshal([]byte(value), &list); err != nil || list == nil || slices.Contains(list, nil) {
		return false, false
	}
	return slices.ContainsFunc(list, func(s *string) bool { return *s == text }), true
}

// date returns the claim name if it is a time. RFC 7519 allows fractions and
// exponents; no issuer sends them, and every reader of them rounds differently.
func (c claims) date(name string) (time.Time, bool) {
	const lastSecond = 253402300799 // of the year 9999
	n, err := strconv.ParseUint(c.get(name), 10, 64)
	if err != nil || n > lastSecond {
		return time.Time{}, false
	}
	return time.Unix(int64(n), 0), true
}

// ambiguous reports whether two members differ in nothing but case. encoding/json,
// and so [Token.Claims], would take the one for the other.
func (c claims) ambiguous() bool {
	var names, folded map[string]bool
	for i := range c {
		name := c[i].Name
		if !strings.ContainsFunc(name, func(r rune) bool { return 'A' <= r && r <= 'Z' || r >= utf8.RuneSelf }) {
			continue
		}
		if names == nil {
			names, folded = make(map[string]bool, len(c)), make(map[string]bool)
			for i := range c {
				names[c[i].Name] = true
			}
		}
		fold := strings.ToLower(strings.ToUpper(name)) // ſ is an s, too
		if fold != name && names[fold] || folded[fold] {
			return true
		}
		folded[fold] = true
	}
	return false
}

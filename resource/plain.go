package resource

import "strings"

// Most payloads are plain: an object without white space, escapes and text beyond ASCII, of
// strings, lists of strings, whole numbers and literals, with names in small letters. To read one
// of those takes a page of code and a fraction of the time that go-jose's decoder takes. What is
// not plain is not wrong: go-jose decides.

// maxPlain is how many members are compared with each other for being there twice.
const maxPlain = 32

// plainClaims returns the members of payload, which are parts of it, if it is plain. It puts them
// into room if there is enough.
func plainClaims(payload string, room claims) (claims, bool) {
	rest, ok := strings.CutPrefix(payload, "{")
	c := room[:0]
	for ok && len(c) < maxPlain {
		end := plainText(rest)
		if end <= 0 || !strings.HasPrefix(rest[end:], ":") {
			return nil, false
		}
		name, value := rest[1:end-1], rest[end+1:]
		if c.has(name) || strings.ContainsFunc(name, isUpper) {
			return nil, false
		}
		if end = plainValue(value); end <= 0 {
			return nil, false
		}
		c = append(c, claim{name, value[:end]})
		if rest = value[end:]; rest == "}" {
			return c, true
		}
		rest, ok = strings.CutPrefix(rest, ",")
	}
	return nil, false
}

// isUpper is about names that may be taken for others.
func isUpper(r rune) bool { return 'A' <= r && r <= 'Z' }

// plainValue returns the length of the plain value that s begins with, or 0.
func plainValue(s string) int {
	if s == "" {
		return 0
	}
	switch c := s[0]; {
	case c == '"':
		return plainText(s)
	case c == '[':
		return plainList(s)
	case '1' <= c && c <= '9':
		return len(s) - len(strings.TrimLeft(s, "0123456789"))
	}
	for _, literal := range []string{"0", "true", "false", "null"} {
		if strings.HasPrefix(s, literal) {
			return len(literal)
		}
	}
	return 0
}

// plainText returns the length of the plain string that s begins with, or 0.
func plainText(s string) int {
	if s == "" || s[0] != '"' {
		return 0
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c < ' ' || c > '~' || c == '\\':
			return 0
		}
	}
	return 0
}

// plainList returns the length of the list of plain strings that s begins with, or 0.
func plainList(s string) int {
	if strings.HasPrefix(s, "[]") {
		return 2
	}
	if s == "" || s[0] != '[' {
		return 0
	}
	for i := 1; ; i++ {
		length := plainText(s[i:])
		if i += length; length == 0 || i == len(s) {
			return 0
		}
		switch s[i] {
		case ']':
			return i + 1
		case ',':
		default:
			return 0
		}
	}
}

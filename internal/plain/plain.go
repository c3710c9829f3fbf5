// Package plain reads the claims that most tokens have.
//
// Most payloads are plain: an object without white space, escapes and text beyond ASCII, of
// strings, lists of strings, whole numbers and literals, with names in small letters. To read one
// of those takes a page of code and a fraction of the time that a decoder takes. What is
// not plain is not wrong: a decoder decides.
package plain

import (
	"iter"
	"strings"
)

// A Member is a name and a value of an object.
type Member struct{ Name, Value string } // the value is JSON

// maxMembers is how many are compared with each other for being there twice.
const maxMembers = 32

// Members returns those of object, each of another name, if it is plain. They are parts of it. They
// are put into room if there is enough.
func Members(object string, room []Member) (members []Member, ok bool) {
	rest, ok := strings.CutPrefix(object, "{")
	members = room[:0]
	for ok && len(members) < maxMembers {
		end := text(rest)
		if end <= 0 || !strings.HasPrefix(rest[end:], ":") {
			return nil, false
		}
		m := Member{Name: rest[1 : end-1]}
		for i := range members {
			if members[i].Name == m.Name {
				return nil, false
			}
		}
		if strings.ContainsFunc(m.Name, isUpper) {
			return nil, false
		}
		rest = rest[end+1:]
		if end = value(rest); end <= 0 {
			return nil, false
		}
		m.Value, rest = rest[:end], rest[end:]
		members = append(members, m)
		if rest == "}" {
			return members, true
		}
		rest, ok = strings.CutPrefix(rest, ",")
	}
	return nil, false
}

// Text returns the string that value is, if it is a plain one.
func Text(value string) (string, bool) {
	if n := text(value); n == 0 || n != len(value) {
		return "", false
	}
	return value[1 : len(value)-1], true
}

// Texts returns the strings of the list that value is, if it is a plain one and not empty.
func Texts(value string) (iter.Seq[string], bool) {
	if n := list(value); n <= len("[]") || n != len(value) {
		return nil, false
	}
	return strings.SplitSeq(value[2:len(value)-2], `","`), true
}

// isUpper is about names that may be taken for others.
func isUpper(r rune) bool { return 'A' <= r && r <= 'Z' }

// value returns the length of the plain value that s begins with, or 0.
func value(s string) int {
	if s == "" {
		return 0
	}
	switch c := s[0]; {
	case c == '"':
		return text(s)
	case c == '[':
		return list(s)
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

// text returns the length of the plain string that s begins with, or 0.
func text(s string) int {
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

// list returns the length of the list of plain strings that s begins with, or 0.
func list(s string) int {
	if strings.HasPrefix(s, "[]") {
		return 2
	}
	if s == "" || s[0] != '[' {
		return 0
	}
	for i := 1; ; i++ {
		length := text(s[i:])
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

package authwright

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// A form is the parameters of one request, in their order. RFC 6749, section 3.1
// has its own reading of a form, stricter than net/url's: what has no value is
// not there, and what is there is there once.
type form []param

type param struct{ name, value string }

const (
	maxForm   = 32 << 10 // bytes, in a query or in a body
	maxParams = 100
)

var (
	errFormSyntax = &Error{Code: ErrInvalidRequest, Description: "the request is not well-formed application/x-www-form-urlencoded"}
	errFormSize   = &Error{Code: ErrInvalidRequest, Description: "the request is too large", Status: http.StatusRequestEntityTooLarge}
	errMediaType  = &Error{Code: ErrInvalidRequest, Description: "the body must be application/x-www-form-urlencoded"}
)

// get returns the value of name, or "".
func (f form) get(name string) string {
	for i := range f {
		if f[i].name == name {
			return f[i].value
		}
	}
	return ""
}

// all returns every value of name, for parameters that may be repeated.
func (f form) all(name string) []string {
	var values []string
	for i := range f {
		if f[i].name == name {
			values = append(values, f[i].value)
		}
	}
	return values
}

// one returns the value of name if there is one alone.
func (f form) one(name string) (value string) {
	for i := range f {
		if f[i].name == name && value != "" {
			return ""
		} else if f[i].name == name {
			value = f[i].value
		}
	}
	return value
}

func (f form) has(name string) bool { return f.get(name) != "" }

// repeated returns the first parameter that occurs more than once, of those in
// names, or "".
func (f form) repeated(names []string) string {
	for i := range f {
		for j := range i {
			if f[i].name == f[j].name && slices.Contains(names, f[i].name) {
				return f[i].name
			}
		}
	}
	return ""
}

// without returns f less the parameters names.
func (f form) without(names ...string) form {
	return keep(f, func(p param) bool { return !slices.Contains(names, p.name) })
}

// only returns the parameters names, and more, of f.
func (f form) only(names []string, more ...string) form {
	return keep(f, func(p param) bool { return slices.Contains(names, p.name) || slices.Contains(more, p.name) })
}

// encode returns f as a query that parseForm reads back.
func (f form) encode() string {
	var b strings.Builder
	f.write(&b)
	return b.String()
}

func (f form) write(b *strings.Builder) {
	for i, p := range f {
		if i > 0 {
			b.WriteByte('&')
		}
		escape(b, p.name)
		b.WriteByte('=')
		escape(b, p.value)
	}
}

// keep returns the elements of list that are good. List stays as it is, and is returned if all
// of it is.
func keep[L ~[]E, E any](list L, good func(E) bool) L {
	bad := func(e E) bool { return !good(e) }
	if !slices.ContainsFunc(list, bad) {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), bad)
}

// parseForm reads application/x-www-form-urlencoded text (RFC 6749, appendix B).
func parseForm(text string) (form, error) {
	if len(text) > maxForm {
		return nil, errFormSize
	}
	if strings.Count(text, "&") >= maxParams {
		return nil, errFormSyntax
	}
	f := make(form, 0, 1+strings.Count(text, "&"))
	for text != "" {
		var pair string
		pair, text, _ = strings.Cut(text, "&")
		name, value, _ := strings.Cut(pair, "=")
		name, ok1 := unescape(name)
		value, ok2 := unescape(value)
		if !ok1 || !ok2 {
			return nil, errFormSyntax
		}
		// Section 3.1: "Parameters sent without a value MUST be treated as if
		// they were omitted from the request."
		if name != "" && value != "" {
			f = append(f, param{name, value})
		}
	}
	return f, nil
}

// readForm reads the form in the body of r.
func readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	// Nothing but a form is read as one, so that no page of another origin can
	// post one by way of text/plain.
	contentType := r.Header.Values("Content-Type")
	if len(contentType) != 1 {
		return nil, errMediaType
	}
	if contentType[0] != "application/x-www-form-urlencoded" {
		if t, _, err := mime.ParseMediaType(contentType[0]); err != nil || t != "application/x-www-form-urlencoded" {
			return nil, errMediaType
		}
	}
	if r.ContentLength > maxForm {
		return nil, errFormSize
	}
	body := make([]byte, 0, max(r.ContentLength, bytes.MinRead)+1)
	for len(body) <= maxForm {
		if len(body) == cap(body) { // it is longer than it said
			body = slices.Grow(body, min(len(body), maxForm+1-len(body)))
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return parseForm(string(body))
		} else if err != nil {
			return nil, &Error{Code: ErrInvalidRequest, Description: "the body ended early", Err: err}
		}
	}
	return nil, errFormSize
}

// unescape decodes one name or value. It refuses what decoders disagree about:
// a bare semicolon, a broken escape, a NUL and what is not UTF-8.
func unescape(s string) (string, bool) {
	if !strings.ContainsAny(s, "%+") {
		return s, isText(s) && !strings.Contains(s, ";")
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '+':
			b.WriteByte(' ')
		case ';':
			return "", false
		case '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return "", false
			}
			b.WriteByte(fromHex(s[i+1])<<4 | fromHex(s[i+2]))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), isText(b.String())
}

// escape writes s so that unescape brings it back.
func escape(b *strings.Builder, s string) {
	for i := range len(s) {
		if c := s[i]; isUnreserved(c) {
			b.WriteByte(c)
		} else {
			const digits = "0123456789ABCDEF"
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func isUnreserved(c byte) bool { // RFC 3986, section 2.3
	return isAlnum(c) || c == '-' || c == '.' || c == '_' || c == '~'
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func fromHex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// isPrintableASCII reports whether s is one or more visible characters.
func isPrintableASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != ""
}

// present returns f less what has no value.
func (f form) present() form {
	return slices.DeleteFunc(f, func(p param) bool { return p.value == "" })
}

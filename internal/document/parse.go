package document

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// ParseGrant reads a document. The texts of the grant are parts of it.
func ParseGrant(text string) (*authwright.Grant, error) {
	g := new(authwright.Grant)
	if p := (parser{text}); p.grant(g) && p.rest == "" {
		return g, nil
	}
	g = new(authwright.Grant)
	if err := json.Unmarshal([]byte(text), g); err != nil {
		return nil, err
	}
	return g, nil
}

// A parser reads what AppendGrant writes. Its methods report whether they found it.
type parser struct{ rest string }

// next takes a token.
func (p *parser) next(token string) (ok bool) {
	p.rest, ok = strings.CutPrefix(p.rest, token)
	return ok
}

func (p *parser) grant(g *authwright.Grant) bool {
	separator := byte('{')
	for i := range fields {
		f := &fields[i]
		if p.rest == "" || p.rest[0] != separator || !strings.HasPrefix(p.rest[1:], f.name) {
			continue
		}
		p.rest = p.rest[1+len(f.name):]
		if !p.value(f.of(g)) {
			return false
		}
		separator = ','
	}
	return separator == ',' && p.next("}")
}

func (p *parser) value(v any) (ok bool) {
	switch v := v.(type) {
	case *string:
		*v, ok = p.text()
		return ok
	case *[]string:
		return p.texts(v)
	case *[]byte:
		text, ok := p.text()
		if !ok {
			return false
		}
		var err error
		*v, err = base64.StdEncoding.DecodeString(text)
		return err == nil
	case *int64:
		return p.number(v)
	case *bool:
		*v = p.next("true")
		return *v
	case *time.Time:
		text, ok := p.text()
		return ok && v.UnmarshalText([]byte(text)) == nil
	}
	return false
}

func (p *parser) text() (string, bool) {
	if !p.next(`"`) {
		return "", false
	}
	for i := range len(p.rest) {
		if !plain(p.rest[i]) {
			text := p.rest[:i]
			p.rest = p.rest[i:]
			return text, p.next(`"`)
		}
	}
	return "", false
}

func (p *parser) texts(v *[]string) bool {
	for separator := "["; p.next(separator); separator = "," {
		text, ok := p.text()
		if !ok {
			return false
		}
		*v = append(*v, text)
	}
	return len(*v) > 0 && p.next("]")
}

// number reads a positive one.
func (p *parser) number(v *int64) bool {
	digits := len(p.rest) - len(strings.TrimLeft(p.rest, "0123456789"))
	text := p.rest[:digits]
	p.rest = p.rest[digits:]
	var err error
	*v, err = strconv.ParseInt(text, 10, 64)
	return err == nil && text[0] != '0'
}

// Package document writes and reads grants as JSON for the storages, several times faster
// than [encoding/json], which was most of what they cost.
//
// What it writes is what encoding/json writes, in ASCII and with less escapes for HTML. That
// form it reads by itself. Everything else, such as a text with escapes, it hands to
// encoding/json, and so it decodes whatever that decodes, to the same grant.
package document

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/authwright/authwright"
)

// A field is a field of a grant, in the order of the type, by its name in JSON.
type field struct {
	name  string
	empty bool                        // whether it is written when it is empty
	of    func(*authwright.Grant) any // a pointer to its value
}

var fields = []field{
	{`"id":`, true, func(g *authwright.Grant) any { return &g.ID }},
	{`"version":`, true, func(g *authwright.Grant) any { return &g.Version }},
	{`"stage":`, true, func(g *authwright.Grant) any { return (*string)(&g.Stage) }},
	{`"created_at":`, false, func(g *authwright.Grant) any { return &g.CreatedAt }},
	{`"expires_at":`, false, func(g *authwright.Grant) any { return &g.ExpiresAt }},
	{`"ends_at":`, false, func(g *authwright.Grant) any { return &g.EndsAt }},
	{`"client_id":`, true, func(g *authwright.Grant) any { return &g.ClientID }},
	{`"sub":`, false, func(g *authwright.Grant) any { return &g.Subject }},
	{`"scopes":`, false, func(g *authwright.Grant) any { return &g.Scopes }},
	{`"resources":`, false, func(g *authwright.Grant) any { return &g.Resources }},
	{`"auth_time":`, false, func(g *authwright.Grant) any { return &g.AuthTime }},
	{`"acr":`, false, func(g *authwright.Grant) any { return &g.ACR }},
	{`"amr":`, false, func(g *authwright.Grant) any { return &g.AMR }},
	{`"sid":`, false, func(g *authwright.Grant) any { return &g.Session }},
	{`"online":`, false, func(g *authwright.Grant) any { return &g.Online }},
	{`"claims":`, false, func(g *authwright.Grant) any { return &g.Claims }},
	{`"redirect_uri":`, false, func(g *authwright.Grant) any { return &g.RedirectURI }},
	{`"state":`, false, func(g *authwright.Grant) any { return &g.State }},
	{`"response_mode":`, false, func(g *authwright.Grant) any { return &g.ResponseMode }},
	{`"nonce":`, false, func(g *authwright.Grant) any { return &g.Nonce }},
	{`"code_challenge":`, false, func(g *authwright.Grant) any { return &g.CodeChallenge }},
	{`"client_hash":`, false, func(g *authwright.Grant) any { return &g.ClientHash }},
	{`"browser":`, false, func(g *authwright.Grant) any { return &g.Browser }},
	{`"secret":`, false, func(g *authwright.Grant) any { return &g.Secret }},
	{`"lineage":`, false, func(g *authwright.Grant) any { return &g.Lineage }},
	{`"turn":`, false, func(g *authwright.Grant) any { return &g.Turn }},
	{`"previous":`, false, func(g *authwright.Grant) any { return &g.Previous }},
	{`"sealed":`, false, func(g *authwright.Grant) any { return &g.Sealed }},
	{`"rotated_at":`, false, func(g *authwright.Grant) any { return &g.RotatedAt }},
	{`"token":`, false, func(g *authwright.Grant) any { return &g.Token }},
}

// AppendGrant appends the document of g to b.
func AppendGrant(b []byte, g *authwright.Grant) (_ []byte, err error) {
	b = slices.Grow(b, 1<<10) // most are shorter
	separator := byte('{')
	for i := range fields {
		f := &fields[i]
		before := len(b)
		b = append(append(b, separator), f.name...)
		written := f.empty
		switch v := f.of(g).(type) {
		case *string:
			b, written = appendText(b, *v), written || *v != ""
		case *[]string:
			b, written = appendTexts(b, *v), len(*v) > 0
		case *[]byte:
			b = append(base64.StdEncoding.AppendEncode(append(b, '"'), *v), '"')
			written = len(*v) > 0
		case *int64:
			b = strconv.AppendInt(b, *v, 10)
		case *bool:
			b, written = append(b, "true"...), *v
		case *time.Time:
			if written = !v.IsZero(); written {
				b, err = v.AppendText(append(b, '"'))
				b = append(b, '"')
			}
		case *json.RawMessage:
			if written = len(*v) > 0; written {
				var data []byte
				data, err = json.Marshal(*v)
				b = AppendASCII(b, data)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("field %s%w", f.name, err)
		}
		if !written {
			b = b[:before]
			continue
		}
		separator = ','
	}
	return append(b, '}'), nil
}

func appendTexts(b []byte, texts []string) []byte {
	b = append(b, '[')
	for i, text := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, text)
	}
	return append(b, ']')
}

func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if !plain(text[i]) {
			data, _ := json.Marshal(text) // which takes every string
			return AppendASCII(b, data)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

// plain reports whether a byte stands for itself in a JSON string.
func plain(c byte) bool { return ' ' <= c && c < 0x7f && c != '"' && c != '\\' }

// AppendASCII appends JSON to b with escapes in the place of what is not ASCII, so that no
// character set on the way to a database lacks a character.
func AppendASCII(b, data []byte) []byte {
	for len(data) > 0 {
		if data[0] < utf8.RuneSelf {
			b, data = append(b, data[0]), data[1:]
			continue
		}
		r, size := utf8.DecodeRune(data)
		for _, unit := range utf16.AppendRune(nil, r) {
			b = fmt.Appendf(b, `\u%04x`, unit)
		}
		data = data[size:]
	}
	return b
}

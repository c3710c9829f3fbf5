package authwright

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// What is read is what net/url would read, less what has no value; and it can be written and
// read again.
func FuzzParseForm(f *testing.F) {
	for _, text := range []string{
		"", "a=b", "a=b&a=c", "a", "a=", "=b", "&&", "a=b=c", "a+b=c+d", "a%20b=%63", "a=%", "a=%4", "a=%zz", "a=%00", "a=\x00", "a=b;c=d", "a=%3B",
		"redirect_uri=https%3A%2F%2Fapp.example.com%2Fcb&redirect_uri=https%3A%2F%2Fevil.test", "state=%ff", "state=\xff", "%C0%AE=x", "a=%ED%A0%80", "é=ü",
		strings.Repeat("&", 99), strings.Repeat("&", 100), strings.Repeat("a=b&", 99), "code=\u2028", "a=b#c", "a[]=1&a[0]=2", "client_id=web&client_%69d=other", "a=b\r\nc=d",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := parseForm(text)
		if err != nil {
			require.Nil(t, read)
			return
		}
		require.LessOrEqual(t, len(read), maxParams)
		want, err := url.ParseQuery(text)
		require.NoError(t, err, "what is read here, others can read")
		for name, values := range want {
			values = slices.DeleteFunc(values, func(v string) bool { return v == "" || name == "" })
			require.Equal(t, slices.Clip(values), slices.Clip(append([]string{}, read.all(name)...)), name)
		}
		for _, p := range read {
			require.NotEmpty(t, p.name)
			require.NotEmpty(t, p.value)
			require.Contains(t, want[p.name], p.value)
			require.True(t, utf8.ValidString(p.name+p.value))
			require.NotContains(t, p.name+p.value, "\x00")
			first := slices.IndexFunc(read, func(q param) bool { return q.name == p.name })
			require.Equal(t, read[first].value, read.get(p.name))
			require.Equal(t, len(want[p.name]) > 1 && len(read.all(p.name)) > 1, read.repeated([]string{p.name}) != "")
		}
		encoded := read.encode()
		require.True(t, encoded == "" || isPrintableASCII(encoded))
		again, err := parseForm(encoded)
		if len(encoded) <= maxForm { // escapes are longer than what they stand for
			require.NoError(t, err)
			require.True(t, slices.Equal(read, again), "%q became %q", read, again)
		}
	})
}

// Of an Authorization header there is one reading, and what is written as RFC 6749, section
// 2.3.1 has it is read as it was meant.
func FuzzBasicHeader(f *testing.F) {
	for _, joined := range []string{
		"c1:secret", "c1:", ":secret", "", "c1", "c1:a:b", "c%31:s", "c1:%", "c1:%zz", "c+1:s+s", "c1:\xff", "c1:%ff", "c1:\x00", "c1:s;s", "a%3Ab:c", ":+% é",
	} {
		f.Add("Basic "+base64.StdEncoding.EncodeToString([]byte(joined)), "web", joined)
		f.Add("bAsIc  "+base64.RawURLEncoding.EncodeToString([]byte(joined)), joined, "s3cret:+% é")
		f.Add(joined, joined, joined)
	}
	f.Add("Basic YTpi\r\n", "a", "b")
	f.Add("Basic YTpi YTpi", "a", "b")
	f.Add("Bearer YTpi", "a", "b")
	f.Add("Basic", "a", "b")
	f.Fuzz(func(t *testing.T, header, id, secret string) {
		if got, ok := parseBasic(header); ok {
			scheme, text, _ := strings.Cut(header, " ")
			require.Equal(t, "basic", strings.ToLower(scheme))
			joined, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
			require.NoError(t, err)
			name, password, found := strings.Cut(string(joined), ":")
			require.True(t, found)
			name, err = url.QueryUnescape(name)
			require.NoError(t, err)
			password, err = url.QueryUnescape(password)
			require.NoError(t, err)
			require.Equal(t, credentials{id: name, secret: password, method: AuthSecretBasic}, got)
			require.NotEmpty(t, got.id)
			require.True(t, isText(got.id) && isText(got.secret))
		}
		written := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
		got, ok := parseBasic(written)
		require.Equal(t, id != "" && isText(id) && isText(secret), ok)
		if ok {
			require.Equal(t, credentials{id: id, secret: secret, method: AuthSecretBasic}, got)
		}
	})
}

// A scope parameter is read as a set, in its order, and nothing that RFC 6749, section 3.3
// does not allow is in it.
func FuzzScope(f *testing.F) {
	for _, text := range []string{
		"", "read", "read write", "read read", " read", "read ", "read  write", "read\twrite", "a\"b", `a\b`, "é", "a\x00b", "a\x7fb", "*", "read,write", "READ read", "openid offline_access", "a b", strings.Repeat("a ", 50),
	} {
		f.Add(text, "read write")
		f.Add("read write", text)
	}
	f.Fuzz(func(t *testing.T, text, granted string) {
		scopes, err := parseScope(text)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalidScope)
			return
		}
		for i, s := range scopes {
			require.NotContains(t, scopes[:i], s)
			require.Contains(t, strings.Split(text, " "), s)
			for _, c := range []byte(s) {
				require.True(t, c == 0x21 || 0x23 <= c && c <= 0x5b || 0x5d <= c && c <= 0x7e, s)
			}
		}
		for s := range strings.SplitSeq(text, " ") {
			require.True(t, text == "" || slices.Contains(scopes, s), s)
		}
		again, err := parseScope(strings.Join(scopes, " "))
		require.NoError(t, err)
		require.Equal(t, scopes, again)

		g := &Grant{Scopes: strings.Fields(granted)}
		got, err := narrowScopes(g, form{{"scope", text}}.present())
		if err != nil {
			require.ErrorIs(t, err, ErrInvalidScope)
			return
		}
		for _, s := range got {
			require.Contains(t, g.Scopes, s, "a token never has more than was granted")
		}
	})
}

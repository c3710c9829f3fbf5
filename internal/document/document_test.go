package document_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/internal/document"
)

// full is a grant whose every field is set, also those that are added after this was written.
func full(t testing.TB) *authwright.Grant {
	t.Helper()
	g := new(authwright.Grant)
	for v, i := reflect.ValueOf(g).Elem(), 0; i < v.NumField(); i++ {
		name := v.Type().Field(i).Name
		switch f := v.Field(i).Addr().Interface().(type) {
		case *string:
			*f = "text of " + name + " + / & < > '"
		case *authwright.Stage:
			*f = authwright.StageActive
		case *[]string:
			*f = []string{name, "", "https://api.example/?a=b&c=d"}
		case *[]byte:
			*f = []byte(name + "\x00\xff")
		case *int64:
			*f = 1<<62 + int64(i)
		case *bool:
			*f = true
		case *time.Time:
			*f = time.Date(2026, 11, 26, 21, 0, i, 123456789, time.UTC)
		case *json.RawMessage:
			*f = json.RawMessage(`{"userinfo":{"email":null,"name":{"value":"<&>"}}}`)
		default:
			require.Fail(t, "a type that the package does not know", "%s %T", name, f)
		}
	}
	return g
}

// plainJSON is g by encoding/json without escapes for HTML.
func plainJSON(t testing.TB, g *authwright.Grant) string {
	t.Helper()
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	require.NoError(t, e.Encode(g))
	return strings.TrimSpace(b.String())
}

// Each field alone, so that a separator or a condition that is wrong shows.
func eachField(t testing.TB, f func(name string, g *authwright.Grant)) {
	all := reflect.ValueOf(full(t)).Elem()
	for i := range all.NumField() {
		g := new(authwright.Grant)
		reflect.ValueOf(g).Elem().Field(i).Set(all.Field(i))
		f(all.Type().Field(i).Name, g)
	}
	f("none", new(authwright.Grant))
	f("all", full(t))
}

func TestDocumentIsThatOfEncodingJSON(t *testing.T) {
	t.Parallel()
	eachField(t, func(name string, g *authwright.Grant) {
		got, err := document.AppendGrant(nil, g)
		require.NoError(t, err, name)
		require.JSONEq(t, plainJSON(t, g), string(got), name)
		if g.Claims == nil {
			require.Equal(t, plainJSON(t, g), string(got))
		}
		back, err := document.ParseGrant(string(got))
		require.NoError(t, err, name)
		if g.Claims != nil {
			require.JSONEq(t, string(g.Claims), string(back.Claims))
			back.Claims = g.Claims
		}
		require.Equal(t, g, back, name)
		for _, old := range []func(any) ([]byte, error){json.Marshal, func(v any) ([]byte, error) { return json.MarshalIndent(v, " ", "\t") }} {
			data, err := old(g)
			require.NoError(t, err)
			back, err = document.ParseGrant(string(data))
			require.NoError(t, err, name)
			want := new(authwright.Grant)
			require.NoError(t, json.Unmarshal(data, want))
			require.Equal(t, want, back, name)
		}
	})
}

func TestTextsThatNeedEscapes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`"`, `\`, "\x00", "\x7f", "\n", "é&", "\u2028", "\uffff", "𝄞", "\xff"} {
		data, err := document.AppendGrant(nil, &authwright.Grant{State: text, Scopes: []string{text}})
		require.NoError(t, err)
		for _, c := range data {
			require.Less(t, c, byte(0x80))
		}
		var want authwright.Grant
		require.NoError(t, json.Unmarshal(data, &want))
		require.Equal(t, strings.ToValidUTF8(text, "\ufffd"), want.State)
		got, err := document.ParseGrant(string(data))
		require.NoError(t, err)
		require.Equal(t, &want, got)
	}
}

func TestWhatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]*authwright.Grant{
		"year":   {ExpiresAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"claims": {Claims: json.RawMessage(`{`)},
	} {
		_, err := json.Marshal(g)
		require.Error(t, err, name)
		_, err = document.AppendGrant(nil, g)
		require.Error(t, err, name)
	}
}

// What is written in the common case is read without encoding/json, which takes more than
// twice as many allocations.
func TestParseIsFast(t *testing.T) {
	g := full(t)
	g.Claims = nil
	data, err := document.AppendGrant(nil, g)
	require.NoError(t, err)
	text := string(data)
	fast := testing.AllocsPerRun(100, func() { _, _ = document.ParseGrant(text) })
	slow := testing.AllocsPerRun(100, func() { _ = json.Unmarshal([]byte(text), new(authwright.Grant)) })
	require.Less(t, 2*fast, slow)
}

// ParseGrant and encoding/json agree on every text: on what it is, or that it is none.
func FuzzParseGrant(f *testing.F) {
	eachField(f, func(_ string, g *authwright.Grant) {
		data, err := document.AppendGrant(nil, g)
		require.NoError(f, err)
		f.Add(string(data))
		f.Add(plainJSON(f, g))
	})
	for _, text := range []string{"", "{", "{}", "null", "[]", `{"id":"a"} `, `{"id":"a"}x`, `{"id":"a",}`, `{"version":01}`, `{"version":-1}`,
		`{"version":9223372036854775808}`, `{"scopes":[]}`, `{"scopes":]}`, `{"scopes":["a",]}`, `{"secret":""}`, `{"secret":"AA"}`, `{"secret":"AA=="}`, `{"online":false}`,
		`{"id":"a","id":"b"}`, `{"ID":"a"}`, `{"version":1,"id":"a"}`, `{"created_at":"2026-11-26T21:00:00+01:00"}`, `{"created_at":"2026-11-26T21:00:00,5Z"}`, `}`, `,"id":"a"}`, `{"id":"\u0061"}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := new(authwright.Grant)
		wantErr := json.Unmarshal([]byte(text), want)
		got, err := document.ParseGrant(text)
		if wantErr != nil {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.Equal(t, want, got)
	})
}

func BenchmarkParseGrant(b *testing.B) {
	g := full(b)
	g.Claims = nil
	data, err := document.AppendGrant(nil, g)
	require.NoError(b, err)
	text := string(data)
	b.Run("document", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := document.ParseGrant(text); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := json.Unmarshal([]byte(text), new(authwright.Grant)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppendGrant(b *testing.B) {
	g := full(b)
	g.Claims = nil
	var buffer []byte
	b.Run("document", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buffer, _ = document.AppendGrant(buffer[:0], g)
		}
	})
	b.Run("encoding json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(g); err != nil {
				b.Fatal(err)
			}
		}
	})
}

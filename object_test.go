package authwright

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// What is written member by member reads as what encoding/json writes.
func FuzzObject(f *testing.F) {
	for _, text := range []string{"", "alice", `quote " and \`, "<script>&", "\x00\x1f\x7f", "älice 𝄞", "\xff\xfe", "line\nbreak", "\u2028"} {
		f.Add(text, "b", int64(-1), true)
		f.Add("a", text, int64(1<<62), false)
	}
	f.Fuzz(func(t *testing.T, a, b string, n int64, yes bool) {
		inner := newObject(0).text("inner", b).json()
		got := newObject(0).text("a", a).number("n", n).boolean("yes", yes).texts("list", []string{a, b}).texts("none", nil).
			token("token", []byte("aZ9-_.")).members(inner).members([]byte("{}")).json()
		want, err := json.Marshal(map[string]any{
			"a": a, "n": n, "yes": yes, "list": []string{a, b}, "none": []string{}, "token": "aZ9-_.", "inner": b,
		})
		require.NoError(t, err)
		require.True(t, utf8.Valid(got))
		require.JSONEq(t, string(want), string(got))
		require.Equal(t, `{"first":"1"}`, string(newObject(0).members([]byte(`{"first":"1"}`)).json()))
		require.Equal(t, `{}`, string(newObject(0).json()))
	})
}

package resource

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4/json"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/internal/plain"
)

// plainPayloads are read here, the others by go-jose.
var plainPayloads = []string{
	`{"aud":"https://api.example.com","client_id":"notes-web","exp":1795349400,"grant_id":"GRANT","iat":1795348800,"iss":"https://auth.example.com","jti":"ID","scope":"notes:read notes:write","sub":"user-1"}`,
	`{"a":"","b":0,"c":10,"d":true,"e":false,"f":null,"g":[],"h":[""],"i":["a","b,c]"],"":"{}","j k":"/~ "}`,
	`{"aud":["a","b"]}`,
}

var otherPayloads = []string{
	``, `{`, `{}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1}}`, `{"a":1} `, ` {"a":1}`, `{"a" :1}`, `{"a": 1}`, `{"a":1,"a":2}`,
	`{"A":1}`, `{"iSs":"x"}`, `{"ſub":1}`, `{"a":"é"}`, "{\"a\":\"\x7f\"}", "{\"a\":\"\x00\"}", "{\"a\":\"\xff\"}", `{"a":"\u0041"}`, `{"\u0061":1}`, `{"a":"\"}`,
	`{"a":01}`, `{"a":00}`, `{"a":-1}`, `{"a":1.0}`, `{"a":1e3}`, `{"a":0x1}`, `{"a":truefalse}`, `{"a":nul}`, `{"a":{}}`, `{"a":[1]}`, `{"a":["b",]}`, `{"a":[,]}`,
	`{"a":["b" ,"c"]}`, `{"a":["b"`, `{"a":["b"}`, `{"a":[["b"]]}`, `{"a":["b",null]}`, `{"a":"b""c":1}`, `{"a":1;"b":2}`, `["a"]`, `"a"`, `null`, `{"a":1}{"b":2}`,
	`{` + strings.Repeat(`"a":1,`, 50) + `"b":2}`,
}

func TestPlainClaims(t *testing.T) {
	t.Parallel()
	for _, payload := range plainPayloads {
		c, ok := plain.Members(payload, nil)
		require.True(t, ok, payload)
		requireSameClaims(t, payload, c)
	}
	for _, payload := range otherPayloads {
		_, ok := plain.Members(payload, nil)
		require.False(t, ok, payload)
	}
	const most = 32 // that are compared with each other
	var many []string
	for i := range most + 1 {
		many = append(many, fmt.Sprintf(`"claim-%d":%d`, i, i))
	}
	_, ok := plain.Members("{"+strings.Join(many[1:], ",")+"}", nil)
	require.True(t, ok)
	_, ok = plain.Members("{"+strings.Join(many, ",")+"}", nil)
	require.False(t, ok, "there is an end to comparing names")
	c, err := parseClaims("{"+strings.Join(many, ",")+"}", nil)
	require.NoError(t, err)
	require.Len(t, c, most+1)
}

// requireSameClaims compares c with what go-jose's decoder makes of payload.
func requireSameClaims(t *testing.T, payload string, c claims) {
	t.Helper()
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(payload), &members), payload)
	require.Len(t, c, len(members))
	for name, value := range members {
		require.True(t, c.has(name))
		require.Equal(t, string(value), c.get(name))

		var text *string
		decoded := json.Unmarshal(value, &text) == nil && text != nil
		got, ok := c.text(name)
		require.Equal(t, decoded, ok, "%s", value)
		if decoded {
			require.Equal(t, *text, got)
		}
		var list []string
		decoded = json.Unmarshal(value, &list) == nil && list != nil
		if _, ok := c.contains(name, ""); ok && value[0] == '[' {
			require.True(t, decoded, "%s", value)
			for _, text := range append(list, "", "b") {
				contains, _ := c.contains(name, text)
				require.Equal(t, slices.Contains(list, text), contains)
			}
		} else if value[0] == '[' && !strings.Contains(string(value), "null") {
			require.False(t, decoded, "%s", value)
		}
	}
	require.False(t, c.ambiguous())
}

// What is plain is to go-jose's decoder what it is here.
func FuzzPlainClaims(f *testing.F) {
	for _, payload := range append(append([]string{}, plainPayloads...), otherPayloads...) {
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		if c, ok := plain.Members(payload, nil); ok {
			requireSameClaims(t, payload, c)
		}
	})
}

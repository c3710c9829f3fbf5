package integration_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/authwright/authwright"
)

// numbered is n different values, separated by plus signs.
func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "+%x", i)
	}
	return b.String()[1:]
}

// nested is an array in an array, and so on.
func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// members are those of a JSON object, as many as n, to follow another.
func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"%x":1`, i)
	}
	return b.String()
}

// unverifiable is a JWT with a signature that is none.
func unverifiable(header, payload string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	return b64([]byte(header)) + "." + b64([]byte(payload)) + "." + b64(make([]byte, 256))
}

const nineMiB = 9 << 20

// TestDenialOfServiceByRequests weighs single requests that are larger than any client's.
func TestDenialOfServiceByRequests(t *testing.T) {
	v, _ := besieged(t, new(authwright.Memory))
	var burdens []burden
	for _, path := range []string{"/token", "/revoke", "/introspect", "/register", "/consent", "/authorize", "/userinfo", "/logout"} {
		media := "application/x-www-form-urlencoded"
		if path == "/register" {
			media = "application/json"
		}
		endless := func(length int64) func() *http.Request {
			return func() *http.Request {
				r := sending(http.MethodPost, path, "", "Content-Type", media)()
				r.Body, r.ContentLength = io.NopCloser(new(bottomless)), length
				return r
			}
		}
		burdens = append(burdens,
			burden{name: "D01 9 MiB to " + path, make: endless(nineMiB), size: nineMiB, status: http.StatusRequestEntityTooLarge},
			burden{name: "D01 9 MiB to " + path + " in chunks", make: endless(-1), size: nineMiB, status: http.StatusRequestEntityTooLarge})
	}
	const cpu = 50 * time.Millisecond
	burdens = append(burdens, []burden{
		{name: "D02 100,000 parameters", make: posting("/token", strings.Repeat("a=b&", 100_000)), status: 413, cpu: cpu},
		{name: "D02 1 MiB of &", make: posting("/token", strings.Repeat("&", 1<<20)), status: 413, cpu: cpu},
		{name: "D02 32 KiB of &", make: posting("/token", strings.Repeat("&", 32<<10)), status: 400, cpu: cpu},
		{name: "D02 32 KiB of escapes", make: posting("/token", "client_id="+strings.Repeat("%61", 10_900)), status: 401, cpu: cpu},
		{name: "D02 1 MiB of & in the query of /token", make: posting("/token?"+strings.Repeat("&", 1<<20), ""), status: 413, cpu: cpu},
		{name: "D02 1 MiB of & in the query of /authorize", make: sending("GET", "/authorize?"+strings.Repeat("&", 1<<20), ""), status: 413, cpu: cpu},
		{name: "D02 100 resources", make: getting(strings.Repeat("&resource=https://api.example.com", 90)), status: 303, cpu: cpu},
		{name: "D02 500 scopes", make: getting("&scope="+numbered(500), "scope", ""), status: 303, cpu: cpu},
		{name: "D02 6,000 scopes", make: getting("&scope="+numbered(6000), "scope", ""), status: 303, cpu: cpu},
		{name: "D02 6,000 acr_values", make: getting("&acr_values="+numbered(6000), "scope", "openid"), status: 303, cpu: cpu},
		{name: "D02 6,000 values of prompt", make: getting("&prompt="+numbered(6000), "scope", "openid"), status: 303, cpu: cpu},
	}...)
	for _, more := range []struct {
		attack  string
		burdens []burden
	}{{"D04 ", headers()}, {"D01 ", jsonBurdens()}, {"J12 ", jwtBurdens()}} {
		for _, b := range more.burdens {
			b.name = more.attack + b.name
			burdens = append(burdens, b)
		}
	}
	v.weighAll(t, burdens)
}

// headers are as long as the shipped examples allow, 64 KiB, but where net/http's own limit
// of 1 MiB is tried.
func headers() []burden {
	long := strings.Repeat("x", 64<<10)
	var many []string
	for i := range 6000 {
		many = append(many, fmt.Sprint("X-", i), "x")
	}
	form := posting("/token", "grant_type=x&client_id=p1")
	with := func(name, value string) func() *http.Request {
		return func() *http.Request {
			r := form()
			r.Header.Set(name, value)
			return r
		}
	}
	return []burden{
		{name: "64 KiB of headers", make: posting("/token", "client_id=x", many...), status: 401},
		{name: "a long cookie", make: sending("GET", "/authorize?"+asking().Encode(), "", "Cookie", strings.Repeat("a=b; ", 13_000)), status: 303},
		{name: "a long Content-Type", make: with("Content-Type", "application/x-www-form-urlencoded;"+strings.Repeat(" a=b;", 13_000)), status: 400},
		{name: "a long Origin", make: with("Origin", "https://"+long), status: 400},
		{name: "a long Basic", make: with("Authorization", "Basic "+long), status: 401},
		{name: "a Basic of 1 MiB", make: with("Authorization", "Basic "+strings.Repeat("YWFh", 1<<18)), status: 401, most: 4 << 20},
		{name: "a long Bearer", make: sending("GET", "/userinfo", "", "Authorization", "Bearer "+long), status: 401},
		{name: "a long path", make: sending("GET", "/"+long, ""), status: 404},
	}
}

func jsonBurdens() []burden {
	register := func(body string) func() *http.Request {
		return sending("POST", "/register", body, "Content-Type", "application/json")
	}
	claims := func(text string) func() *http.Request { return getting("", "scope", "openid", "claims", text) }
	return []burden{
		{name: "a registration of nested arrays", make: register(`{"redirect_uris":` + nested(4000) + `}`), status: 400},
		{name: "a registration with a nested key", make: register(`{"redirect_uris":["https://a.example/cb"],"jwks":{"keys":[{"kty":"EC","x":` + nested(4000) + `,"d":"x"}]}}`), status: 400},
		{name: "a registration of many members", make: register(`{"redirect_uris":[]` + members(900) + `}`), status: 400},
		{name: "a registration of one member, 500 times", make: register(`{"redirect_uris":[]` + strings.Repeat(`,"scope":""`, 500) + `}`), status: 400},
		{name: "nested claims", make: claims(`{"userinfo":{"a":{"value":` + nested(2000) + `}}}`), status: 303},
		{name: "many claims", make: claims(`{"userinfo":{"a":null` + strings.ReplaceAll(members(400), ":1", ":null") + `}}`), status: 303},
	}
}

// jwtBurdens are what only looks like a JWT, wherever the server reads one.
func jwtBurdens() (burdens []burden) {
	b64 := base64.RawURLEncoding.EncodeToString
	hint := func(text string) func() *http.Request {
		return getting("", "scope", "openid", "id_token_hint", text, "prompt", "none")
	}
	bearer := func(text string) func() *http.Request {
		return sending("GET", "/userinfo", "", "Authorization", "Bearer "+text)
	}
	revoking := func(text string) func() *http.Request {
		return posting("/revoke", url.Values{"client_id": {"p1"}, "token": {text}}.Encode())
	}
	texts := map[string]string{
		"of five parts":             strings.Repeat(b64(make([]byte, 2000))+".", 4) + b64(make([]byte, 16)),
		"of 16 KiB of dots":         strings.Repeat(".", 16<<10),
		"that says it is zipped":    unverifiable(`{"alg":"RS256","typ":"at+jwt","zip":"DEF"}`, strings.Repeat("\x00", 10_000)),
		"with a kid of 10 KiB":      unverifiable(`{"alg":"RS256","typ":"at+jwt","kid":"`+strings.Repeat("k", 10<<10)+`"}`, "{}"),
		"with a nested header":      unverifiable(`{"alg":"RS256","typ":"at+jwt","x":`+nested(5500)+`}`, "{}"),
		"with a nested typ":         unverifiable(`{"alg":"RS256","typ":`+nested(5500)+`}`, "{}"),
		"with many header members":  unverifiable(`{"alg":"RS256","typ":"at+jwt"`+members(1200)+`}`, "{}"),
		"with a nested payload":     unverifiable(`{"alg":"RS256","typ":"JWT"}`, `{"sub":"nobody","x":`+nested(5500)+`}`),
		"with many payload members": unverifiable(`{"alg":"RS256","typ":"JWT"}`, `{"sub":"nobody"`+members(1200)+`}`),
		"of 1,000 signatures":       `{"payload":"e30","signatures":[` + strings.Repeat(`{"x":"e"},`, 1000) + `{}]}`,
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		text := texts[name]
		burdens = append(burdens,
			burden{name: "a hint " + name, make: hint(text), status: 303},
			burden{name: "a token " + name + " to /userinfo", make: bearer(text), status: 401},
			burden{name: "a token " + name + " to /revoke", make: revoking(text), status: 200},
			burden{name: "an assertion " + name, make: asserting(text), status: 401})
	}
	million := strings.Repeat(".", 1_000_000)
	return append(burdens,
		burden{name: "a million dots to /userinfo", make: bearer(million), status: 401, most: 4 * 1_000_000},
		burden{name: "a million dots to /revoke", make: revoking(million), status: 413, most: 4 * 1_000_000})
}

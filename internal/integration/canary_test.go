package integration_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Canaries are secrets, and a scanner that finds them whole or in part, in every spelling in
// which programs write bytes.
type canaries struct {
	mu      sync.Mutex
	names   map[string]string // by the secret
	needles map[[headSize]byte][]needle
	heads   [1 << 16]bool // whether a needle may begin like that
}

// A needle is one spelling of a part of a secret.
type needle struct {
	name string
	text string
}

const headSize = 8

func newCanaries() *canaries {
	return &canaries{names: map[string]string{}, needles: map[[headSize]byte][]needle{}}
}

// add makes a secret a canary.
func (c *canaries) add(name, secret string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(secret) < headSize || c.names[secret] != "" {
		return
	}
	c.names[secret] = name
	for part, b := range partsOf(secret) {
		c.needlesOf(name+", "+part, b)
	}
}

// needlesOf looks for b from now on.
func (c *canaries) needlesOf(name string, b []byte) {
	for _, text := range spellingsOf(b) {
		if len(text) < headSize {
			continue // chance would find it
		}
		head := [headSize]byte([]byte(text))
		c.needles[head] = append(c.needles[head], needle{name, text})
		c.heads[slot(head)] = true
	}
}

// kinds has one secret of each name.
func (c *canaries) kinds() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	kinds := map[string]string{}
	for secret, name := range c.names {
		kinds[name] = secret
	}
	return kinds
}

func slot(head [headSize]byte) uint16 {
	return uint16(binary.LittleEndian.Uint64(head[:]) * 0x9E3779B97F4A7C15 >> 48)
}

var digits = regexp.MustCompile(`[0-9]+`)

// found are the canaries in text, each with what stands before it.
func (c *canaries) found(text string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]bool{}
	for i := 0; i+headSize <= len(text); i++ {
		head := [headSize]byte([]byte(text[i : i+headSize]))
		if !c.heads[slot(head)] {
			continue
		}
		for _, n := range c.needles[head] {
			if strings.HasPrefix(text[i:], n.text) {
				where := fmt.Sprintf("%s after %q", n.name, text[max(0, i-60):i])
				seen[digits.ReplaceAllString(where, "0")] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// partsOf are the parts of a secret that nobody else may see. What names a grant is none,
// nor is what everybody may read of a JWT.
func partsOf(secret string) map[string][]byte {
	if parts := strings.Split(secret, "."); len(parts) == 3 {
		secret = parts[2]
	}
	text := []byte(secret)
	raw, err := base64.RawURLEncoding.DecodeString(secret)
	if err == nil && len(raw) == 48 {
		return map[string][]byte{"lineage": raw[16:32], "turn": raw[32:], "text of the lineage": text[22:42], "text of the turn": text[43:]}
	}
	found := map[string][]byte{"whole": text}
	halve := func(name string, b []byte) {
		if len(b) >= 20 {
			found["first half"+name], found["second half"+name] = b[:len(b)/2], b[len(b)/2:]
		}
	}
	halve("", text)
	if err == nil && len(raw) >= 32 {
		found["bytes"] = raw
		halve(" of the bytes", raw)
	}
	return found
}

// spellingsOf are the ways in which programs write b.
func spellingsOf(b []byte) []string {
	all := map[string]bool{}
	plain := slices.Concat([]string{string(b), url.QueryEscape(string(b)), url.PathEscape(string(b)), quotedJSON(b)}, inBase64(b))
	for _, text := range plain {
		all[text] = true
		all[hex.EncodeToString([]byte(text))] = true // of a document in a column of bytes
		all[strings.ToUpper(hex.EncodeToString([]byte(text)))] = true
		for _, again := range inBase64([]byte(text)) {
			all[again] = true
		}
	}
	all[strings.Trim(fmt.Sprint(b), "[]")] = true
	all[strings.ReplaceAll(strings.Trim(fmt.Sprint(b), "[]"), " ", ",")] = true
	if len(b) >= 16 { // a dump of stacks has the bytes of an array, ten at most, or words
		for four := range windows(b, 4) {
			all[fmt.Sprintf("%#x, %#x, %#x, %#x", four[0], four[1], four[2], four[3])] = true
		}
		for eight := range windows(b, 8) {
			all[fmt.Sprintf("%#x", binary.LittleEndian.Uint64(eight))] = true
			all[fmt.Sprintf("%#x", binary.BigEndian.Uint64(eight))] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func windows(b []byte, size int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for i := 0; i+size <= len(b) && yield(b[i:i+size]); i++ {
		}
	}
}

func quotedJSON(b []byte) string {
	text, err := json.Marshal(string(b))
	if err != nil {
		return string(b)
	}
	return string(text[1 : len(text)-1])
}

// inBase64 is b as it looks within something longer that is in base64, wherever it begins.
func inBase64(b []byte) (found []string) {
	for before, skipped := range []int{0, 2, 3} { // characters that other bytes have a share in
		padded := append(make([]byte, before), b...)
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			found = append(found, enc.EncodeToString(padded)[skipped:len(padded)*8/6])
		}
	}
	return found
}

// Every spelling of every part is found, wherever it stands, and nothing else is.
func TestCanaryScan(t *testing.T) {
	t.Parallel()
	raw := make([]byte, 48)
	for i := range raw {
		raw[i] = byte(200 - 3*i)
	}
	code := base64.RawURLEncoding.EncodeToString(raw)
	c := newCanaries()
	c.add("code", code)
	c.add("secret", secretOf1)
	c.add("token", "eyJhbGciOiJSUzI1NiJ9.e30."+base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{7, 1, 9}, 20)))
	for name, part := range map[string][]byte{"lineage": raw[16:32], "turn": raw[32:], "secret": []byte(secretOf1), "half of it": []byte(secretOf1)[:len(secretOf1)/2]} {
		for around := range 4 {
			wrapped := slices.Concat([]byte("xyz"[:around]), part, []byte("rest"))
			for how, text := range map[string]string{
				"raw": string(wrapped), "hex": hex.EncodeToString(wrapped), "HEX": fmt.Sprintf("%X", wrapped), "bytes": fmt.Sprint(wrapped),
				"base64": base64.StdEncoding.EncodeToString(wrapped), "base64url": base64.URLEncoding.EncodeToString(wrapped), "query": url.QueryEscape(string(wrapped)),
				"base64 in base64": base64.StdEncoding.EncodeToString([]byte("a" + base64.StdEncoding.EncodeToString(wrapped))), "base64 in hex": hex.EncodeToString([]byte(base64.StdEncoding.EncodeToString(wrapped))),
			} {
				require.NotEmpty(t, c.found("before"+text+"after"), "%s as %s after %d", name, how, around)
			}
		}
	}
	object, err := json.Marshal(map[string]any{"state": secretOf1})
	require.NoError(t, err)
	require.NotEmpty(t, c.found(string(object)))
	require.NotEmpty(t, c.found(code[25:]))
	require.NotEmpty(t, c.found(fmt.Sprintf("f(0x1, {%#x, %#x})", raw[16:24], binary.LittleEndian.Uint64(raw[24:]))))
	require.Empty(t, c.found(code[:40]), "it names a grant")
	require.Empty(t, c.found("eyJhbGciOiJSUzI1NiJ9.e30."), "everybody may read it")
	require.Empty(t, c.found(strings.Repeat("nothing of interest ", 1000)))
}

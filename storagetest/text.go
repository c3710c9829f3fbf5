package storagetest

import (
	"slices"
	"strings"
)

// oddTexts are texts that databases have been seen to change, to cut off, to read as
// syntax, or to take for one another. All are valid UTF-8 of at most 512 bytes, and no
// two are the same.
func oddTexts() []string {
	long := strings.Repeat("l", 511)
	odd := []string{
		// Case, and what collations hold to be the same.
		"ada", "Ada", "ADA", "straße", "strasse", "é", "e\u0301", "ﬁ", "fi", "1", "01", "1.0", "１",
		// Padding and cut ends.
		"ada ", " ada", "ada\t", "ada\n", "ada\x00", "ada\x00\x00", "\x00ada", "ada\u00a0", "ada\u200b", "   ",
		// Patterns, quotes, placeholders and delimiters.
		"ad_", "ad%", "a*", "a?a", "[a-z]da", `\`, `\\`, `'ada'`, `"ada"`, "`ada`", "ada'--", "ada;", "?1", "$1", ":ada", "@ada",
		"{ada}", "{}", "{ada}{bob}", "ada}", "ada:1", "ada/1", "ada\r\nset x 1", "../ada", `{"id":"ada"}`, "null", "%00", "\\x00", "\\u0000",
		// The ends of the planes, and characters of four bytes.
		"\u07ff", "\u0800", "\ufeffada", "\ufffd", "\uffff", "\U00010000", "\U0010ffff", "𝄞", "𝄟", strings.Repeat("𝄞", 128),
		// The longest, which differ in the last byte or only in length.
		long + "a", long + "b", long + "A", long,
	}
	for r := range rune(0x100) {
		odd = append(odd, string(r))
	}
	slices.Sort(odd)
	return slices.Compact(odd)
}

// everyRune is a text of all characters up to U+00FF and some that JSON or HTML treat
// specially.
func everyRune() string {
	var b strings.Builder
	for r := range rune(0x100) {
		b.WriteRune(r)
	}
	return b.String() + "\u2028\u2029\ufeff\ufffd\U0010ffff&lt;\\u0000"
}

func everyByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

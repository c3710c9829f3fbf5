package resource

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// maxPeek is how much of a body is searched for a second token.
const maxPeek = 64 << 10

// bearer returns the token in the Authorization header of r (RFC 6750, section
// 2.1). A token anywhere else does not count, but beside one in the header it makes
// the request invalid (section 3.1).
func bearer(r *http.Request) (string, *failure) {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return "", severalHeaders
	}
	if len(headers) == 0 {
		return "", noCredentials
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", noCredentials
	}
	token = strings.TrimLeft(token, " ") // 1*SP
	if hasToken(r.URL.RawQuery) {
		return "", severalTokens
	}
	return token, nil
}

// isB64Token reports whether s has the syntax of RFC 6750, section 2.1:
//
//	b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
func isB64Token(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !b64Token[s[i]] {
			return false
		}
	}
	return s != ""
}

// b64Token are the characters of isB64Token.
var b64Token = func() (of [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		of[c] = true
	}
	return of
}()

// inBody reports whether the body of r, if it is a form, has an access token (RFC
// 6750, section 2.2). The handler can read the body as if nobody had.
func inBody(r *http.Request) bool {
	if r.PostForm.Has("access_token") { // somebody parsed it before
		return true
	}
	if r.Body == nil || r.Body == http.NoBody {
		return false
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != "application/x-www-form-urlencoded" {
		return false
	}
	// An error is the handler's to meet: it reads on where this stops.
	start, _ := io.ReadAll(io.LimitReader(r.Body, maxPeek))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(start), r.Body), r.Body}
	return hasToken(string(start))
}

// hasToken reports whether a form has the parameter access_token.
func hasToken(form string) bool {
	for pair := range strings.SplitSeq(form, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if strings.ContainsAny(name, "%+") {
			name, _ = url.QueryUnescape(name)
		}
		if name == "access_token" {
			return true
		}
	}
	return false
}

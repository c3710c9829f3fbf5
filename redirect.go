package authwright

import (
	"cmp"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// matchRedirect compares redirect URIs byte by byte (RFC 9700, section 4.1.3),
// save for the port of a loopback address, which an installed application chooses
// at run time (RFC 8252, section 7.3). The name localhost is not an address and
// gets that exception only when localhost is set.
//
// It works on the bytes: whatever a URL parser makes of them, a browser may make
// something else.
func matchRedirect(registered, uri string, localhost bool) bool {
	if registered == uri {
		return uri != ""
	}
	a, ok := cutLoopbackPort(registered, localhost)
	if !ok {
		return false
	}
	b, ok := cutLoopbackPort(uri, localhost)
	return ok && a == b
}

// cutLoopbackPort removes the port from an http URI on the loopback interface. It
// reports false if uri is not one.
func cutLoopbackPort(uri string, localhost bool) (string, bool) {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
		rest, ok := strings.CutPrefix(uri, host)
		if !ok || host == "http://localhost" && !localhost {
			continue
		}
		if port, ok := strings.CutPrefix(rest, ":"); ok {
			rest = strings.TrimLeft(port, "0123456789")
			if n := len(port) - len(rest); n == 0 || n > 5 {
				return "", false
			}
		}
		if rest != "" && rest[0] != '/' && rest[0] != '?' {
			return "", false
		}
		return host + rest, true
	}
	return "", false
}

func isHTTPS(uri string) bool { return strings.HasPrefix(uri, "https://") }

// forbiddenSchemes run, read or send something instead of opening an application.
var forbiddenSchemes = []string{"about", "blob", "data", "file", "ftp", "javascript", "mailto", "tel", "vbscript", "view-source", "ws", "wss"}

// validateRedirectURI says why uri must not be registered: it could not be
// compared, would send a code in the clear, or does not lead to an application.
func validateRedirectURI(uri string) error {
	// What is not one of these characters is read differently by different
	// parsers; the backslash is the best known.
	for i := range len(uri) {
		if c := uri[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"\\<>^`{|}*", c) >= 0 {
			return errors.New("has a character that no redirect URI may have; patterns are not supported")
		}
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "":
		return errors.New("is not an absolute URI")
	case strings.Contains(uri, "#"):
		return errors.New("has a fragment")
	case u.User != nil:
		return errors.New("has user information")
	case u.Scheme == "https" || u.Scheme == "http":
		if !strings.HasPrefix(uri, u.Scheme+"://") || u.Hostname() == "" {
			return errors.New("must begin with scheme and host in lower case")
		}
		if u.Path == "" {
			return errors.New("has no path; a browser would add one")
		}
		if !isPlainAuthority(u) {
			return errors.New("has a host or a port that browsers read differently")
		}
		if u.Scheme == "http" && !isLoopback(u.Hostname()) {
			return errors.New("must be https; plain http is for loopback addresses only")
		}
		return nil
	case slices.Contains(forbiddenSchemes, u.Scheme):
		return errors.New("has a scheme that does not lead to an application")
	case !strings.Contains(u.Scheme, "."):
		return errors.New("must use a scheme that is a reversed domain name, such as com.example.app (RFC 8252, section 7.1)")
	case !strings.HasPrefix(uri, u.Scheme+":/"):
		return errors.New("must have a path, and its scheme in lower case")
	}
	return nil
}

// isPlainAuthority reports whether a browser, too, finds in u the host and the port that are
// written there. It unescapes a host before it looks at it, and takes every one that ends in
// a number for an IPv4 address (URL Standard, section 3.5), 0x7f.1 for 127.0.0.1; other parsers
// find signs in numbers.
func isPlainAuthority(u *url.URL) bool {
	if _, err := strconv.ParseUint(cmp.Or(u.Port(), "0"), 10, 16); err != nil {
		return false
	}
	if u.Host[0] == '[' {
		addr, err := netip.ParseAddr(u.Hostname())
		return err == nil && addr.Zone() == ""
	}
	host, last := strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), ""
	if strings.ContainsFunc(host, isNoHostname) {
		return false
	}
	for last = range strings.SplitSeq(host, ".") {
		if strings.Trim(last, "-") != last {
			return false // no label has such an end; to some, -0 and xn--0-, which is Punycode, are the address 0
		}
	}
	hex, isHex := strings.CutPrefix(last, "0x")
	if last != "" && strings.Trim(last, "0123456789-") == "" || isHex && strings.Trim(hex, "0123456789abcdef-") == "" {
		_, err := netip.ParseAddr(u.Hostname())
		return err == nil
	}
	return true
}

// isNoHostname is about characters that a host name in small letters does not have.
func isNoHostname(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", r)
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// responseParams are the parameters this server adds to a redirect URI.
var responseParams = []string{"code", "error", "error_description", "error_uri", "iss", "state"}

// withResponse returns uri with f added to its query. The bytes that were
// registered stay as they are (RFC 6749, section 3.1.2), but for parameters of the
// same name as one of the response's, which would otherwise be there twice.
func withResponse(uri string, f form) string {
	base, query, found := strings.Cut(uri, "?")
	var b strings.Builder
	b.Grow(len(uri) + 256)
	b.WriteString(base)
	sep := byte('?')
	if found {
		for pair := range strings.SplitSeq(query, "&") {
			name, _, _ := strings.Cut(pair, "=")
			if plain, ok := unescape(name); ok && slices.Contains(responseParams, plain) {
				continue
			}
			b.WriteByte(sep)
			b.WriteString(pair)
			sep = '&'
		}
	}
	b.WriteByte(sep)
	f.write(&b)
	return b.String()
}

// redirect answers 303, never 307, so that nothing a user posted here is posted to
// the client (RFC 9700, section 4.12). http.Redirect would rewrite the target.
func redirect(w http.ResponseWriter, target string) {
	w.Header()["Location"] = []string{target}
	w.WriteHeader(http.StatusSeeOther)
}

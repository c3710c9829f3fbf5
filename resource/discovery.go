package resource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

const (
	maxDocument   = 1 << 20 // bytes of metadata, or of a key set
	clientTimeout = 5 * time.Second
	maxRedirects  = 3
)

// A discovery finds the keys of an issuer by its metadata (RFC 8414).
type discovery struct {
	issuer   string
	metadata string // URL
	client   *http.Client
}

func newDiscovery(issuer string, client *http.Client) (*discovery, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, errors.New("Issuer is not a URL")
	}
	// RFC 8414, section 2: https, "no query or fragment components".
	if !trustworthy(u) || u.User != nil || strings.ContainsAny(issuer, "?#") {
		return nil, errors.New("Issuer must be an https URL without user, query and fragment, unless Keys is set")
	}
	if client == nil {
		client = &http.Client{Timeout: clientTimeout, CheckRedirect: checkRedirect}
	}
	// RFC 8414, section 3.1: "Any terminating "/" MUST be removed before
	// inserting "/.well-known/" and the well-known URI suffix between the host
	// component and the path component."
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	return &discovery{issuer, u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + path, client}, nil
}

// keys fetches the issuer's key set.
func (d *discovery) keys(ctx context.Context) ([]byte, time.Duration, error) {
	document, _, err := d.get(ctx, d.metadata)
	if err != nil {
		return nil, 0, err
	}
	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(document, &metadata); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", d.metadata, err)
	}
	// RFC 8414, section 3.3: if they are not identical, "the data contained in the
	// response MUST NOT be used".
	if metadata.Issuer != d.issuer {
		return nil, 0, fmt.Errorf("%s is the metadata of another issuer, %.200q", d.metadata, metadata.Issuer)
	}
	u, err := url.Parse(metadata.JWKSURI)
	if err != nil || !trustworthy(u) {
		return nil, 0, fmt.Errorf("%s: jwks_uri %.200q is not an https URL", d.metadata, metadata.JWKSURI)
	}
	set, header, err := d.get(ctx, metadata.JWKSURI)
	return set, freshness(header), err
}

func (d *discovery) get(ctx context.Context, address string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s: status %d", address, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", address, err)
	}
	if len(body) > maxDocument {
		return nil, nil, fmt.Errorf("%s: more than %d bytes", address, maxDocument)
	}
	return body, resp.Header, nil
}

// trustworthy reports whether what comes from u is what its owner sent. This machine
// needs no TLS to talk to itself.
func trustworthy(u *url.URL) bool {
	host := u.Hostname()
	switch u.Scheme {
	case "https":
		return host != ""
	case "http":
		addr, err := netip.ParseAddr(host)
		return host == "localhost" || err == nil && addr.IsLoopback()
	}
	return false
}

func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	if req.URL.Scheme != via[0].URL.Scheme || !trustworthy(req.URL) {
		return errors.New("redirect to another scheme")
	}
	return nil
}

// freshness returns for how long a response is fresh (RFC 9111, section 4.2.1),
// within bounds that neither hammer the issuer nor keep a withdrawn key for long.
func freshness(h http.Header) time.Duration {
	age := defaultAge
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return minAge
		case "max-age":
			if d, ok := seconds(strings.Trim(value, `"`)); ok {
				since, _ := seconds(h.Get("Age"))
				age = d - since
			}
		}
	}
	return min(max(age, minAge), maxAge)
}

func seconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return time.Duration(n) * time.Second, err == nil
}

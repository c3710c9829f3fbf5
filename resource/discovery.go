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
)

const (
	maxDocument   = 1 << 20 // bytes of metadata, or of a key set
	clientTimeout = 5 * time.Second
	maxRedirects  = 3
)

// A discovery finds out about an issuer by its metadata (RFC 8414).
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
	// RFC 8414, section 3.1: "Any terminating "/" MUST be removed before
	// inserting "/.well-known/" and the well-known URI suffix between the host
	// component and the path component."
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	return &discovery{issuer, u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + path, client}, nil
}

// newClient returns client or, if that is nil, one that does not wait for ever and does
// not follow every redirect.
func newClient(client *http.Client) *http.Client {
	if client == nil {
		return &http.Client{Timeout: clientTimeout, CheckRedirect: checkRedirect}
	}
	return client
}

// keys fetches the issuer's key set.
func (d *discovery) keys(ctx context.Context) ([]byte, time.Duration, error) {
	address, err := d.find(ctx, "jwks_uri")
	if err != nil {
		return nil, 0, err
	}
	set, header, err := d.get(ctx, address)
	return set, freshness(header), err
}

// introspectionEndpoint fetches the URL of the issuer's introspection endpoint.
func (d *discovery) introspectionEndpoint(ctx context.Context) (string, error) {
	return d.find(ctx, "introspection_endpoint")
}

// find fetches the metadata and returns the URL that is called member there.
func (d *discovery) find(ctx context.Context, member string) (string, error) {
	document, _, err := d.get(ctx, d.metadata)
	if err != nil {
		return "", err
	}
	metadata, err := parseClaims(string(document), nil) // which knows upper from lower case
	if err != nil {
		return "", fmt.Errorf("%s: %w", d.metadata, err)
	}
	// RFC 8414, section 3.3: if they are not identical, "the data contained in the
	// response MUST NOT be used".
	if issuer, _ := metadata.text("issuer"); issuer != d.issuer {
		return "", fmt.Errorf("%s is the metadata of another issuer, %.200q", d.metadata, issuer)
	}
	address, _ := metadata.text(member)
	u, err := url.Parse(address)
	if err != nil || !trustworthy(u) {
		return "", fmt.Errorf("%s: %s %.200q is not an https URL", d.metadata, member, address)
	}
	return address, nil
}

func (d *discovery) get(ctx context.Context, address string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	return fetch(d.client, req)
}

// fetch sends req and returns what it is answered, if that is all there.
func fetch(client *http.Client, req *http.Request) ([]byte, http.Header, error) {
	req.Header.Set("Accept", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s: status %d", req.URL, resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", req.URL, err)
	}
	if len(body) > maxDocument {
		return nil, nil, fmt.Errorf("%s: more than %d bytes", req.URL, maxDocument)
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

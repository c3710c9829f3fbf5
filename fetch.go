package authwright

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A fetcher gets documents from addresses that strangers name: key sets and client
// metadata. It reaches public addresses only, follows no redirect, reads little, waits
// briefly, asks each host rarely and each question once, for nobody too often, and keeps
// good answers for as long as they say (Client ID Metadata Documents, sections 5 and 8).
type fetcher struct {
	http *http.Client
	now  func() time.Time

	mu     sync.Mutex
	kept   map[string]*fetched  // by URL
	asking map[string]*question // by URL
	asked  map[string]*quota    // by host, and by who wants to know
}

// A fetched document is good until a point in time, and was last asked for at another, be it
// in vain.
type fetched struct {
	body         []byte
	asked, until time.Time
}

// A question is asked by many and answered once.
type question struct {
	done chan struct{}
	body []byte
	err  error
}

// A quota is how often something has been done since a point in time.
type quota struct {
	since time.Time
	n     int
}

const (
	fetchTimeout = 5 * time.Second
	fetchMinAge  = time.Minute
	fetchMaxAge  = 24 * time.Hour
	fetchAge     = 10 * time.Minute // of an answer that does not say
	maxFetched   = 1000             // documents kept
	maxAsking    = 100              // fetches at a time
	maxQuotas    = 10_000           // hosts and sources that are counted
	quotaPeriod  = time.Minute
	quotaHost    = 30 // fetches from one host
	quotaSource  = 60 // fetches on behalf of one source
)

// newFetcher returns a fetcher. With loopback it also reaches this machine; roots are the
// certificate authorities it trusts, nil for the system's.
func newFetcher(now func() time.Time, loopback bool, roots *x509.CertPool) *fetcher {
	dialer := &net.Dialer{Timeout: fetchTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		return checkAddress(address, loopback)
	}}
	transport := &http.Transport{ // no proxy: it would be the one to connect
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots},
		TLSHandshakeTimeout:    fetchTimeout,
		ResponseHeaderTimeout:  fetchTimeout,
		MaxResponseHeaderBytes: 16 << 10,
		MaxConnsPerHost:        4,
		DisableKeepAlives:      true,
		ForceAttemptHTTP2:      true,
	}
	return &fetcher{
		http: &http.Client{
			Transport:     transport,
			Timeout:       fetchTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now:    now,
		kept:   make(map[string]*fetched),
		asking: make(map[string]*question),
		asked:  make(map[string]*quota),
	}
}

// errNoDocument says that a host was asked, and has no document that could be used.
var errNoDocument = errors.New("authwright: fetching: no such document")

// get returns the document at target, of at most limit bytes. One that may still be kept,
// and was asked for no earlier than since, is not asked for again.
func (f *fetcher) get(ctx context.Context, target string, limit int64, since time.Time) ([]byte, error) {
	source := ""
	if whose, ok := ctx.Value(sourceKey{}).(func() string); ok {
		source = whose()
	}
	f.mu.Lock()
	if d := f.kept[target]; d != nil && f.now().Before(d.until) && !d.asked.Before(since) {
		f.mu.Unlock()
		return d.body, nil
	}
	q := f.asking[target]
	if q == nil {
		if err := f.spend(target, source); err != nil {
			f.mu.Unlock()
			return nil, err
		}
		q = &question{done: make(chan struct{})}
		f.asking[target] = q
		// Somebody who gives up must not spoil it for those who wait with him.
		go f.fetch(context.WithoutCancel(ctx), target, limit, q)
	}
	f.mu.Unlock()
	select {
	case <-q.done:
		return q.body, q.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fetch asks q. A failure is not worth remembering, nor does it spoil what is known; but
// whoever has that is not to ask again at once.
func (f *fetcher) fetch(ctx context.Context, target string, limit int64, q *question) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	body, age, err := f.ask(ctx, target, limit)
	f.mu.Lock()
	now := f.now()
	if err == nil {
		f.keep(target, &fetched{body: body, asked: now, until: now.Add(age)})
	} else if d := f.kept[target]; d != nil {
		d.asked = now
	}
	delete(f.asking, target)
	f.mu.Unlock()
	q.body, q.err = body, err
	close(q.done)
}

// keep makes room for d among the documents.
func (f *fetcher) keep(target string, d *fetched) {
	if len(f.kept) >= maxFetched {
		for old := range f.kept { // any: the order of a map is random
			delete(f.kept, old)
			break
		}
	}
	f.kept[target] = d
}

// spend counts a fetch against the quotas of the host it goes to and of the source, if
// any, that wants it.
func (f *fetcher) spend(target, source string) error {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return errors.New("authwright: not an https URL")
	}
	if len(f.asking) >= maxAsking {
		return errors.New("authwright: too many fetches under way")
	}
	if source != "" && !f.take("for "+source, quotaSource) {
		return errors.New("authwright: too many fetches for one source")
	}
	if !f.take(strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), quotaHost) {
		return errors.New("authwright: the host was asked too often")
	}
	return nil
}

// take reports whether the quota of key is not used up. None is forgotten before its time,
// or whoever asks for enough others would have it anew.
func (f *fetcher) take(key string, limit int) bool {
	now, q := f.now(), f.asked[key]
	over := func(_ string, q *quota) bool { return now.Sub(q.since) >= quotaPeriod }
	if q == nil || over(key, q) {
		if len(f.asked) >= maxQuotas {
			maps.DeleteFunc(f.asked, over)
		}
		if len(f.asked) >= maxQuotas {
			return false
		}
		q = &quota{since: now}
		f.asked[key] = q
	}
	q.n++
	return q.n <= limit
}

func (f *fetcher) ask(ctx context.Context, target string, limit int64) ([]byte, time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, 0, errors.New("authwright: not a URL")
	}
	req.Header.Set("Accept", "application/json")
	resp, err := f.http.Do(req)
	if err != nil {
		return nil, 0, fmt.Errorf("authwright: fetching: %w", err)
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
		return nil, 0, fmt.Errorf("authwright: fetching: status %d", code)
	default:
		return nil, 0, fmt.Errorf("%w: status %d", errNoDocument, code)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, 0, fmt.Errorf("authwright: fetching: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, 0, fmt.Errorf("%w: it is too large", errNoDocument)
	}
	return body, freshness(resp.Header), nil
}

// forget drops a document that turned out not to be what it should.
func (f *fetcher) forget(target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.kept, target)
}

// freshness is how long an answer may be kept (RFC 9111, section 4.2), within reason.
func freshness(h http.Header) time.Duration {
	age := fetchAge
	if text := h.Get("Expires"); text != "" {
		expires, _ := http.ParseTime(text) // what is no time is long ago (section 5.3)
		date, _ := http.ParseTime(h.Get("Date"))
		age = expires.Sub(date)
	}
	for directive := range strings.SplitSeq(h.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return fetchMinAge
		case "max-age":
			if n, err := strconv.ParseInt(strings.Trim(value, `"`), 10, 32); err == nil {
				age = time.Duration(n) * time.Second
			}
		}
	}
	if n, err := strconv.ParseInt(h.Get("Age"), 10, 32); err == nil {
		age -= time.Duration(n) * time.Second // it has been in another cache
	}
	return min(max(age, fetchMinAge), fetchMaxAge)
}

// checkAddress refuses connections to addresses of special use (RFC 6890). It sees the
// address that is connected to, whatever a name resolved to before.
func checkAddress(address string, loopback bool) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return errors.New("authwright: not an address")
	}
	ip := ap.Addr().Unmap().WithZone("")
	if loopback && ip.IsLoopback() {
		return nil
	}
	special := func(block netip.Prefix) bool { return block.Contains(ip) }
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Is6() && !allocated.Contains(ip) || slices.ContainsFunc(specialUse, special) {
		return errors.New("authwright: not a public address")
	}
	return nil
}

// allocated is all of IPv6 that is given out as global addresses. What carries an IPv4
// address for a translator is outside of it.
var allocated = netip.MustParsePrefix("2000::/3")

// specialUse are the registered blocks that netip knows nothing of, and those in which an
// IPv6 address carries an IPv4 one.
var specialUse = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.88.99.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
}

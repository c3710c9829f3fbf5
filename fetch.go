package authwright

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A fetcher gets documents from addresses that strangers name: key sets and client
// metadata. It reaches public addresses only, follows no redirect, reads little, waits
// briefly, asks each host rarely and each question once, and keeps good answers for as
// long as they say (Client ID Metadata Documents, section 6).
type fetcher struct {
	http *http.Client
	now  func() time.Time

	mu      sync.Mutex
	answers map[string]*fetched // by URL
	asked   map[string]*quota   // by host
}

// A fetched is an answer, or one that is still to come.
type fetched struct {
	done      chan struct{}
	body      []byte
	err       error
	at, until time.Time
}

// A quota is how often a host has been asked since a point in time.
type quota struct {
	since time.Time
	n     int
}

const (
	fetchTimeout = 5 * time.Second
	fetchMinAge  = time.Minute
	fetchMaxAge  = 24 * time.Hour
	fetchAge     = 10 * time.Minute // of an answer that does not say
	maxFetched   = 1000             // answers kept
	fetchQuota   = 30               // fetches from one host in a minute
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
		now:     now,
		answers: make(map[string]*fetched),
		asked:   make(map[string]*quota),
	}
}

// get returns the document at target, of at most limit bytes. An answer that may still be
// kept, and was got no earlier than since, is not asked for again.
func (f *fetcher) get(ctx context.Context, target string, limit int64, since time.Time) ([]byte, error) {
	f.mu.Lock()
	a := f.answers[target]
	if a == nil || a.settled() && (!f.now().Before(a.until) || a.at.Before(since)) {
		if err := f.spend(target); err != nil {
			f.mu.Unlock()
			return nil, err
		}
		a = &fetched{done: make(chan struct{})}
		f.keep(target, a)
		// Somebody who gives up must not spoil it for those who wait with him.
		go f.fetch(context.WithoutCancel(ctx), target, limit, a)
	}
	f.mu.Unlock()
	select {
	case <-a.done:
		return a.body, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (a *fetched) settled() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// keep makes room for a among the answers.
func (f *fetcher) keep(target string, a *fetched) {
	if len(f.answers) >= maxFetched {
		for old, b := range f.answers { // any: the order of a map is random
			if b.settled() {
				delete(f.answers, old)
				break
			}
		}
	}
	f.answers[target] = a
}

// spend counts a fetch against the quota of the host it goes to.
func (f *fetcher) spend(target string) error {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "https" || u.User != nil {
		return errors.New("authwright: not an https URL")
	}
	now, q := f.now(), f.asked[u.Hostname()]
	if q == nil || now.Sub(q.since) >= time.Minute {
		if len(f.asked) >= maxFetched {
			clear(f.asked)
		}
		q = &quota{since: now}
		f.asked[u.Hostname()] = q
	}
	if q.n++; q.n > fetchQuota {
		return errors.New("authwright: the host was asked too often")
	}
	return nil
}

func (f *fetcher) fetch(ctx context.Context, target string, limit int64, a *fetched) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	body, age, err := f.ask(ctx, target, limit)
	f.mu.Lock()
	a.body, a.err, a.at = body, err, f.now()
	a.until = a.at.Add(age)
	if err != nil && f.answers[target] == a {
		delete(f.answers, target) // a failure is not worth remembering
	}
	f.mu.Unlock()
	close(a.done)
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
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("authwright: fetching: status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, 0, fmt.Errorf("authwright: fetching: %w", err)
	}
	if int64(len(body)) > limit {
		return nil, 0, errors.New("authwright: fetching: the document is too large")
	}
	return body, maxAge(resp.Header.Get("Cache-Control")), nil
}

// forget drops a document that turned out not to be what it should.
func (f *fetcher) forget(target string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.answers[target]; a != nil && a.settled() {
		delete(f.answers, target)
	}
}

// maxAge is how long an answer may be kept (RFC 9111, section 5.2), within reason.
func maxAge(cacheControl string) time.Duration {
	age := fetchAge
	for directive := range strings.SplitSeq(cacheControl, ",") {
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
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || isSpecial(ip) {
		return errors.New("authwright: not a public address")
	}
	return nil
}

func isSpecial(ip netip.Addr) bool {
	for _, prefix := range specialUse {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}

// specialUse are the registered blocks that netip knows nothing of, and those that carry
// an IPv4 address inside an IPv6 one.
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
	netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"),
	netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("5f00::/16"),
}

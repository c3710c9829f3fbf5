package resource

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/authwright/authwright/internal/jws"
)

// An Introspection has the issuer judge tokens (RFC 7662). They may be of any form; one
// that is revoked is refused at once; and no request is served without the issuer.
type Introspection struct {
	// ClientID and ClientSecret are this resource server's own credentials with the
	// issuer, which are sent by HTTP Basic. Both are required.
	ClientID, ClientSecret string

	// Endpoint is the URL tokens are sent to. If empty, the issuer's metadata
	// (RFC 8414) says it.
	Endpoint string

	// MaxAge is for how long a token that the issuer called good is not asked about
	// again, though it may have been revoked meanwhile. Zero means that every request
	// asks; more than five minutes is an error.
	MaxAge time.Duration
}

// Format implements [fmt.Formatter]. It leaves out the secret.
func (i Introspection) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "Introspection(%s)", i.ClientID) }

// MarshalText implements [encoding.TextMarshaler], for logs. It leaves out the secret, too.
func (i Introspection) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(i)), nil }

const (
	maxIntrospectionAge  = 5 * time.Minute
	maxAnswers           = 10_000 // kept at a time
	introspectionTimeout = 10 * time.Second
)

// An introspector asks the issuer.
type introspector struct {
	Introspection
	client    *http.Client
	discovery *discovery // nil if Endpoint says it all
	now       func() time.Time

	finding chan struct{} // holds one element while a request looks for the endpoint

	mu       sync.Mutex
	endpoint string    // empty until it is known
	known    time.Time // when it was found
	failed   time.Time // when it was looked for in vain
	err      error     // and why
	answers  map[[sha256.Size]byte]answer
}

// An answer is that a token is good.
type answer struct {
	token *Token
	until time.Time
}

func (v *Verifier) newIntrospector() (*introspector, error) {
	i := &introspector{
		Introspection: *v.Introspect, now: v.now, finding: make(chan struct{}, 1),
		endpoint: v.Introspect.Endpoint, answers: make(map[[sha256.Size]byte]answer),
	}
	switch {
	case v.Keys != nil || v.Algorithms != nil:
		return nil, errors.New("Introspect leaves nothing to do for Keys and Algorithms")
	case i.ClientID == "" || i.ClientSecret == "":
		return nil, errors.New("Introspect: ClientID or ClientSecret is empty")
	case i.MaxAge < 0 || i.MaxAge > maxIntrospectionAge:
		return nil, errors.New("Introspect: MaxAge is not between zero and five minutes")
	}
	client := newClient(v.Client)
	if i.endpoint == "" {
		d, err := newDiscovery(v.Issuer, client)
		if err != nil {
			return nil, err
		}
		i.discovery = d
	} else if u, err := url.Parse(i.endpoint); err != nil || !trustworthy(u) || u.User != nil {
		return nil, errors.New("Introspect: Endpoint must be an https URL")
	}
	// A redirect would take the token and the secret somewhere else.
	direct := *client
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	i.client = &direct
	return i, nil
}

// introspect returns the token that text is by the word of the issuer. What that says is
// checked like a JWT's claims (RFC 7662, section 4), whose audience the issuer need not
// have looked at.
func (v *Verifier) introspect(ctx context.Context, text string) (*Token, error) {
	if !isB64Token(text) {
		return nil, refusedSyntax
	}
	i, key := v.introspector, jws.Sum256(text)
	if t := i.recall(key); t != nil {
		return t, nil
	}
	payload, err := i.ask(ctx, text)
	var c claims
	if err == nil {
		c, err = parseClaims(string(payload), nil)
	}
	active := c.get("active")
	if err == nil && active != "true" && active != "false" {
		err = errors.New("active is not a boolean")
	}
	if err != nil {
		err = fmt.Errorf("resource: introspection: %w", err)
		if ctx.Err() == nil {
			v.logger().ErrorContext(ctx, "resource: cannot ask the issuer about a token", "error", err)
		}
		return nil, err
	}
	if active == "false" {
		return nil, refusedInactive
	}
	if kind, there := c.text("token_type"); there && !strings.EqualFold(kind, "Bearer") {
		return nil, refusedType
	}
	// The answer of the issuer's own endpoint need not say whose it is.
	t, err := v.accept(c, string(payload), "aud", "exp", "sub", "client_id")
	if err == nil {
		i.keep(key, t)
	}
	return t, err
}

// ask posts a token to the endpoint and returns what the issuer answers.
func (i *introspector) ask(ctx context.Context, text string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, introspectionTimeout)
	defer cancel()
	endpoint, err := i.find(ctx)
	if err != nil {
		return nil, err
	}
	body := url.Values{"token": {text}, "token_type_hint": {"access_token"}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(i.ClientID), url.QueryEscape(i.ClientSecret)) // RFC 6749, section 2.3.1
	answer, _, err := fetch(i.client, req)
	if err != nil && i.discovery != nil {
		i.forget()
	}
	return answer, err
}

// forget has the endpoint looked for anew, since it may have moved, unless that was done a
// moment ago.
func (i *introspector) forget() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !within(minAge, i.known, i.now()) {
		i.endpoint = ""
	}
}

// find returns the endpoint. Of many requests one looks for it, and the others wait.
func (i *introspector) find(ctx context.Context) (string, error) {
	if endpoint, err := i.found(); endpoint != "" || err != nil {
		return endpoint, err
	}
	select {
	case i.finding <- struct{}{}:
		defer func() { <-i.finding }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if endpoint, err := i.found(); endpoint != "" || err != nil {
		return endpoint, err
	}
	endpoint, err := i.discovery.introspectionEndpoint(ctx)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.endpoint, i.err, i.known = endpoint, err, i.now()
	if err != nil && ctx.Err() == nil { // the caller's impatience is not the issuer's fault
		i.failed = i.now()
	}
	return endpoint, err
}

// found returns the endpoint if it is known, or why it was not found a moment ago.
func (i *introspector) found() (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.endpoint == "" && within(coldInterval, i.failed, i.now()) {
		return "", i.err
	}
	return i.endpoint, nil
}

// recall returns what is known of a token, or nil.
func (i *introspector) recall(key [sha256.Size]byte) *Token {
	i.mu.Lock()
	defer i.mu.Unlock()
	if a, ok := i.answers[key]; ok && i.now().Before(a.until) {
		return a.token
	}
	delete(i.answers, key)
	return nil
}

// keep remembers that a token is good. Of bad ones there is no end.
func (i *introspector) keep(key [sha256.Size]byte, t *Token) {
	if i.MaxAge == 0 {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.answers) >= maxAnswers {
		for old := range i.answers { // any: the order of a map is random
			delete(i.answers, old)
			break
		}
	}
	until := i.now().Add(i.MaxAge)
	if t.Expiry.Before(until) {
		until = t.Expiry
	}
	i.answers[key] = answer{t, until}
}

package integration_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/authwright/authwright/resource"
)

// A soakReply is what a client learns from an answer.
type soakReply struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Error   string `json:"error"`
	Active  bool   `json:"active"`
	code    string
}

// A soakClient sends requests to several servers and writes down what comes of them.
type soakClient struct {
	*soakBook
	http     []*http.Client // one for each server
	issuer   string
	servers  []string           // their URLs
	verifier *resource.Verifier // lives as long as the soak, as that of an API does
	waiting  atomic.Int64       // operations that have begun and not ended
}

func newSoakClient(book *soakBook, issuer string, servers []string) *soakClient {
	c := &soakClient{soakBook: book, issuer: issuer, servers: servers}
	for range servers {
		c.http = append(c.http, &http.Client{
			Transport:     &http.Transport{MaxIdleConnsPerHost: 128, IdleConnTimeout: 20 * time.Second},
			Timeout:       20 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		})
	}
	c.verifier = c.newVerifier()
	return c
}

// newVerifier is an API that knows nothing but the name of the issuer. Of the clocks of the
// servers it knows that they are wrong.
func (c *soakClient) newVerifier() *resource.Verifier {
	return &resource.Verifier{Issuer: c.issuer, Audience: c.issuer, Leeway: soakSkew, Logger: slog.New(slog.DiscardHandler), Client: &http.Client{Transport: soakBalancer{c}}}
}

// A soakBalancer stands where the issuer is and asks one server after the other, as what
// stands before several servers does.
type soakBalancer struct{ *soakClient }

func (b soakBalancer) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	for _, n := range rand.Perm(len(b.servers)) {
		s := r.Clone(r.Context())
		_, s.URL.Host, _ = strings.Cut(b.servers[n], "://")
		if resp, err = b.http[n].Transport.RoundTrip(s); err == nil {
			return resp, nil
		}
	}
	return nil, err
}

// verify lets an API judge an access token that must be good. Now and then it is an API that
// has just started.
func (c *soakClient) verify(access string) {
	v := c.verifier
	if rand.IntN(50) == 0 {
		v = c.newVerifier()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	begin, o := c.now(), granted
	_, err := v.Verify(ctx, access)
	if errors.Is(err, resource.ErrInvalidToken) {
		o = refused
		c.fault(fmt.Errorf("a good access token: %w", err))
	} else if err != nil {
		o = unavailable
	}
	c.answered(soakAnswer{soakVerify, begin, c.now(), o, err})
}

// authorize asks for a code, as the browser of somebody who is signed in.
func (c *soakClient) authorize(server int) (reply soakReply, verifier string, o outcome) {
	verifier = rand64()
	sum := sha256.Sum256([]byte(verifier))
	reply, o = c.send(soakAuthorize, http.MethodGet, server, "/authorize?"+url.Values{
		"response_type": {"code"}, "client_id": {"web"}, "redirect_uri": {proofRedirect}, "scope": {"read"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode(), "", nil)
	return reply, verifier, o
}

func rand64() string {
	return fmt.Sprintf("%016x%016x%016x%016x", rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64())
}

// post is a request of a client that authenticates.
func (c *soakClient) post(kind string, server int, path, client string, form url.Values) (soakReply, outcome) {
	return c.send(kind, http.MethodPost, server, path, client, form)
}

// send sends a request once, and writes down what came of it.
func (c *soakClient) send(kind, method string, server int, path, client string, form url.Values) (soakReply, outcome) {
	r, err := http.NewRequest(method, c.servers[server]+path, strings.NewReader(form.Encode()))
	if err != nil {
		c.fault(err)
		return soakReply{}, notTried
	}
	r.GetBody = nil // so that nothing is sent twice behind our back
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.SetBasicAuth(client, url.QueryEscape(proofSecret))
	}
	a := soakAnswer{kind: kind, begin: c.now()}
	resp, err := c.http[server].Do(r)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	a.end, a.cause = c.now(), err
	var reply soakReply
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		a.outcome = notTried
	case err != nil:
		a.outcome = lost
	default:
		if reply, a.outcome, err = c.read(resp, body); err != nil {
			c.fault(fmt.Errorf("%s: %w", kind, err))
		}
	}
	c.answered(a)
	return reply, a.outcome
}

// read returns an error for an answer that is never right.
func (c *soakClient) read(resp *http.Response, body []byte) (reply soakReply, o outcome, _ error) {
	if resp.StatusCode == http.StatusServiceUnavailable {
		return reply, unavailable, nil
	}
	if location, err := resp.Location(); err == nil {
		q := location.Query()
		reply.code, reply.Error = q.Get("code"), q.Get("error")
		switch {
		case reply.code != "" && q.Get("iss") == c.issuer:
			return reply, granted, nil
		case reply.Error == "temporarily_unavailable":
			return reply, unavailable, nil
		}
		return reply, lost, fmt.Errorf("%s to %s", resp.Status, location)
	}
	err := json.Unmarshal(body, &reply)
	switch {
	case resp.StatusCode == http.StatusOK && err == nil:
		return reply, granted, nil
	case resp.StatusCode == http.StatusBadRequest && err == nil && reply.Error == "invalid_grant":
		return reply, refused, nil
	}
	return reply, lost, fmt.Errorf("%s: %s", resp.Status, body)
}

// until does what an honest client does: it asks until there is an answer, another server
// each time, and is patient. If it is told to try again, it waits a second, as it is told.
func (c *soakClient) until(kind string, send func(server int) outcome) outcome {
	c.waiting.Add(1)
	defer c.waiting.Add(-1)
	due := c.now()
	patience := time.After(soakPatience)
	for i, wait := rand.IntN(len(c.servers)), 20*time.Millisecond; ; i, wait = i+1, min(2*wait, time.Second) {
		o := send(i % len(c.servers))
		switch o {
		case granted, refused:
			c.operated(soakOperation{due, c.now()})
			return o
		case unavailable:
			wait = time.Second
		}
		select {
		case <-patience:
			c.fault(fmt.Errorf("%s: no answer in %v", kind, soakPatience))
			return lost
		case <-time.After(wait + rand.N(wait)):
		}
	}
}

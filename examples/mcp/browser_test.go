package main

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/stretchr/testify/require"
)

// callback is where clients wait. The browser goes no further, and what it would have
// brought there it brings all the same.
const callback = "http://127.0.0.1:3142/callback"

// A browser is alice's: it fills in the login form, and allows what a client asks for.
type browser struct {
	*http.Client
	deny string // a scope that alice unticks

	visits []url.Values // authorization requests so far
	pages  []string     // consent pages so far
}

func newBrowser(t *testing.T, transport http.RoundTripper) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{Client: &http.Client{Jar: jar, Transport: transport, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) {
			return http.ErrUseLastResponse
		}
		return nil
	}}}
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	hidden     = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
	ticked     = regexp.MustCompile(`name="scope" value="([^"]+)" checked`)
)

// fetch is an [auth.AuthorizationCodeFetcher].
func (b *browser) fetch(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
	u, err := url.Parse(args.URL)
	if err != nil {
		return nil, err
	}
	b.visits = append(b.visits, u.Query())
	method, target, form := http.MethodGet, args.URL, url.Values(nil)
	for range 4 {
		resp, body, err := b.load(ctx, method, target, form)
		if err != nil {
			return nil, err
		}
		if back, err := resp.Location(); err == nil {
			q := back.Query()
			return &auth.AuthorizationResult{Code: q.Get("code"), State: q.Get("state"), Iss: q.Get("iss")}, nil
		}
		m := formAction.FindStringSubmatch(body)
		if m == nil {
			return nil, errors.New("there is no form: " + body)
		}
		action, err := resp.Request.URL.Parse(html.UnescapeString(m[1]))
		if err != nil {
			return nil, err
		}
		method, target, form = http.MethodPost, action.String(), b.fill(body)
	}
	return nil, errors.New("the forms do not end")
}

// fill is what alice enters into the form of a page.
func (b *browser) fill(body string) url.Values {
	form := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(body, -1) {
		form.Add(html.UnescapeString(m[1]), html.UnescapeString(m[2]))
	}
	if strings.Contains(body, `id="login"`) {
		form.Set("username", "alice")
		form.Set("password", "wonderland")
		return form
	}
	b.pages = append(b.pages, body)
	for _, m := range ticked.FindAllStringSubmatch(body, -1) {
		if m[1] != b.deny {
			form.Add("scope", m[1])
		}
	}
	form.Set("decision", "approve")
	return form
}

func (b *browser) load(ctx context.Context, method, target string, form url.Values) (*http.Response, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, "", err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

package integration_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A targetBrowser is a person's browser without a screen. It keeps cookies, and follows
// redirects until they lead to another host.
type targetBrowser struct {
	t      *testing.T
	client *http.Client
}

func newTargetBrowser(t *testing.T, transport http.RoundTripper) *targetBrowser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &targetBrowser{t, &http.Client{Transport: transport, Jar: jar, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Host != via[0].URL.Host {
			return http.ErrUseLastResponse
		}
		if len(via) > 10 {
			return errors.New("too many redirects")
		}
		return nil
	}}}
}

// A targetPage is what a browser shows, or the address that it is sent to elsewhere.
type targetPage struct {
	status    int
	url       *url.URL
	elsewhere *url.URL
	action    string
	fields    url.Values           // of the form, as they are filled in
	buttons   map[string][2]string // of the form: name and value by id
}

func (b *targetBrowser) do(r *http.Request) *targetPage {
	b.t.Helper()
	resp, err := b.client.Do(r)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	p := &targetPage{status: resp.StatusCode, url: resp.Request.URL}
	if location := resp.Header.Get("Location"); location != "" {
		p.elsewhere, err = url.Parse(location)
		require.NoError(b.t, err)
		return p
	}
	require.NoError(b.t, p.parse(string(body)), string(body))
	return p
}

func (b *targetBrowser) open(address string) *targetPage {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	require.NoError(b.t, err)
	return b.do(r)
}

// press fills in the form of p and presses the button of that id.
func (b *targetBrowser) press(p *targetPage, id string, fill map[string]string) *targetPage {
	b.t.Helper()
	button, ok := p.buttons[id]
	require.True(b.t, ok, "no button %s on %s", id, p.url)
	for name, value := range fill {
		require.Contains(b.t, p.fields, name)
		p.fields.Set(name, value)
	}
	if button[0] != "" {
		p.fields.Set(button[0], button[1])
	}
	action, err := p.url.Parse(p.action)
	require.NoError(b.t, err)
	r, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, action.String(), strings.NewReader(p.fields.Encode()))
	require.NoError(b.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", p.url.Scheme+"://"+p.url.Host)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return b.do(r)
}

// parse finds the form in a page.
func (p *targetPage) parse(body string) error {
	p.fields, p.buttons = make(url.Values), make(map[string][2]string)
	dec := xml.NewDecoder(strings.NewReader(body))
	dec.Strict, dec.AutoClose, dec.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		attrs := make(map[string]string)
		for _, a := range element.Attr {
			attrs[a.Name.Local] = a.Value
		}
		_, checked := attrs["checked"]
		switch {
		case element.Name.Local == "form":
			p.action = attrs["action"]
		case element.Name.Local == "button":
			p.buttons[attrs["id"]] = [2]string{attrs["name"], attrs["value"]}
		case element.Name.Local == "input" && (attrs["type"] != "checkbox" || checked):
			p.fields.Add(attrs["name"], attrs["value"])
		}
	}
}

// signIn opens address, fills in the login page, and returns the page after it.
func (b *targetBrowser) signIn(address string) *targetPage {
	b.t.Helper()
	p := b.open(address)
	require.Equal(b.t, http.StatusOK, p.status)
	return b.press(p, "submit", map[string]string{"username": "alice", "password": targetPassword})
}

// sent returns the parameters with which p sends the browser to client.
func (b *targetBrowser) sent(p *targetPage, client string) url.Values {
	b.t.Helper()
	require.Equal(b.t, http.StatusSeeOther, p.status)
	require.NotNil(b.t, p.elsewhere, "still on %s", p.url)
	require.True(b.t, strings.HasPrefix(p.elsewhere.String(), client+"?"), p.elsewhere)
	return p.elsewhere.Query()
}

package examples_test

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A browser is a person's: it has cookies, follows redirects on the site it is at, and
// does what links and forms say.
type browser struct {
	t        *testing.T
	client   *http.Client
	user     string // for a site that asks with the browser's own prompt
	password string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	return &browser{t: t, client: &http.Client{
		Jar:     jar,
		Timeout: 20 * time.Second,
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if req.URL.Host != via[0].URL.Host || len(via) > 10 {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}}
}

// A page is what the browser shows.
type page struct {
	b      *browser
	url    *url.URL
	status int
	header http.Header
	body   string
	nodes  []*node
}

// A node is an element of a page, with all the text in it.
type node struct {
	name   string
	attr   map[string]string
	text   string
	parent *node
}

func (b *browser) open(target string) *page {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, target, nil)
	require.NoError(b.t, err)
	return b.do(req)
}

func (b *browser) do(req *http.Request) *page {
	b.t.Helper()
	resp, err := b.client.Do(req)
	require.NoError(b.t, err)
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized && strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Basic ") && b.user != "" {
		again := resp.Request.Clone(b.t.Context())
		again.SetBasicAuth(b.user, b.password)
		if _, _, sent := resp.Request.BasicAuth(); !sent {
			return b.do(again)
		}
	}
	body, err := io.ReadAll(resp.Body)
	require.NoError(b.t, err)
	p := &page{b: b, url: resp.Request.URL, status: resp.StatusCode, header: resp.Header, body: string(body)}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		p.parse()
	}
	return p
}

// parse reads the elements. Our own pages are well-formed enough for encoding/xml.
func (p *page) parse() {
	p.b.t.Helper()
	d := xml.NewDecoder(strings.NewReader(p.body))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var open *node
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		require.NoError(p.b.t, err, p.body)
		switch token := token.(type) {
		case xml.StartElement:
			n := &node{name: token.Name.Local, attr: make(map[string]string), parent: open}
			for _, a := range token.Attr {
				n.attr[a.Name.Local] = a.Value
			}
			p.nodes = append(p.nodes, n)
			open = n
		case xml.EndElement:
			open = open.parent
		case xml.CharData:
			for n := open; n != nil; n = n.parent {
				n.text += string(token)
			}
		}
	}
}

// find returns the element with an id, or nil.
func (p *page) find(id string) *node {
	i := slices.IndexFunc(p.nodes, func(n *node) bool { return n.attr["id"] == id })
	if i < 0 {
		return nil
	}
	return p.nodes[i]
}

// text returns what is written in the element with an id.
func (p *page) text(id string) string {
	p.b.t.Helper()
	n := p.find(id)
	require.NotNil(p.b.t, n, "%s has no element %q: %s", p.url, id, p.body)
	return n.text
}

// follow clicks on the link with an id.
func (p *page) follow(id string) *page {
	p.b.t.Helper()
	n := p.find(id)
	require.NotNil(p.b.t, n, "%s has no link %q: %s", p.url, id, p.body)
	target, err := p.url.Parse(n.attr["href"])
	require.NoError(p.b.t, err)
	return p.b.open(target.String())
}

// submit clicks on the button with an id, or on the only one of the form with that id,
// after having filled in the inputs in fill. An empty list unticks.
func (p *page) submit(id string, fill url.Values) *page {
	p.b.t.Helper()
	button := p.find(id)
	require.NotNil(p.b.t, button, "%s has no button %q: %s", p.url, id, p.body)
	form := button
	for form != nil && form.name != "form" {
		form = form.parent
	}
	require.NotNil(p.b.t, form, "button %q is in no form", id)
	values := url.Values{}
	for _, n := range p.nodes {
		_, checked := n.attr["checked"]
		if n.within(form) && n.name == "input" && (n.attr["type"] != "checkbox" || checked) {
			values.Add(n.attr["name"], n.attr["value"])
		}
	}
	for name, list := range fill {
		require.True(p.b.t, values.Has(name), "form %q has no input %q", id, name)
		values[name] = list
	}
	if name := button.attr["name"]; name != "" && button != form {
		values.Set(name, button.attr["value"])
	}
	target, err := p.url.Parse(form.attr["action"])
	require.NoError(p.b.t, err)
	require.Equal(p.b.t, "post", form.attr["method"])
	req, err := http.NewRequestWithContext(p.b.t.Context(), http.MethodPost, target.String(), strings.NewReader(values.Encode()))
	require.NoError(p.b.t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", p.url.Scheme+"://"+p.url.Host)
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if p.b.user != "" {
		req.SetBasicAuth(p.b.user, p.b.password)
	}
	return p.b.do(req)
}

func (n *node) within(ancestor *node) bool {
	for ; n != nil; n = n.parent {
		if n == ancestor {
			return true
		}
	}
	return false
}

package bench_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/authwright/authwright/bench/peers"
	"github.com/authwright/authwright/bench/subject"
)

// An implementation is a server and what a client does with it.
type implementation peers.Server

// Requests share their URL and header, so that as little as possible of what is measured is
// the harness: a request with its body, the body's text, the recorder, and the copy of a
// token that a client keeps.
var (
	authorizeURL  = &url.URL{Scheme: "https", Host: "auth.example.com", Path: "/authorize", RawQuery: subject.AuthorizeQuery}
	tokenURL      = &url.URL{Scheme: "https", Host: "auth.example.com", Path: "/token"}
	introspectURL = &url.URL{Scheme: "https", Host: "auth.example.com", Path: "/introspect"}

	browserHeader = http.Header{"Accept": {"text/html"}}
	clientHeader  = http.Header{"Authorization": {subject.Basic}, "Content-Type": {"application/x-www-form-urlencoded"}}
)

// A post is a request with its body.
type post struct {
	request http.Request
	strings.Reader
}

func (p *post) Close() error { return nil }

func sendPost(h http.Handler, u *url.URL, body string) *httptest.ResponseRecorder {
	p := &post{request: http.Request{
		Method: http.MethodPost, URL: u, Host: u.Host, Header: clientHeader, ContentLength: int64(len(body)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "192.0.2.1:1234",
	}}
	p.Reset(body)
	p.request.Body = p
	w := httptest.NewRecorder()
	h.ServeHTTP(w, &p.request)
	return w
}

func sendGet(h http.Handler, u *url.URL, header http.Header) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, &http.Request{
		Method: http.MethodGet, URL: u, Host: u.Host, Header: header,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, RemoteAddr: "192.0.2.1:1234",
	})
	return w
}

// code sends the authorization request and returns the code of the redirect.
func (impl *implementation) code() string { return impl.codeAt(authorizeURL) }

func (impl *implementation) codeAt(u *url.URL) string {
	w := sendGet(impl.Authorize, u, browserHeader)
	location := w.Header().Get("Location")
	_, rest, found := strings.Cut(location, "code=")
	code, _, _ := strings.Cut(rest, "&")
	if w.Code < 300 || w.Code > 399 || !found || code == "" || !strings.HasPrefix(location, subject.RedirectURI+"?") {
		panic(fmt.Sprintf("authorize: %d %s %s", w.Code, location, w.Body))
	}
	return code
}

// A tokens is what of an answer is looked at. access shares the memory of the answer.
type tokens struct {
	access  []byte
	refresh string
}

// redeem trades a code.
func (impl *implementation) redeem(code string) tokens {
	return tokensOf(sendPost(impl.Token, tokenURL, subject.RedeemForm+code))
}

// refresh trades a refresh token, and insists on another one.
func (impl *implementation) refresh(token string) tokens {
	got := tokensOf(sendPost(impl.Token, tokenURL, subject.RefreshForm+token))
	if got.refresh == token {
		panic("the refresh token was not rotated")
	}
	return got
}

// flow is the whole code flow.
func (impl *implementation) flow() tokens { return impl.redeem(impl.code()) }

// active introspects an access token, and insists that it is good.
func (impl *implementation) active(form string) {
	w := sendPost(impl.Introspect, introspectURL, form)
	if w.Code != http.StatusOK || !bytes.Contains(w.Body.Bytes(), []byte(`"active":true`)) {
		panic(fmt.Sprintf("introspect: %d %s", w.Code, w.Body))
	}
}

func tokensOf(w *httptest.ResponseRecorder) tokens {
	body := w.Body.Bytes()
	got := tokens{member(body, `"access_token":"`), string(member(body, `"refresh_token":"`))}
	if w.Code != http.StatusOK || bytes.Count(got.access, []byte(".")) != 2 || got.refresh == "" {
		panic(fmt.Sprintf("token: %d %s", w.Code, body))
	}
	return got
}

// member returns the text after name. No token has a quotation mark or an escape.
func member(body []byte, name string) []byte {
	_, rest, _ := bytes.Cut(body, []byte(name))
	text, _, _ := bytes.Cut(rest, []byte(`"`))
	return text
}

package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"time"
)

// An exchange is one request of the application and its answer, as they were sent.
type exchange struct {
	Request, Response string
	Status            int // zero if there was no answer
	body              []byte
}

// OK reports whether it went as the application had hoped.
func (e *exchange) OK() bool { return e != nil && e.Status/100 == 2 }

// send sends a request to path, and keeps the words that were spoken.
func (a *app) send(ctx context.Context, method, path string, header http.Header, body io.Reader) *exchange {
	e := new(exchange)
	req, err := http.NewRequestWithContext(ctx, method, a.issuer+path, body)
	if err != nil {
		e.Response = err.Error()
		return e
	}
	req.Header = header
	req.Header.Set("User-Agent", "quickstart")
	req.Header.Set("Accept", "application/json")
	if dump, err := httputil.DumpRequestOut(req, true); err == nil {
		e.Request = plain(dump)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		e.Response = err.Error()
		return e
	}
	defer resp.Body.Close()
	e.Status = resp.StatusCode
	if e.body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20)); err != nil {
		e.Response = err.Error()
		return e
	}
	if dump, err := httputil.DumpResponse(resp, false); err == nil {
		e.Response = plain(dump) + "\n\n" + indent(e.body)
	}
	return e
}

func plain(dump []byte) string {
	return strings.TrimSpace(strings.ReplaceAll(string(dump), "\r\n", "\n"))
}

func indent(text []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, bytes.TrimSpace(text), "", "  ") != nil {
		return string(text)
	}
	return b.String()
}

// tokens is what the application keeps of a token response (RFC 6749, section 5.1).
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func (e *exchange) tokens() (t tokens, ok bool) {
	return t, e.OK() && json.Unmarshal(e.body, &t) == nil && t.Access != ""
}

// A jwt is a token taken apart (RFC 7515, section 3.1). Nothing is verified: the client
// has no business with what is in an access token, and shows it here to people only.
type jwt struct {
	Parts           [3]string
	Header, Payload string
	Expiry          time.Time
}

func decode(token string) (t jwt) {
	copy(t.Parts[:], strings.SplitN(token, ".", 3))
	header, _ := base64.RawURLEncoding.DecodeString(t.Parts[0])
	payload, _ := base64.RawURLEncoding.DecodeString(t.Parts[1])
	t.Header, t.Payload = indent(header), indent(payload)
	var claims struct {
		Expiry int64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) == nil {
		t.Expiry = time.Unix(claims.Expiry, 0)
	}
	return t
}

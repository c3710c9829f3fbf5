package integration_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
)

// send sends r to the server of s, whose storage fails as s says, or lets somebody else go
// first.
func (c *chronicle) send(s *step, r *http.Request) *httptest.ResponseRecorder {
	at, overtake := s.failAt, (func())(nil)
	if s.meanwhile != nil {
		at, overtake = s.meanwhileAt, func() {
			c.count("overtaken")
			c.nested(s.meanwhile)
		}
	}
	if c.depth > 0 {
		at, overtake = 0, nil
	}
	c.store.prepare(at, s.after, overtake)
	w := httptest.NewRecorder()
	c.servers[s.server].ServeHTTP(w, r)
	return w
}

// nested does what happens during another request.
func (c *chronicle) nested(s *step) {
	c.depth++
	c.do(s)
	c.depth--
	c.store.prepare(0, false, nil)
}

// overtaken does what was to happen during s and has not, because s did not get that far.
func (c *chronicle) overtaken(s *step) {
	if s.meanwhile != nil && c.depth == 0 && c.store.at != 0 {
		c.nested(s.meanwhile)
	}
}

// post is a form of client, which may have the wrong secret.
func (c *chronicle) post(path, client string, wrongSecret bool, f url.Values) *http.Request {
	secret := secretOf2 // of rs
	if m := c.clients[client]; m != nil {
		secret = m.secret
	}
	if secret == "" && !wrongSecret {
		f.Set("client_id", client+c.suffix)
	}
	r := httptest.NewRequest(http.MethodPost, historyIssuer+path, strings.NewReader(f.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if wrongSecret {
		secret = "wrong-" + secret
	}
	if secret != "" {
		r.SetBasicAuth(client+c.suffix, url.QueryEscape(secret))
	}
	return r
}

// refusedAs checks that an endpoint for clients refuses a request with code.
func (c *chronicle) refusedAs(w *httptest.ResponseRecorder, code string) {
	status := map[string]int{"invalid_client": http.StatusUnauthorized, "temporarily_unavailable": http.StatusServiceUnavailable}[code]
	if status == 0 {
		status = http.StatusBadRequest
	}
	c.count(code)
	var got struct{ Error string }
	c.must(json.Unmarshal(w.Body.Bytes(), &got))
	c.agree(w.Code == status && got.Error == code, "%s was to come", code)
	c.agree(!strings.Contains(w.Body.String(), `token":`), "a token in a refusal")
}

// outcomeOf is what w says, without the secrets.
func outcomeOf(w *httptest.ResponseRecorder) string {
	u, err := url.Parse(w.Header().Get("Location"))
	var said struct{ Error string }
	switch {
	case err == nil && u.Query().Has("code"):
		return "a code"
	case err == nil && u.Query().Has("error"):
		return u.Query().Get("error")
	case json.Unmarshal(w.Body.Bytes(), &said) == nil:
		return said.Error
	}
	return "a page"
}

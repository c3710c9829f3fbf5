package integration_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

const (
	consentOpen = 10 * time.Minute // in which a question may be answered
	consentKept = time.Hour
)

// authorize asks for a code, and returns the grant that came of it.
func (c *chronicle) authorize(s *step) *modelGrant {
	client := []string{"c1", "c1", "c2", "p1"}[s.who%4]
	g := &modelGrant{client: client, subject: []string{"alice", "bob"}[s.who/4] + c.suffix, asked: strings.Fields(s.scope)}
	q := asking("client_id", client+c.suffix, "redirect_uri", c.clients[client].uri, "scope", s.scope)
	if s.how != "" {
		q.Set("prompt", "consent")
	}
	now := c.now(s.server)
	asks := s.how != "" || c.mustAsk(client, g.subject, g.asked, now)
	w := c.send(s, c.browser(http.MethodGet, "/authorize?"+q.Encode(), g.subject, nil))
	c.tell(s, "%s asks for %q, %s%s: %d %s", client, s.scope, g.subject, s.disturbed(), w.Code, outcomeOf(w))
	switch {
	case c.store.hit != nil:
		c.unavailable(w)
		return nil // if it has been saved, nobody knows of it
	case c.clients[client].disabled:
		c.page(w, http.StatusBadRequest)
		return nil
	case !within(g.asked, c.clients[client].scopes):
		c.agree(c.redirected(w, client).Get("error") == "invalid_scope", "invalid_scope was to come")
		return nil
	}
	g.version, g.created = 1, now
	if asks {
		c.count("asked for consent")
		m := consentQuestion.FindStringSubmatch(w.Body.String())
		c.agree(w.Code == http.StatusOK && m != nil, "the user is not asked")
		g.action, g.handle = strings.ReplaceAll(m[1], "&amp;", "&"), m[2]
		g.cookie = strings.Split(w.Header().Get("Set-Cookie"), ";")[0]
		g.id, g.stage, g.expires = c.grantOf(g.handle), authwright.StageConsent, now.Add(consentKept)
		g.scopes = g.asked
	} else {
		c.count("a consent is remembered")
		g.code = c.redirected(w, client).Get("code")
		g.id, g.stage, g.expires, g.scopes = c.grantOf(g.code), authwright.StageCode, now.Add(historyCode), g.asked
	}
	c.grants = append(c.grants, g)
	return g
}

// answer answers the consent page of g.
func (c *chronicle) answer(s *step, g *modelGrant, how string) {
	f := url.Values{"consent": {g.handle}, "decision": {"approve"}}
	cookie, user, granted := g.cookie, g.subject, g.asked
	switch how {
	case "approve one":
		granted = g.asked[:1]
	case "approve none":
		granted = nil
	case "deny":
		f.Set("decision", "deny")
	case "decide nothing":
		f.Del("decision")
	case "in another browser":
		cookie = "__Host-authwright-browser=another"
	case "as another user":
		user = "mallory" + c.suffix
	}
	f["scope"] = append(slices.Clone(granted), "admin") // which was not asked for
	now := c.now(s.server)
	w := c.send(s, c.browser(http.MethodPost, g.action, user, f, "Cookie", cookie))
	c.tell(s, "%s, %s%s: %d %s", c.name(g), how, s.disturbed(), w.Code, outcomeOf(w))
	h, late := c.store.hit, !now.Before(g.created.Add(consentOpen))
	switch {
	case h != nil && h.id != g.id && (h.call == "SaveGrant" || h.call == "Grant"):
		// The consent could not be remembered, which is no reason to fail.
	case h != nil && h.call == "Client" && late:
		// Nor that the page which explains it cannot name the client.
	case h != nil:
		if h.saved {
			c.decide(g, how, granted, now)
		}
		c.unavailable(w)
		return
	}
	switch {
	case g.stage != authwright.StageConsent:
		c.page(w, http.StatusBadRequest)
	case how == "in another browser":
		c.page(w, http.StatusForbidden)
	case late, c.clients[g.client].disabled, how == "decide nothing":
		c.page(w, http.StatusBadRequest)
	case how == "as another user":
		c.agree(w.Code == http.StatusSeeOther && strings.HasPrefix(w.Header().Get("Location"), "/authorize?"), "the request does not start again")
	default:
		c.decide(g, how, granted, now)
		c.decided(g, w, now)
	}
	c.overtaken(s)
}

// decided checks that the client learns of a decision.
func (c *chronicle) decided(g *modelGrant, w *httptest.ResponseRecorder, now time.Time) {
	q := c.redirected(w, g.client)
	if g.stage == authwright.StageRevoked {
		c.count("denied")
		c.agree(q.Get("error") == "access_denied" && !q.Has("code"), "access_denied was to come")
		return
	}
	g.code = q.Get("code")
	c.agree(c.grantOf(g.code) == g.id, "another grant's code")
	if h := c.store.hit; h == nil || h.saved {
		c.remember(g, now)
	}
}

// decide is what a decision does to g.
func (c *chronicle) decide(g *modelGrant, how string, granted []string, now time.Time) {
	g.version++
	g.stage, g.expires = authwright.StageCode, now.Add(historyCode)
	g.scopes = slices.Clone(granted)
	g.online = slices.Contains(g.asked, "offline_access") && !slices.Contains(granted, "offline_access")
	if how == "deny" || len(granted) == 0 {
		g.stage, g.expires = authwright.StageRevoked, g.created.Add(consentKept)
	}
}

// browser is a request from the browser of user, with headers.
func (c *chronicle) browser(method, target, user string, f url.Values, headers ...string) *http.Request {
	r := httptest.NewRequest(method, historyIssuer+target, strings.NewReader(f.Encode()))
	r.Header.Set("User", user)
	if f != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// page checks that the user is told, and nobody else.
func (c *chronicle) page(w *httptest.ResponseRecorder, status int) {
	c.agree(w.Code == status && w.Header().Get("Location") == "", "no error page of %d", status)
}

// redirected is the query with which the browser goes back to client.
func (c *chronicle) redirected(w *httptest.ResponseRecorder, client string) url.Values {
	uri, query, _ := strings.Cut(w.Header().Get("Location"), "?")
	c.agree(w.Code == http.StatusSeeOther && uri == c.clients[client].uri, "not sent back to %s: %d %s", client, w.Code, uri)
	q, err := url.ParseQuery(query)
	c.must(err)
	return q
}

// unavailable checks that a browser is told of an outage, or its client is.
func (c *chronicle) unavailable(w *httptest.ResponseRecorder) {
	c.count("unavailable")
	u, err := url.Parse(w.Header().Get("Location"))
	c.must(err)
	c.agree(w.Code == http.StatusServiceUnavailable || u.Query().Get("error") == "temporarily_unavailable", "the outage is not told")
	c.agree(!u.Query().Has("code"), "a code although the storage failed")
}

package integration_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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

// check compares what is stored with the model, and a few tokens, each time others.
func (c *chronicle) check(server int) {
	for _, g := range c.grants {
		c.checkGrant(g, server)
	}
	for range min(2, len(c.grants)) {
		c.checked++
		g := c.grants[len(c.grants)-1-c.checked%min(len(c.grants), 4)]
		for i := max(0, len(g.chain)-3); i < len(g.chain); i++ {
			c.checkRefresh(g, i, server)
		}
		if n := len(g.access); n > 0 {
			c.checkAccess(g, &g.access[n-1-c.checked%n], server)
		}
	}
}

// checkAll asks every server about every token.
func (c *chronicle) checkAll() {
	for server := range c.servers {
		for _, g := range c.grants {
			for i := range g.chain {
				c.checkRefresh(g, i, server)
			}
			for i := range g.access {
				c.checkAccess(g, &g.access[i], server)
			}
		}
	}
}

func (c *chronicle) checkGrant(g *modelGrant, server int) {
	name := c.name(g)
	active, err := c.servers[server].GrantActive(c.t.Context(), g.id)
	c.must(err)
	c.agree(active == c.alive(g, c.now(server)), "%s is active: %t", name, active)
	if c.blind {
		return
	}
	stored := c.stored(g.id)
	c.agree((stored == nil) == (g.stage == ""), "%s is stored: %t", name, stored != nil)
	if stored == nil {
		return
	}
	c.agree(stored.Stage == g.stage, "%s: stage %s instead of %s", name, stored.Stage, g.stage)
	c.agree(stored.Version == g.version, "%s: version %d instead of %d", name, stored.Version, g.version)
	c.agree(stored.EndsAt.Equal(g.ends), "%s ends at %v instead of %v", name, stored.EndsAt, g.ends)
	c.agree(stored.ExpiresAt.Equal(g.expires), "%s expires at %v instead of %v", name, stored.ExpiresAt, g.expires)
	c.agree(stored.ClientID == g.client+c.suffix && stored.Subject == g.subject, "%s is of %s for %s", name, stored.Subject, stored.ClientID)
	if g.stage != authwright.StageRevoked {
		c.agree(slices.Equal(stored.Scopes, g.scopes), "%s: scopes %q instead of %q", name, stored.Scopes, g.scopes)
	}
	if n := len(g.chain); n > 0 && g.chain[n-1].text != "" && g.stage == authwright.StageActive {
		secret, err := base64.RawURLEncoding.DecodeString(g.chain[n-1].text)
		c.must(err)
		sum := sha256.Sum256(secret[32:])
		c.agree(slices.Equal(stored.Turn, sum[:]), "%s: the live token is not the one that was issued last", name)
	}
}

// introspect asks about a token and returns the answer, nil if the token is not active.
func (c *chronicle) introspect(as, token string, server int) map[string]any {
	c.store.prepare(0, false, nil)
	w := httptest.NewRecorder()
	c.servers[server].ServeHTTP(w, c.post("/introspect", as, false, url.Values{"token": {token}}))
	c.agree(w.Code == http.StatusOK, "introspection by %s: %d %s", as, w.Code, w.Body)
	var got map[string]any
	c.must(json.Unmarshal(w.Body.Bytes(), &got))
	if got["active"] != true {
		c.agree(len(got) == 1, "too much about a token that is not active: %s", w.Body)
		return nil
	}
	return got
}

// checkAccess asks a resource server's question about an access token.
func (c *chronicle) checkAccess(g *modelGrant, t *modelToken, server int) {
	now := c.now(server)
	active := c.alive(g, now) && now.Unix() < t.expires
	got := c.introspect("rs", t.text, server)
	c.agree((got != nil) == active, "an access token of %s is active at server %d: %t", c.name(g), server, got != nil)
	if !active {
		return
	}
	want := []any{strings.Join(t.scopes, " "), float64(t.expires), g.client + c.suffix, g.subject}
	c.agree(slices.Equal([]any{got["scope"], got["exp"], got["client_id"], got["sub"]}, want), "an access token of %s is for %v", c.name(g), got)
}

// checkRefresh asks its client's question about a refresh token.
func (c *chronicle) checkRefresh(g *modelGrant, i, server int) {
	text := g.chain[i].text
	if text == "" {
		return
	}
	c.agree(c.introspect("rs", text, server) == nil, "a resource server learns of a refresh token")
	if c.clients[g.client].disabled || c.clients[g.client].secret == "" {
		return // and may not ask
	}
	active := c.alive(g, c.now(server)) && i == len(g.chain)-1
	got := c.introspect(g.client, text, server)
	c.agree((got != nil) == active, "refresh token %d of %s is active at server %d: %t", i, c.name(g), server, got != nil)
	if active {
		c.agree(got["scope"] == strings.Join(g.scopes, " ") && got["exp"] == float64(g.expires.Unix()), "a refresh token of %s is for %v", c.name(g), got)
	}
}

// revoke sends a token of g to the revocation endpoint.
func (c *chronicle) revoke(s *step, g *modelGrant) {
	now, client, token := c.now(s.server), g.client, g.access[max(0, len(g.access)-1-s.token)]
	text, expired := token.text, now.Unix() >= token.expires
	i := g.held(s.token)
	switch {
	case s.how == "garbage":
		text, expired = "garbage", false
	case s.how == "the code":
		text, expired = g.code, false
	case i < 0 || s.how == "an access token" || s.token == 1 && !strings.HasPrefix(s.how, "a "):
	case s.how == "a forged turn":
		text, expired = c.forged(g.chain[i].text, 32), false
	case s.how == "a forged lineage":
		text, expired = c.forged(g.chain[i].text, 16), false
	default:
		text, expired = g.chain[i].text, false
	}
	how := s.how
	if i < 0 && how == "a forged lineage" {
		how = "an access token"
	}
	if how == "by another client" {
		client = c.other(client)
	}
	w := c.send(s, c.post("/revoke", client, how == "wrong secret", url.Values{"token": {text}}))
	c.tell(s, "%s revokes %s, %s%s: %d %s", client, c.name(g), how, s.disturbed(), w.Code, outcomeOf(w))
	v := c.judgeRevocation(g, how, client, how == "wrong secret", expired)
	if v = c.settle(g, v, now); v.err != "" {
		c.refusedAs(w, v.err)
	} else {
		c.agree(w.Code == http.StatusOK, "the revocation is not confirmed")
		c.count("revoked by a client")
	}
	c.overtaken(s)
}

// introspectAs asks about an access token of g as somebody who may not know, or may.
func (c *chronicle) introspectAs(s *step, g *modelGrant) {
	now, as, t := c.now(s.server), g.client, g.access[max(0, len(g.access)-1-s.token)]
	switch s.how {
	case "by another client":
		as = map[string]string{"c1": "c2"}[g.client]
		if as == "" {
			as = "c1"
		}
	case "by a public client":
		as = "p1"
	}
	w := c.send(s, c.post("/introspect", as, s.how == "wrong secret", url.Values{"token": {t.text}}))
	c.tell(s, "%s introspects an access token of %s, %s%s: %d", as, c.name(g), s.how, s.disturbed(), w.Code)
	switch {
	case c.store.hit != nil:
		c.refusedAs(w, "temporarily_unavailable")
	case s.how == "wrong secret", c.clients[as].secret == "", c.clients[as].disabled:
		c.refusedAs(w, "invalid_client")
	default:
		var got struct{ Active bool }
		c.must(json.Unmarshal(w.Body.Bytes(), &got))
		c.agree(got.Active == (as == g.client && c.alive(g, now) && now.Unix() < t.expires), "active: %t", got.Active)
	}
}

// manage does what the host does.
func (c *chronicle) manage(s *step) {
	ctx, now := c.t.Context(), c.now(s.server)
	switch s.do {
	case "revoke grant":
		g := c.pick(s, func(*modelGrant) bool { return true })
		if g == nil {
			return
		}
		c.store.prepare(s.failAt, s.after, nil)
		err := c.servers[s.server].RevokeGrant(ctx, g.id)
		c.tell(s, "the host revokes %s%s: %v", c.name(g), s.disturbed(), err)
		gone := g.stage == ""
		switch v := c.settle(g, verdict{after: g.revoked()}, now); {
		case v.err != "":
			c.agree(err != nil, "the host is not told of an outage")
		case gone:
			c.agree(errors.Is(err, authwright.ErrNotFound), "revoked a grant that is gone")
		default:
			c.must(err)
		}
	case "revoke subject":
		c.revokeSubject(s, []string{"alice", "bob"}[s.who/4]+c.suffix)
	case "client":
		id := []string{"c1", "c1", "c2", "p1"}[s.who%4]
		c.changeClient(id, s.how)
		c.tell(s, "%s: %s", id, s.how)
	case "sweep":
		c.sweep(s)
	default:
		c.must(fmt.Errorf("nobody can %s", s.do))
	}
}

// revokeSubject revokes all that a user has granted. If that fails half way, doing it again
// must do the rest.
func (c *chronicle) revokeSubject(s *step, subject string) {
	c.store.prepare(s.failAt, s.after, nil)
	err := c.servers[s.server].RevokeSubject(c.t.Context(), subject)
	c.tell(s, "the host revokes what %s has granted%s: %v", subject, s.disturbed(), err)
	if c.store.hit != nil {
		c.agree(err != nil, "the host is not told of an outage")
		c.store.prepare(0, false, nil)
		err = c.servers[s.server].RevokeSubject(c.t.Context(), subject)
	}
	c.must(err)
	for _, g := range c.grants {
		if g.subject == subject {
			c.carryOut(g, g.revoked(), c.now(s.server))
		}
	}
	for key, past := range c.remembered {
		if key[1] == subject {
			past.stage = authwright.StageRevoked
		}
	}
}

func (c *chronicle) changeClient(id, how string) {
	stored, err := c.store.victimStore.Client(c.t.Context(), id+c.suffix)
	c.must(err)
	m := c.clients[id]
	switch how {
	case "disable", "enable":
		m.disabled = how == "disable"
	case "withdraw write":
		m.scopes = []string{"read", "offline_access"}
	case "give write back":
		m.scopes = []string{"read", "write", "offline_access"}
	}
	stored.Disabled, stored.Scopes = m.disabled, m.scopes
	c.must(c.store.UpdateClient(c.t.Context(), stored))
}

// sweep deletes what has expired by the clock of a server. Redis has done so, or will.
func (c *chronicle) sweep(s *step) {
	now := c.now(s.server)
	sweeper, ok := c.store.victimStore.(interface {
		DeleteExpired(ctx context.Context, now time.Time, limit int) (int, error)
	})
	if !ok {
		return
	}
	_, err := sweeper.DeleteExpired(c.t.Context(), now, 0)
	c.must(err)
	c.tell(s, "what has expired is deleted")
	for _, g := range c.grants {
		if !now.Before(g.expires) && g.stage != "" && c.stored(g.id) == nil {
			c.count("forgotten")
			g.stage = ""
		}
	}
}

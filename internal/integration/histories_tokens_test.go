package integration_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
)

// A sentToken is a request to the token endpoint, which may be sent again.
type sentToken struct {
	tokenRequest
	form url.Values
	what string
}

// redeem presents the code of g.
func (c *chronicle) redeem(s *step, g *modelGrant, how string) {
	r := &sentToken{tokenRequest: tokenRequest{g: g, client: g.client, turn: theCode}, what: "the code of " + c.name(g)}
	r.form = redeeming(g.code, "redirect_uri", c.clients[g.client].uri)
	switch how {
	case "by another client":
		r.client = c.other(g.client)
	case "wrong secret":
		r.wrongSecret = true
	case "wrong verifier":
		r.form.Set("code_verifier", strings.Repeat("x", 43))
		r.mismatch = true
	case "no verifier":
		r.form.Del("code_verifier")
		r.refused = "invalid_grant"
	case "short verifier":
		r.form.Set("code_verifier", "short")
		r.refused = "invalid_request"
	case "wrong redirect_uri":
		r.form.Set("redirect_uri", "https://evil.test/cb")
		r.mismatch = true
	case "no redirect_uri":
		r.form.Del("redirect_uri")
	case "wrong code":
		r.form.Set("code", c.forged(g.code, 32))
		r.mismatch = true
	case "the refresh token":
		if i := g.held(0); i >= 0 {
			r.form.Set("code", g.chain[i].text)
			r.mismatch = true
		}
	}
	if how != "" {
		r.what += ", " + how
	}
	c.present(s, r)
}

// refresh presents a refresh token of g.
func (c *chronicle) refresh(s *step, g *modelGrant) {
	i := g.held(s.token)
	r := &sentToken{tokenRequest: tokenRequest{g: g, client: g.client, turn: i}, form: refreshing(g.chain[i].text, "scope", s.scope)}
	if s.scope != "" {
		r.scope = strings.Fields(s.scope)
	}
	switch s.how {
	case "by another client":
		r.client = c.other(g.client)
	case "wrong secret":
		r.wrongSecret = true
	case "a forged turn":
		r.turn = forgedTurn
		r.form.Set("refresh_token", c.forged(g.chain[i].text, 32))
	case "a forged lineage":
		r.turn = forgedLineage
		r.form.Set("refresh_token", c.forged(g.chain[i].text, 16))
	case "the code":
		r.turn = forgedLineage
		r.form.Set("refresh_token", g.code)
	}
	r.what = c.name(g) + ", refresh token " + string(rune('0'+i%10)) + " for " + s.scope + " " + s.how
	c.present(s, r)
}

// held is the index of the refresh token that the client got last, or the one so many before,
// or -1 if it has none.
func (g *modelGrant) held(back int) int {
	found := -1
	for i := len(g.chain) - 1; i >= 0; i-- {
		if g.chain[i].held {
			found = i
			if back--; back < 0 {
				break
			}
		}
	}
	return found
}

func (c *chronicle) other(client string) string {
	if client == "c2" {
		return "p1"
	}
	return "c2"
}

// present sends a request to the token endpoint.
func (c *chronicle) present(s *step, r *sentToken) {
	c.last = r
	w := c.send(s, c.post("/token", r.client, r.wrongSecret, r.form))
	now := c.now(s.server)
	v := c.judge(&r.tokenRequest, now)
	replayed := v.after == revokes
	v = c.settle(r.g, v, now)
	c.tell(s, "%s sends %s%s: %d %s", r.client, r.what, s.disturbed(), w.Code, outcomeOf(w))
	if replayed {
		c.count("replayed")
	}
	if v.err != "" {
		c.refusedAs(w, v.err)
	} else {
		c.receive(s, r, v, w)
	}
	c.overtaken(s)
}

// receive checks tokens that have been issued, and keeps them.
func (c *chronicle) receive(s *step, r *sentToken, v verdict, w *httptest.ResponseRecorder) {
	g, now := r.g, c.now(s.server)
	c.agree(w.Code == http.StatusOK, "tokens were to come")
	c.agree(!g.over, "tokens after a revocation") // whatever the model says
	var got struct {
		issued
		ExpiresIn int64 `json:"expires_in"`
	}
	c.must(json.Unmarshal(w.Body.Bytes(), &got))
	c.agree(within(strings.Fields(got.Scope), g.asked), "the scope was never asked for: %q", got.Scope)
	c.agree(got.Scope == strings.Join(v.token, " "), "the scope is %q, not %q", got.Scope, v.token)
	expires := now.Add(historyAccess)
	if g.expires.Before(expires) { // or else nobody could revoke it
		c.count("cut short by the end")
		expires = g.expires
	}
	c.agree(got.ExpiresIn == expires.Unix()-now.Unix(), "it expires in %d", got.ExpiresIn)
	g.access = append(g.access, modelToken{got.Access, v.token, expires.Unix()})
	live := &g.chain[len(g.chain)-1]
	switch {
	case g.online:
		c.count("declined offline_access")
		c.agree(got.Refresh == "", "a refresh token without offline_access")
		return
	case live.text == "":
		c.agree(!slices.ContainsFunc(g.chain, func(t turn) bool { return t.text == got.Refresh }), "a refresh token comes again")
		c.agree(c.grantOf(got.Refresh) == g.id, "another grant's refresh token")
		live.text = got.Refresh
	default:
		c.agree(v.after == nothing && live.text == got.Refresh, "a second successor")
	}
	switch {
	case v.after == nothing:
		c.count("repeated within the grace")
	case r.turn == theCode:
		c.agree(!g.redeemed, "a code is redeemed twice")
		g.redeemed = true
		c.count("redeemed")
	default:
		c.count("refreshed")
	}
	if s.lost {
		c.count("lost")
	} else {
		live.held = true
	}
}

// revoke sends a token of g, or what is none, to the revocation endpoint.
func (c *chronicle) revoke(s *step, g *modelGrant) {
	now, client, wrongSecret := c.now(s.server), g.client, s.how == "wrong secret"
	if s.how == "by another client" {
		client = c.other(client)
	}
	what, text, expired := c.toRevoke(s, g)
	w := c.send(s, c.post("/revoke", client, wrongSecret, url.Values{"token": {text}}))
	c.tell(s, "%s revokes %s, %s, %s%s: %d %s", client, c.name(g), what, s.how, s.disturbed(), w.Code, outcomeOf(w))
	v := c.judgeRevocation(g, what, client, wrongSecret, expired)
	if v = c.settle(g, v, now); v.err != "" {
		c.refusedAs(w, v.err)
	} else {
		c.agree(w.Code == http.StatusOK, "the revocation is not confirmed")
		c.count("revoked by a client")
	}
	c.overtaken(s)
}

// toRevoke is what s wants to revoke, and whether it is an access token that has expired.
func (c *chronicle) toRevoke(s *step, g *modelGrant) (what, text string, expired bool) {
	switch i := g.held(s.token); {
	case s.how == "garbage":
		return s.how, "garbage", false
	case s.how == "the code":
		return s.how, g.code, false
	case i < 0 || s.how == "an access token" || s.token == 1: // there is no refresh token, or it is not asked for
	case s.how == "a forged turn":
		return s.how, c.forged(g.chain[i].text, 32), false
	case s.how == "a forged lineage":
		return s.how, c.forged(g.chain[i].text, 16), false
	default:
		return "a refresh token", g.chain[i].text, false
	}
	token := g.access[max(0, len(g.access)-1-s.token)]
	return "an access token", token.text, c.now(s.server).Unix() >= token.expires
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

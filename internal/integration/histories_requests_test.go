package integration_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"github.com/authwright/authwright"
)

// A sentToken is a request to the token endpoint, which may be sent again.
type sentToken struct {
	tokenRequest
	form url.Values
	what string
}

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
		c.agree(c.redirected(w, client).Get("error") == "invalid_scope", "no invalid_scope: %s", w.Header().Get("Location"))
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
	f := url.Values{"consent": {g.handle}, "decision": {"approve"}, "scope": g.asked}
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
	f["scope"] = append(slices.Clone(granted), "admin") // which was not asked for, or cannot be had
	now := c.now(s.server)
	w := c.send(s, c.browser(http.MethodPost, g.action, user, f, "Cookie", cookie))
	c.tell(s, "%s, %s%s: %d %s", c.name(g), how, s.disturbed(), w.Code, outcomeOf(w))
	h, late := c.store.hit, !now.Before(g.created.Add(consentOpen))
	answered := g.stage != authwright.StageConsent
	switch {
	case h != nil && (h.call == "SaveGrant" || h.call == "Grant") && h.id != g.id:
		// The consent could not be remembered, which is no reason to fail.
	case h != nil && late && h.call == "Client": // of the page that explains it
	case h != nil:
		if h.saved {
			c.decide(g, how, granted, now)
		}
		c.unavailable(w)
		return
	}
	switch {
	case answered:
		c.page(w, http.StatusBadRequest)
	case how == "in another browser":
		c.page(w, http.StatusForbidden)
	case late, c.clients[g.client].disabled:
		c.page(w, http.StatusBadRequest)
	case how == "as another user":
		c.agree(w.Code == http.StatusSeeOther && strings.HasPrefix(w.Header().Get("Location"), "/authorize?"), "the request does not start again")
	case how == "decide nothing" && len(granted) > 0:
		c.page(w, http.StatusBadRequest)
	default:
		c.decide(g, how, granted, now)
		q := c.redirected(w, g.client)
		if g.stage == authwright.StageRevoked {
			c.agree(q.Get("error") == "access_denied", "not denied: %s", q)
			return
		}
		g.code = q.Get("code")
		c.agree(c.grantOf(g.code) == g.id, "another grant's code")
		if h == nil || h.saved {
			c.remember(g, now)
		}
	}
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
	c.agree(w.Code == http.StatusOK, "refused, but it is to be granted: %s", w.Body)
	var got struct {
		issued
		ExpiresIn int64 `json:"expires_in"`
	}
	c.must(json.Unmarshal(w.Body.Bytes(), &got))
	c.agree(got.Scope == strings.Join(v.token, " "), "the scope is %q, not %q", got.Scope, v.token)
	expires := now.Add(historyAccess)
	if g.ends.Before(expires) {
		c.count("cut short by the end")
		expires = g.ends
	}
	c.agree(got.ExpiresIn == expires.Unix()-now.Unix(), "it expires in %d", got.ExpiresIn)
	g.access = append(g.access, modelToken{got.Access, v.token, expires.Unix()})
	live := &g.chain[len(g.chain)-1]
	switch {
	case g.online:
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

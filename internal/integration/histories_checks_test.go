package integration_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"github.com/authwright/authwright"
)

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
			alive := 0
			for i := range g.chain {
				if c.checkRefresh(g, i, server) {
					alive++
				}
			}
			c.agree(alive <= 1, "%s has %d refresh tokens at a time", c.name(g), alive)
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
	c.agree(stored.EndsAt.Equal(g.ends), "%s ends %v too late", name, stored.EndsAt.Sub(g.ends))
	c.agree(stored.ExpiresAt.Equal(g.expires), "%s expires %v too late", name, stored.ExpiresAt.Sub(g.expires))
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
	c.agree(w.Code == http.StatusOK, "introspection by %s: %d %s", as, w.Code, outcomeOf(w))
	var got map[string]any
	c.must(json.Unmarshal(w.Body.Bytes(), &got))
	if got["active"] != true {
		c.agree(len(got) == 1, "too much is told about a token that is not active")
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
	c.agree(got["scope"] == strings.Join(t.scopes, " "), "an access token of %s has the scope %q", c.name(g), got["scope"])
	c.agree(got["exp"] == float64(t.expires), "an access token of %s does not expire when it said", c.name(g))
	c.agree(got["client_id"] == g.client+c.suffix && got["sub"] == g.subject, "an access token of %s is %s's, for %s", c.name(g), got["client_id"], got["sub"])
}

// checkRefresh asks its client's question about a refresh token.
func (c *chronicle) checkRefresh(g *modelGrant, i, server int) (alive bool) {
	text := g.chain[i].text
	if text == "" {
		return false
	}
	c.agree(c.introspect("rs", text, server) == nil, "a resource server learns of a refresh token")
	if c.clients[g.client].disabled || c.clients[g.client].secret == "" {
		return false // and may not ask
	}
	active := c.alive(g, c.now(server)) && i == len(g.chain)-1
	got := c.introspect(g.client, text, server)
	c.agree((got != nil) == active, "refresh token %d of %s is active at server %d: %t", i, c.name(g), server, got != nil)
	if active {
		c.agree(got["scope"] == strings.Join(g.scopes, " ") && got["exp"] == float64(g.expires.Unix()), "a refresh token of %s is described otherwise", c.name(g))
	}
	return got != nil
}

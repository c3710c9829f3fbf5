package integration_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/authwright/authwright"
)

const historyIssuer = "https://as.example.com"

var historyKey = ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", ed25519.SeedSize)))

// A chronicle is a history while it happens: the servers, and a model that knows better.
type chronicle struct {
	model
	t       *testing.T
	store   *meddler
	servers [3]*authwright.Server
	skew    [3]time.Duration
	start   time.Time
	clock   time.Time
	suffix  string // of clients and users, which no other history has
	last    *sentToken
	lines   []string
	depth   int
	checked int
	blind   bool // the storage is not looked into, as nobody else can
	seen    map[string]int
}

// A divergence is where servers and model part.
type divergence struct{ error }

var chronicles atomic.Int64

// happen lets p happen on a storage. The error tells the history up to where it went
// wrong. What happened is counted in seen. If it is blind, the storage is not looked into.
func (p plan) happen(t *testing.T, store victimStore, seen map[string]int, blind bool) (err error) {
	c := &chronicle{blind: blind, t: t, store: &meddler{victimStore: store}, skew: p.skew, suffix: fmt.Sprint("~", chronicles.Add(1)), seen: seen}
	defer func() {
		switch d := recover().(type) {
		case nil:
		case divergence:
			// It must be the same each time, or rapid takes it for another error.
			text := fmt.Sprintf("%s\n%s\n%v", p.settings(), strings.Join(c.lines, "\n"), d.error)
			err = errors.New(strings.ReplaceAll(text, c.suffix, ""))
		default:
			panic(d)
		}
	}()
	c.begin(p)
	for i := range p.steps {
		c.do(&p.steps[i])
		c.store.prepare(0, false, nil)
		c.check(p.steps[i].server)
	}
	c.checkAll()
	return nil
}

func (c *chronicle) begin(p plan) {
	// Redis forgets by the real clock what has expired. It must not be ahead of ours.
	c.start = time.Now().Truncate(time.Second).Add(time.Hour)
	c.clock = c.start
	c.lifetimes, c.remembered = p.lifetimes, make(map[[2]string]*modelGrant)
	c.clients = map[string]*modelClient{"c1": {secret: secretOf1, uri: c1URI}, "c2": {secret: secretOf2, uri: c2URI}, "p1": {uri: p1URI}}
	for id, m := range c.clients {
		m.scopes = []string{"read", "write", "offline_access"}
		stored := &authwright.Client{ID: id + c.suffix, RedirectURIs: []string{m.uri}, Scopes: m.scopes}
		if m.secret != "" {
			stored.Secrets = storedSecrets(m.secret)
		}
		c.must(c.store.AddClient(c.t.Context(), stored))
	}
	c.must(c.store.AddClient(c.t.Context(), &authwright.Client{ID: "rs" + c.suffix, Secrets: storedSecrets(secretOf2), GrantTypes: []string{}, Serves: []string{historyIssuer}}))
	for i := range c.servers {
		srv, err := authwright.NewServer(c.config(i))
		c.must(err)
		c.servers[i] = srv
	}
}

func (c *chronicle) config(server int) authwright.Config {
	return authwright.Config{
		Issuer: historyIssuer, Storage: c.store, Index: c.store,
		Authenticator: authwright.LoginRedirect("/login", "next", func(r *http.Request) (*authwright.User, error) {
			return &authwright.User{Subject: r.Header.Get("User")}, nil
		}),
		SigningKeys:  []authwright.SigningKey{{Signer: historyKey}},
		CodeLifetime: historyCode, AccessTokenLifetime: historyAccess, RefreshTokenLifetime: c.unused,
		RefreshTokenMaxLifetime: c.end, ConsentLifetime: historyConsent, RefreshGrace: c.grace,
		Logger: slog.New(slog.DiscardHandler),
		Now:    func() time.Time { return c.now(server) },
	}
}

func (c *chronicle) now(server int) time.Time { return c.clock.Add(c.skew[server]) }

// tell writes down what has happened.
func (c *chronicle) tell(s *step, format string, args ...any) {
	c.lines = append(c.lines, fmt.Sprintf("%s%8s server %d: ", strings.Repeat("    ", c.depth), c.clock.Sub(c.start), s.server)+fmt.Sprintf(format, args...))
}

// count remembers that something has happened that histories should be about.
func (c *chronicle) count(what string) { c.seen[what]++ }

func (c *chronicle) must(err error) { c.agree(err == nil, "%v", err) }

// agree ends the history unless model and servers agree.
func (c *chronicle) agree(ok bool, format string, args ...any) {
	if !ok {
		panic(divergence{fmt.Errorf(format, args...)})
	}
}

func (c *chronicle) do(s *step) {
	switch s.do {
	case "wait":
		c.clock = c.clock.Add(s.wait)
	case "sign in":
		c.signIn(s)
	case "authorize":
		c.authorize(s)
	case "consent":
		// A question that was answered is asked about seldom, and a code redeemed twice.
		g := c.pick(s, func(g *modelGrant) bool {
			return g.handle != "" && (s.grant == 2 || g.stage == authwright.StageConsent)
		})
		if g == nil {
			g = c.authorize(&step{server: s.server, who: s.who, scope: s.scope, how: "prompt=consent"})
		}
		if g != nil {
			c.answer(s, g, s.how)
		}
	case "redeem":
		g := c.pick(s, func(g *modelGrant) bool { return g.code != "" && (s.grant > 0 || g.stage == authwright.StageCode) })
		if g != nil {
			c.redeem(s, g, s.how)
		} else {
			c.signIn(s)
		}
	case "refresh":
		g := c.pick(s, (*modelGrant).hasRefresh)
		if g != nil && (s.grant == 2 || c.living(g)) { // or else most would be of the dead
			c.refresh(s, g)
		} else {
			c.signIn(s)
		}
	case "again":
		if c.last != nil {
			again := *c.last
			c.present(s, &again)
		}
	case "revoke":
		if g := c.pick(s, func(g *modelGrant) bool { return len(g.access) > 0 }); g != nil {
			c.revoke(s, g)
		}
	case "introspect":
		if g := c.pick(s, func(g *modelGrant) bool { return len(g.access) > 0 }); g != nil {
			c.introspectAs(s, g)
		}
	default:
		c.manage(s)
	}
}

// signIn is everything up to the first tokens. If s is to do something else, but has nothing
// to do it with, the way is straight.
func (c *chronicle) signIn(s *step) {
	rest := step{server: s.server, who: s.who, scope: "read write"}
	if s.do == "sign in" {
		rest.scope = s.scope
	} else {
		s = &rest
	}
	g := c.authorize(s)
	if g == nil {
		return
	}
	if g.stage == authwright.StageConsent {
		how := "approve all"
		if s.how == "approve one" {
			how = s.how
		}
		c.answer(&rest, g, how)
	}
	if g.code != "" {
		c.redeem(&rest, g, "")
	}
}

// pick is the grant that s is about, if there is one like that.
func (c *chronicle) pick(s *step, like func(*modelGrant) bool) *modelGrant {
	found := slices.DeleteFunc(slices.Clone(c.grants), func(g *modelGrant) bool { return !like(g) })
	if len(found) == 0 {
		return nil
	}
	if s.grant < 2 { // the dead would be too many
		if living := slices.DeleteFunc(slices.Clone(found), func(g *modelGrant) bool { return !c.living(g) }); len(living) > 0 {
			found = living
		}
	}
	return found[max(0, len(found)-1-s.grant)]
}

// living reports whether something may still come of g.
func (c *chronicle) living(g *modelGrant) bool {
	return g.revoked() == revokes && c.clock.Before(g.expires)
}

func (g *modelGrant) hasRefresh() bool {
	return slices.ContainsFunc(g.chain, func(t turn) bool { return t.held })
}

// name is what the chronicle calls g.
func (c *chronicle) name(g *modelGrant) string {
	return fmt.Sprint("grant ", slices.Index(c.grants, g))
}

// settle is what a request must be answered that should end as v, after what the storage
// has done to it. The grant is then as it is stored.
func (c *chronicle) settle(g *modelGrant, v verdict, now time.Time) verdict {
	h := c.store.hit
	if h == nil {
		c.carryOut(g, v.after, now)
		return v
	}
	if h.saved && h.id == g.id {
		c.count("saved, and said not to")
		c.carryOut(g, v.after, now)
	}
	return verdict{err: "temporarily_unavailable"}
}

// grantOf is the ID that a secret names its grant by.
func (c *chronicle) grantOf(secret string) string {
	b, err := base64.RawURLEncoding.DecodeString(secret)
	c.agree(err == nil && len(b) == 48, "not a secret: %q", secret)
	return base64.RawURLEncoding.EncodeToString(b[:16])
}

// forged is secret with other bits from some byte on.
func (c *chronicle) forged(secret string, from int) string {
	b, err := base64.RawURLEncoding.DecodeString(secret)
	c.must(err)
	sum := sha256.Sum256(b)
	copy(b[from:from+16], sum[:])
	return base64.RawURLEncoding.EncodeToString(b)
}

// stored is the grant as it is in the storage, nil if there is none.
func (c *chronicle) stored(id string) *authwright.Grant {
	g, err := c.store.victimStore.Grant(c.t.Context(), id)
	if errors.Is(err, authwright.ErrNotFound) {
		return nil
	}
	c.must(err)
	return g
}

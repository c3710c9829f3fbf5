package integration_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/authwright/authwright"
)

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

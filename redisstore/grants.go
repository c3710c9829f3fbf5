package redisstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/internal/document"
)

// retention is how long Redis keeps a grant after its ExpiresAt, so that none is
// forgotten early by a clock that is fast.
const retention = time.Minute

// Grant implements [authwright.Storage].
func (s *Store) Grant(ctx context.Context, id string) (*authwright.Grant, error) {
	reply, err := s.do(ctx, "GET", s.key("grant", id))
	if err != nil {
		return nil, fmt.Errorf("redisstore: grant: %w", err)
	}
	if reply == nil {
		return nil, authwright.ErrNotFound
	}
	record, err := text(reply)
	if err != nil {
		return nil, fmt.Errorf("redisstore: grant: %w", err)
	}
	g, err := decode(record)
	if err != nil {
		return nil, fmt.Errorf("redisstore: grant: record %.64q is corrupt: %w", id, err)
	}
	return g, nil
}

// decode reads a record: version, horizon, places and token, which are saveGrant's own,
// and the grant.
func decode(record string) (*authwright.Grant, error) {
	for range 4 {
		_, rest, more := strings.Cut(record, " ")
		if !more {
			return nil, errors.New("it is cut off")
		}
		record = rest
	}
	return document.ParseGrant(record)
}

// saveGrant compares and writes. It compares text, since the numbers of Lua are inexact.
//
// The token tells callers apart. A command is sent again when the connection broke before
// the reply: by settle, or by a client library such as go-redis. The second time, what is
// stored is the same call's own write, and must not look like somebody else's. It is
// written once more, so that WAIT has something to wait for on the new connection.
//
// The horizon is until when the grant is in the indexes, and the places which these are.
// If that does not suffice for the new version, nothing is written. A record that
// cannot be read has no version and conflicts with every save.
const saveGrant = `
local before, version, needed, indexed, places, token, expires, grant = unpack(ARGV)
local old = redis.call('GETRANGE', KEYS[1], 0, 127)
local v, horizon, p, t = '0', '0', '', ''
if old ~= '' then v, horizon, p, t = string.match(old, '^(%d+) (%d+) (%S+) (%S+) ') end
if v == version and t == token then before = v end
if v ~= before then return 0 end
if p ~= places then horizon = '0' end
if tonumber(horizon) < tonumber(indexed) then horizon = indexed end
if tonumber(horizon) < tonumber(needed) then return 2 end
redis.call('SET', KEYS[1], version..' '..horizon..' '..places..' '..token..' '..grant, 'PXAT', expires)
return 1`

// What saveGrant returns.
const (
	conflicts  = 0
	saved      = 1
	indexFirst = 2
)

// SaveGrant implements [authwright.Storage].
//
// It is one script, which Redis runs as one atomic step: compare the version, write the
// record, set its expiry. A grant that is new or still on its way to its first tokens is
// written to the indexes before that. A redemption, a rotation or a revocation finds it
// there already, and is one round trip. See horizon for why.
//
// If the connection breaks after the command was sent, nobody knows whether it was
// carried out. SaveGrant then sends it again, for eight seconds at most, and so finds out; see
// settle. Only an error that remains after that may hide a success.
func (s *Store) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	data, err := document.AppendGrant(nil, g)
	if err != nil {
		return fmt.Errorf("redisstore: save grant: %w", err)
	}
	places := []string{s.key("by-subject", g.Subject), s.key("by-client", g.ClientID)}
	sum := sha256.Sum256([]byte(strings.Join(places, " "))) // of keys, which have no spaces
	digest, token := base64.RawURLEncoding.EncodeToString(sum[:9]), rand.Text()
	save := func(indexed int64) (int64, error) {
		send := func(ctx context.Context) (int64, error) {
			return number(s.run(ctx, s.saveGrant, s.key("grant", g.ID),
				decimal(g.Version-1), decimal(g.Version), decimal(needed(g)), decimal(indexed), digest, token,
				decimal(millis(g.ExpiresAt.Add(retention))), string(data)))
		}
		outcome, err := send(ctx)
		return settle(ctx, outcome, err, send)
	}
	settled := g.Version > 1 && (g.Stage == authwright.StageActive || g.Stage == authwright.StageRevoked)
	outcome := int64(indexFirst)
	if err = s.ready(ctx); err == nil && settled {
		outcome, err = save(0)
	}
	if err == nil && outcome == indexFirst {
		if err = s.index(ctx, g, places); err == nil {
			outcome, err = save(horizon(g))
		}
	}
	switch {
	case err != nil:
		return fmt.Errorf("redisstore: save grant: %w", err)
	case outcome == saved:
		return nil
	case outcome == conflicts:
		return authwright.ErrConflict
	}
	return fmt.Errorf("redisstore: save grant: unexpected reply %d", outcome)
}

// needed is until when, in milliseconds, g has to be in the indexes: for as long as its
// key lives, by a clock that may differ from that of the node where an index is.
func needed(g *authwright.Grant) int64 { return millis(g.ExpiresAt.Add(2 * retention)) }

// horizon is until when g is written to the indexes.
//
// It looks ahead, so that a grant that lives on for months of rotations is written there
// once: to its EndsAt, past which no rotation moves ExpiresAt, and an hour further for the
// tombstone of a late revocation. A code has no EndsAt yet. It gets the 90 days that a
// server's refresh tokens last by default, and some. Of a grant that lives longer, one
// refresh finds that out from saveGrant and takes two round trips more.
//
// The price is that the entry of a grant that was abandoned stays until then.
func horizon(g *authwright.Grant) int64 {
	end := g.ExpiresAt
	if g.EndsAt.After(end) {
		end = g.EndsAt
	}
	if g.Stage == authwright.StageCode {
		end = end.AddDate(0, 0, 100)
	}
	return millis(end.Add(time.Hour))
}

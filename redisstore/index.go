package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/authwright/authwright"
)

// An index is a sorted set of grant IDs, with the horizon of each as its score. It is on
// another node than its grants, so no step is atomic for both. A live grant is in its
// indexes all the same:
//
//   - It is written to them first and saved after. If the save fails or loses, an entry is
//     left that leads nowhere, or to a grant of somebody else, and readers pass over it.
//   - Its record says until when it is there, and saveGrant refuses a version that would
//     outlive that.
//   - A score never falls, and an entry goes only when it is past. So does the whole set,
//     which expires with its last entry.
//
// So an index has too much, never too little.

// addToIndex adds an entry or moves its score up, and takes out what is past: some at a
// time, lest a client that comes back after a year blocks Redis.
const addToIndex = `
redis.call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
local now = redis.call('TIME')[1] .. '000'
local past = redis.call('ZCOUNT', KEYS[1], '-inf', now)
if past > 0 then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, math.min(past, 100) - 1) end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
if last then redis.call('PEXPIREAT', KEYS[1], last) end
return 1`

// index writes g to the indexes in places.
func (s *Store) index(ctx context.Context, g *authwright.Grant, places []string) error {
	return each(ctx, len(places), func(ctx context.Context, i int) error {
		_, err := s.run(ctx, s.addToIndex, places[i], g.ID, decimal(horizon(g)))
		return err
	})
}

// GrantsBySubject implements [authwright.Index]. A page holds 1,000 grants at most. Each
// takes a command of its own.
func (s *Store) GrantsBySubject(ctx context.Context, subject, page string, limit int) ([]*authwright.Grant, string, error) {
	return s.list(ctx, s.key("by-subject", subject), page, limit, func(g *authwright.Grant) bool { return g.Subject == subject })
}

// GrantsByClient implements [authwright.Index]. A page holds 1,000 grants at most. Each
// takes a command of its own.
func (s *Store) GrantsByClient(ctx context.Context, clientID, page string, limit int) ([]*authwright.Grant, string, error) {
	return s.list(ctx, s.key("by-client", clientID), page, limit, func(g *authwright.Grant) bool { return g.ClientID == clientID })
}

func (s *Store) list(ctx context.Context, key, page string, limit int, match func(*authwright.Grant) bool) ([]*authwright.Grant, string, error) {
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	entries, next, err := s.entries(ctx, key, page, limit)
	if err != nil {
		return nil, "", fmt.Errorf("redisstore: grants: %w", err)
	}
	grants := make([]*authwright.Grant, len(entries))
	if err := each(ctx, len(entries), func(ctx context.Context, i int) (err error) {
		grants[i], err = s.Grant(ctx, entries[i].id)
		if errors.Is(err, authwright.ErrNotFound) {
			return nil
		}
		return err
	}); err != nil {
		return nil, "", err
	}
	found := grants[:0]
	for _, g := range grants {
		if g != nil && match(g) {
			found = append(found, g)
		}
	}
	return found, next, nil
}

// readIndex returns IDs and scores: all that have the score of the last entry of the
// page before, and as many as asked for that have a higher one.
const readIndex = `
local found = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[1], 'BYSCORE', 'WITHSCORES')
for _, v in ipairs(redis.call('ZRANGE', KEYS[1], '('..ARGV[1], '+inf', 'BYSCORE', 'LIMIT', 0, ARGV[2], 'WITHSCORES')) do
	found[#found + 1] = v
end
return found`

type entry struct{ score, id string }

// entries reads one page of an index. Redis keeps it in the order of scores and then of
// IDs, and page is the entry where the page before ended. A grant that is not saved keeps
// its place in this order, and one that is can only move on, so none is missed.
func (s *Store) entries(ctx context.Context, key, page string, limit int) (entries []entry, next string, err error) {
	last := entry{score: "-inf"}
	if page != "" {
		last.score, last.id, _ = strings.Cut(page, " ")
		if _, err := strconv.ParseInt(last.score, 10, 64); err != nil {
			return nil, "", errors.New("page is none that was returned")
		}
	}
	reply, err := s.run(ctx, s.readIndex, key, last.score, strconv.Itoa(limit+1))
	if err != nil {
		return nil, "", err
	}
	values, ok := reply.([]any)
	if !ok || len(values)%2 != 0 {
		return nil, "", fmt.Errorf("%w of type %T", errUnexpected, reply)
	}
	for i := 0; i < len(values); i += 2 {
		id, idErr := text(values[i])
		score, scoreErr := text(values[i+1])
		if err := errors.Join(idErr, scoreErr); err != nil {
			return nil, "", err
		}
		if score != last.score || id > last.id {
			entries = append(entries, entry{score, id})
		}
	}
	if len(entries) > limit {
		entries = entries[:limit]
		next = entries[limit-1].score + " " + entries[limit-1].id
	}
	return entries, next, nil
}

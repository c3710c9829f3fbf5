package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// settling is how long a save whose reply did not come is looked after: long enough for a
// connection that was reset and for a database that starts again after a crash. Only saves
// that were under way wait for that; all else fails when it reads, at once.
const settling = 8 * time.Second

// settle finds out how a save ended that returned err, if that leaves it open, by saving
// again. Of any number of the same saves the database carries out one, whenever they
// arrive, since it raises the version that all of them ask for. So the next one either
// does what is left to do, or changes nothing and finds what it wanted to store.
//
// It does not trust a record that is merely unchanged: the first statement may still be
// on its way.
func (s *Store) settle(ctx context.Context, err error, save, stored func(context.Context) error) error {
	if unsent(err) || !s.open(err) && !panicked(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, 160*time.Millisecond) {
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
		again := save(ctx)
		if errors.Is(again, authwright.ErrConflict) {
			again = stored(ctx)
		}
		if !s.open(again) {
			return again
		}
	}
}

// stored returns nil if the record of g is the one that a save of g with this document
// writes, and [authwright.ErrConflict] if it is another. No two saves that differ in
// their outcome write the same: new codes and tokens are random.
func (s *Store) stored(ctx context.Context, g *authwright.Grant, document string) error {
	var data string
	err := s.db.QueryRowContext(ctx, s.sql.saved, s.key(g.ID), g.Version).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) || err == nil && data != document {
		return authwright.ErrConflict
	}
	return err
}

// unsent reports whether err says that there was no connection to send anything over.
func unsent(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "dial"
}

// panicked reports whether err may be the last word of a PostgreSQL that crashes, such as
// for want of space for its log: the commit that it broke off may have got there. If it
// does not crash, nothing was done, and it says so again. Drivers do not share how severe
// an error is.
func panicked(err error) bool {
	var coded interface{ SQLState() string } // of pgx and lib/pq
	if !errors.As(err, &coded) {
		return false
	}
	state := coded.SQLState()
	return state == "53100" || strings.HasPrefix(state, "58") || strings.HasPrefix(state, "XX") // disk full, system error, internal error
}

// open reports whether err leaves open how a statement ended: the database did not
// answer, or it was about to stop when it did. Every other answer means that nothing
// was done. Like passing, it goes by what drivers share.
func (s *Store) open(err error) bool {
	if err == nil || errors.Is(err, authwright.ErrConflict) || passing(err) || s.dialect == SQLite { // which is in this process
		return false
	}
	var coded interface{ SQLState() string } // of pgx and lib/pq
	if errors.As(err, &coded) {
		state := coded.SQLState()
		// connection exceptions, shutdown and crash, statement completion unknown, and no
		// connection left for those who come back after that
		return strings.HasPrefix(state, "08") || strings.HasPrefix(state, "57") || state == "40003" || state == "53300"
	}
	text := err.Error()
	for _, s := range []string{"Error 1040", "Error 1053", "Error 1927"} { // of MySQL: too many connections, shutdown, killed
		if strings.Contains(text, s) {
			return true
		}
	}
	return !strings.Contains(text, "Error ")
}

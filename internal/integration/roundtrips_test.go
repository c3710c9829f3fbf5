package integration_test

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/sqlstore"
	"github.com/authwright/authwright/storagetest"
)

// A countedConn counts how often its owner sends something and waits for the reply,
// however many packets these are.
type countedConn struct {
	net.Conn
	asked atomic.Bool
	trips *atomic.Int64
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.asked.Store(true)
	return c.Conn.Write(b)
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.asked.Swap(false) {
		c.trips.Add(1)
	}
	return n, err
}

// A countingDialer makes connections that count into one number.
type countingDialer struct{ trips atomic.Int64 }

func (d *countingDialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &countedConn{Conn: c, trips: &d.trips}, nil
}

// ownClients is a host that has its clients at hand and keeps only grants in the store.
type ownClients struct {
	storagetest.Store
	clients *authwright.Memory
}

func (o ownClients) Client(ctx context.Context, id string) (*authwright.Client, error) {
	return o.clients.Client(ctx, id)
}

// anew registers clients that may be there already.
type anew struct{ storagetest.Store }

func (a anew) AddClient(ctx context.Context, c *authwright.Client) error {
	if err := a.Store.AddClient(ctx, c); !errors.Is(err, authwright.ErrConflict) {
		return err
	}
	return a.UpdateClient(ctx, c)
}

// The grant of a redemption is read and saved in two round trips to the database, and so
// is that of a refresh. An introspection reads it. The client is one more, unless it was read a
// moment ago, or the host has it at hand.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		engine       string
		perStatement int64
		open         func(*testing.T, *countingDialer) storagetest.Store
	}{
		{"postgresql", "postgresql", 1, openCountedPostgres},
		{"mariadb", "mariadb", 1, func(t *testing.T, d *countingDialer) storagetest.Store { return openCountedMariaDB(t, d, true) }},
		{"mariadb without interpolateParams", "mariadb", 2, func(t *testing.T, d *countingDialer) storagetest.Store { return openCountedMariaDB(t, d, false) }},
		{"redis", "redis", 1, openCountedRedis},
	} {
		if withoutEngine(tt.engine) {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var d countingDialer
			store := tt.open(t, &d)
			t.Run("clients in the database", func(t *testing.T) {
				countTrips(t, newLocalCrowd(t, store, store), &d.trips, tt.perStatement, 3)
			})
			t.Run("clients for a minute", func(t *testing.T) {
				c := newLocalCrowd(t, store, anew{store}, func(cfg *authwright.Config) { cfg.ClientMaxAge = time.Minute })
				countTrips(t, c, &d.trips, tt.perStatement, 2)
			})
			t.Run("clients at hand", func(t *testing.T) {
				own := ownClients{store, new(authwright.Memory)}
				countTrips(t, newLocalCrowd(t, own, own.clients), &d.trips, tt.perStatement, 2)
			})
		})
	}
}

// countTrips counts those of a redemption, of a refresh and of the introspection of its token,
// once the connection is there and the statements are prepared. pgx asks whether a connection is
// alive that was idle for a second, so the lowest of several counts.
func countTrips(t *testing.T, c *crowd, trips *atomic.Int64, perStatement, statements int64) {
	t.Helper()
	redemption, refresh, introspection := int64(100), int64(100), int64(100)
	for range 3 {
		grant, code, err := c.newGrant()
		require.NoError(t, err)
		trips.Store(0)
		a, err := c.redeem(c.replicas[0].url, grant, code)
		require.NoError(t, err)
		require.Equal(t, granted, a.outcome)
		redemption = min(redemption, trips.Swap(0))
		a, err = c.refresh(c.replicas[0].url, grant, a.token)
		require.NoError(t, err)
		require.Equal(t, granted, a.outcome)
		refresh = min(refresh, trips.Swap(0))
		_, err = c.post(c.replicas[0].url+"/introspect", url.Values{"token": {a.token}})
		require.ErrorContains(t, err, `"active":true`) // which is no answer with a token in it
		introspection = min(introspection, trips.Load())
	}
	require.Equal(t, statements*perStatement, redemption, "round trips of a redemption")
	require.Equal(t, statements*perStatement, refresh, "round trips of a refresh")
	require.Equal(t, (statements-1)*perStatement, introspection, "round trips of an introspection")
}

func openCountedPostgres(t *testing.T, d *countingDialer) storagetest.Store {
	cfg, err := pgx.ParseConfig(postgresDSN(t))
	require.NoError(t, err)
	cfg.DialFunc = d.dial
	return newCountedStore(t, stdlib.OpenDB(*cfg), sqlstore.Postgres)
}

func openCountedMariaDB(t *testing.T, d *countingDialer, interpolate bool) storagetest.Store {
	cfg, err := mysql.ParseDSN(mariadbDSN(t))
	require.NoError(t, err)
	cfg.DialFunc, cfg.InterpolateParams = d.dial, interpolate
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	return newCountedStore(t, sql.OpenDB(connector), sqlstore.MySQL)
}

func newCountedStore(t *testing.T, db *sql.DB, dialect sqlstore.Dialect) storagetest.Store {
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(1)
	return newSQLStore(t, db, sqlEngine{dialect: dialect}.config())
}

func openCountedRedis(t *testing.T, d *countingDialer) storagetest.Store {
	s, err := startedRedis()
	require.NoError(t, err, "redis is needed: apt-get install redis-server")
	rdb := redis.NewClient(&redis.Options{Addr: s.addr, Dialer: d.dial, PoolSize: 1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return newRedisStore(t, rdb)
}

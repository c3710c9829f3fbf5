package integration_test

import (
	"context"
	"database/sql"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
	"github.com/authwright/authwright/sqlstore"
	"github.com/authwright/authwright/storagetest"
)

// A cuttingDialer makes connections that break when the reply to a command has come from
// the database and has not reached its client, as often as lose says.
type cuttingDialer struct{ lose atomic.Int64 }

func (d *cuttingDialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: c, d: d}, nil
}

type cutConn struct {
	net.Conn
	d     *cuttingDialer
	asked atomic.Bool
}

func (c *cutConn) Write(b []byte) (int, error) {
	c.asked.Store(true)
	return c.Conn.Write(b)
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 && c.asked.Swap(false) && c.d.lose.Add(-1) >= 0 {
		c.Conn.Close()
		return 0, syscall.ECONNRESET
	}
	return n, err
}

// A forgetfulStore loses the first replies to each save.
type forgetfulStore struct {
	ownClients
	d    *cuttingDialer
	lose *atomic.Int64
}

func (s forgetfulStore) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	s.d.lose.Store(s.lose.Load())
	defer s.d.lose.Store(0)
	return s.ownClients.SaveGrant(ctx, g)
}

// The database carries out a save and the connection breaks before it can say so. The
// server finds out, and the client gets its tokens.
func TestLostReplies(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T, *cuttingDialer) storagetest.Store{
		"postgresql": openCutPostgres, "mariadb": openCutMariaDB, "redis": openCutRedis,
	} {
		if withoutEngine(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d cuttingDialer
			own := ownClients{open(t, &d), new(authwright.Memory)}
			var lose atomic.Int64
			c := newLocalCrowd(t, forgetfulStore{own, &d, &lose}, own.clients, func(cfg *authwright.Config) {
				cfg.RequestTimeout = time.Minute // not the machine is on trial
			})
			url := c.replicas[0].url
			for n := range int64(4) {
				lose.Store(0)
				grant, code, err := c.newGrant()
				require.NoError(t, err)
				lose.Store(n)
				a, err := c.redeem(url, grant, code)
				require.NoError(t, err)
				require.Equal(t, granted, a.outcome, "a code, %d replies lost", n)
				a, err = c.refresh(url, grant, a.token)
				require.NoError(t, err)
				require.Equal(t, granted, a.outcome, "a refresh, %d replies lost", n)
				a, err = c.redeem(url, grant, code)
				require.NoError(t, err)
				require.Equal(t, refused, a.outcome, "a code is spent once")
			}
			requireLinearizable(t, c.history)
		})
	}
}

func openCutPostgres(t *testing.T, d *cuttingDialer) storagetest.Store {
	cfg, err := pgx.ParseConfig(postgresDSN(t))
	require.NoError(t, err)
	cfg.DialFunc = d.dial
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec // the first reply is not that to a preparation
	return newCutStore(t, stdlib.OpenDB(*cfg), sqlstore.Postgres)
}

func openCutMariaDB(t *testing.T, d *cuttingDialer) storagetest.Store {
	cfg, err := mysql.ParseDSN(mariadbDSN(t))
	require.NoError(t, err)
	cfg.DialFunc, cfg.InterpolateParams = d.dial, true
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	require.NoError(t, err)
	return newCutStore(t, sql.OpenDB(connector), sqlstore.MySQL)
}

func newCutStore(t *testing.T, db *sql.DB, dialect sqlstore.Dialect) storagetest.Store {
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return newSQLStore(t, db, sqlEngine{dialect: dialect}.config())
}

// openCutRedis opens a client that does not try again by itself.
func openCutRedis(t *testing.T, d *cuttingDialer) storagetest.Store {
	s, err := startedRedis()
	require.NoError(t, err, "redis is needed: apt-get install redis-server")
	rdb := redis.NewClient(&redis.Options{Addr: s.addr, Dialer: d.dial, MaxRetries: -1, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	store, err := redisstore.New(rdb, newRedisConfig())
	require.NoError(t, err)
	require.NoError(t, store.Check(t.Context()))
	return store
}

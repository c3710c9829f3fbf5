package integration_test

import (
	"context"
	"database/sql"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/redisstore"
	"github.com/authwright/authwright/sqlstore"
	"github.com/authwright/authwright/storagetest"
)

// A durableEngine is a database server of one test, with the settings under which a
// storage keeps what it has acknowledged. Those that other tests share are faster.
type durableEngine interface {
	start() error
	kill()           // kill -9
	address() string // host and port
	dsn() string     // for the target
	store(t *testing.T, address string) storagetest.Store
}

// eachDurableEngine runs a test on PostgreSQL and on Redis, which start starts.
func eachDurableEngine(t *testing.T, run func(t *testing.T, start func(*testing.T) durableEngine)) {
	t.Helper()
	for name, start := range map[string]func(*testing.T) durableEngine{
		"postgresql": func(t *testing.T) durableEngine { return newDurablePostgres(t) },
		"redis":      func(t *testing.T) durableEngine { return newDurableRedis(t) },
	} {
		if withoutEngine(name) {
			continue
		}
		t.Run(name, func(t *testing.T) { run(t, start) })
	}
}

type durablePostgres struct {
	proofProcess
	addr string
}

// newDurablePostgres starts PostgreSQL with its own defaults: fsync and
// synchronous_commit are on.
func newDurablePostgres(t *testing.T, settings ...string) *durablePostgres {
	t.Helper()
	folder, err := engineFolder()
	require.NoError(t, err)
	data := filepath.Join(folder, "data")
	require.NoError(t, runEngine("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"),
		"postgresql is needed: apt-get install postgresql-15")
	p := &durablePostgres{addr: lastingAddr(t)}
	_, port, _ := strings.Cut(p.addr, ":")
	args := []string{"-D", data, "-k", folder, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	p.command = func() (*exec.Cmd, error) { return engineCommand("postgres", args...) }
	p.ready = func(ctx context.Context) error { return ping(ctx, "pgx", p.dsn()) }
	require.NoError(t, p.start())
	t.Cleanup(p.kill)
	return p
}

func (p *durablePostgres) address() string { return p.addr }

func (p *durablePostgres) dsn() string { return "postgres://postgres@" + p.addr + "/postgres" }

func (p *durablePostgres) store(t *testing.T, address string) storagetest.Store {
	db := openSQL(t, "pgx", "postgres://postgres@"+address+"/postgres")
	return newSQLStore(t, db, sqlstore.Config{Dialect: sqlstore.Postgres})
}

type durableMariaDB struct {
	proofProcess
	folder string
}

// newDurableMariaDB starts MariaDB with its own defaults, which flush every commit.
func newDurableMariaDB(t *testing.T, settings ...string) *durableMariaDB {
	t.Helper()
	folder, err := engineFolder()
	require.NoError(t, err)
	data, err := installMariaDB(folder)
	require.NoError(t, err, "mariadb is needed: apt-get install mariadb-server")
	m := &durableMariaDB{folder: folder}
	args := append([]string{"--no-defaults", "--datadir=" + data, "--socket=" + m.socket(), "--skip-networking"}, settings...)
	m.command = func() (*exec.Cmd, error) { return engineCommand("mariadbd", args...) }
	m.ready = func(ctx context.Context) error { return ping(ctx, "mysql", m.dsn()) }
	require.NoError(t, m.start())
	t.Cleanup(m.kill)
	return m
}

func (m *durableMariaDB) socket() string { return filepath.Join(m.folder, "socket") }

func (m *durableMariaDB) dsn() string {
	return "root@unix(" + m.socket() + ")/test?interpolateParams=true"
}

// ping opens a connection to a database.
func ping(ctx context.Context, driver, dsn string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

type durableRedis struct{ *redisServer }

// newDurableRedis starts Redis so that it survives even the crash of the machine.
func newDurableRedis(t *testing.T) durableRedis {
	t.Helper()
	s, err := startRedisAt(lastingAddr(t), append([]string{"--appendfsync", "always"}, durable...)...)
	require.NoError(t, err, "redis is needed: apt-get install redis-server")
	t.Cleanup(s.kill)
	return durableRedis{s}
}

func (r durableRedis) address() string { return r.addr }

func (r durableRedis) dsn() string { return "redis://" + r.addr }

func (r durableRedis) store(t *testing.T, address string) storagetest.Store {
	rdb := redis.NewClient(&redis.Options{Addr: address, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	s, err := redisstore.New(rdb, redisstore.Config{})
	require.NoError(t, err)
	require.NoError(t, s.Check(t.Context()))
	return s
}

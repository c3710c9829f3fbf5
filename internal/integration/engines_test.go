package integration_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/authwright/authwright/sqlstore"
)

// An sqlEngine is a database server, or a library, that tests run against.
type sqlEngine struct {
	name    string
	dialect sqlstore.Dialect

	// open returns a handle on the engine, which is started first if it has to be. If
	// it cannot be had, the test fails.
	open func(t *testing.T) *sql.DB
}

// sqlEngines are all of them but those that the environment variable AUTHWRIGHT_WITHOUT
// names, separated by spaces.
func sqlEngines() []sqlEngine {
	without := strings.Fields(os.Getenv("AUTHWRIGHT_WITHOUT"))
	return slices.DeleteFunc([]sqlEngine{
		{"postgresql", sqlstore.Postgres, openPostgres},
		{"mariadb", sqlstore.MySQL, openMariaDB},
		{"sqlite", sqlstore.SQLite, func(t *testing.T) *sql.DB { return openSQLite(t, filepath.Join(t.TempDir(), "test.db")) }},
	}, func(e sqlEngine) bool { return slices.Contains(without, e.name) })
}

func openPostgres(t *testing.T) *sql.DB {
	t.Helper()
	return openSQL(t, "pgx", postgresDSN(t))
}

func openMariaDB(t *testing.T) *sql.DB {
	t.Helper()
	return openSQL(t, "mysql", mariadbDSN(t))
}

// openSQLite opens a file as package sqlstore recommends it, with one connection.
func openSQLite(t *testing.T, file string, params ...string) *sql.DB {
	t.Helper()
	q := url.Values{"_txlock": {"immediate"}, "_pragma": append([]string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)"}, params...)}
	db := openSQL(t, "sqlite", "file:"+file+"?"+q.Encode())
	db.SetMaxOpenConns(1)
	return db
}

func openSQL(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(32)
	db.SetMaxIdleConns(32)
	return db
}

// postgresDSN starts PostgreSQL on a Unix socket of its own, once.
func postgresDSN(t *testing.T) string {
	t.Helper()
	dsn, err := startedPostgres()
	require.NoError(t, err, "postgresql is needed: apt-get install postgresql-15")
	return dsn
}

var startedPostgres = sync.OnceValues(func() (string, error) {
	folder, err := engineFolder()
	if err != nil {
		return "", err
	}
	data := filepath.Join(folder, "data")
	if err := runEngine("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"); err != nil {
		return "", err
	}
	dsn := "host=" + folder + " user=postgres dbname=postgres"
	// Nothing here loses power, so nothing waits for the disk (-F).
	return dsn, startEngine("pgx", dsn, "postgres", "-D", data, "-F", "-k", folder, "-c", "listen_addresses=", "-c", "max_connections=200")
})

// mariadbDSN starts MariaDB on a Unix socket of its own, once.
func mariadbDSN(t *testing.T) string {
	t.Helper()
	dsn, err := startedMariaDB()
	require.NoError(t, err, "mariadb is needed: apt-get install mariadb-server")
	return dsn
}

var startedMariaDB = sync.OnceValues(func() (string, error) {
	folder, err := engineFolder()
	if err != nil {
		return "", err
	}
	data, err := installMariaDB(folder)
	if err != nil {
		return "", err
	}
	socket := filepath.Join(folder, "socket")
	dsn := "root@unix(" + socket + ")/test"
	return dsn, startEngine("mysql", dsn, "mariadbd", "--no-defaults", "--datadir="+data, "--socket="+socket, "--skip-networking",
		"--innodb-flush-log-at-trx-commit=0", "--max-connections=200")
})

// installMariaDB makes a folder for the data of a server.
func installMariaDB(folder string) (data string, err error) {
	data = filepath.Join(folder, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return "", err
	}
	if err := ownEngine(data); err != nil {
		return "", err
	}
	return data, runEngine("mariadb-install-db", "--no-defaults", "--basedir=/usr", "--datadir="+data, "--auth-root-authentication-method=normal")
}

// engines are the servers that this process has started and has to stop.
var engines struct {
	sync.Mutex
	processes []*os.Process
	folders   []string
	stopped   sync.WaitGroup
}

// stopEngines stops the servers, each by its process, and deletes what they kept.
func stopEngines() {
	engines.Lock()
	defer engines.Unlock()
	for _, p := range engines.processes {
		_ = p.Signal(syscall.SIGQUIT) // PostgreSQL would let clients finish after SIGTERM
	}
	engines.stopped.Wait()
	for _, folder := range engines.folders {
		_ = os.RemoveAll(folder)
	}
}

// engineFolder returns a folder for a server, whose path is short enough for sockets.
func engineFolder() (string, error) {
	folder, err := os.MkdirTemp("", "engine")
	if err != nil {
		return "", err
	}
	engines.Lock()
	defer engines.Unlock()
	engines.folders = append(engines.folders, folder)
	return folder, ownEngine(folder)
}

// nobody is whom database servers run as if the tests run as root, which they refuse.
const nobody = 65534

func ownEngine(folder string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Chown(folder, nobody, nobody)
}

// engineCommand finds a program where Debian keeps it.
func engineCommand(program string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program)
		found = append(found, "/usr/sbin/"+program)
		i := slices.IndexFunc(found, func(path string) bool { _, err := os.Stat(path); return err == nil })
		if i < 0 {
			return nil, err
		}
		path = found[i]
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = os.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that times out exits without TestMain
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd, nil
}

func runEngine(program string, args ...string) error {
	cmd, err := engineCommand(program, args...)
	if err != nil {
		return err
	}
	runtime.LockOSThread() // it is the parent of Pdeathsig, and must not end with another goroutine
	defer runtime.UnlockOSThread()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return nil
}

// startEngine starts a server and returns when it answers.
func startEngine(driver, dsn, program string, args ...string) error {
	cmd, err := engineCommand(program, args...)
	if err != nil {
		return err
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	started, exited := make(chan error), make(chan struct{})
	engines.stopped.Go(func() {
		runtime.LockOSThread() // it is the parent of Pdeathsig
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	})
	if err := <-started; err != nil {
		return err
	}
	engines.Lock()
	engines.processes = append(engines.processes, cmd.Process)
	engines.Unlock()
	return answers(driver, dsn, exited, &out)
}

func answers(driver, dsn string, exited <-chan struct{}, out fmt.Stringer) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		if err = db.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-exited:
			return errors.New(out.String())
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Package sqlstore keeps OAuth clients and grants in a SQL database. It needs nothing
// but [database/sql]; the host brings the driver.
//
//	db, err := sql.Open("pgx", dsn)
//	…
//	store, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.Postgres})
//	…
//	err = store.Migrate(ctx)
//	…
//	srv, err := authwright.NewServer(authwright.Config{Storage: store, Index: store, …})
//
// Any number of servers may share a database. They must write to and read from its
// primary: a replica that lags behind shows codes as unspent that are spent, which costs
// the client an error, and grants as missing that have just been made.
//
// # Which dialect
//
//   - [Postgres] for PostgreSQL, and for CockroachDB and YugabyteDB, which speak its
//     protocol. Drivers: github.com/jackc/pgx/v5/stdlib, github.com/lib/pq.
//   - [MySQL] for MySQL and MariaDB. Driver: github.com/go-sql-driver/mysql.
//   - [SQLite] for a single machine. Drivers: modernc.org/sqlite,
//     github.com/mattn/go-sqlite3. One writer at a time is all there is, so use one
//     connection, db.SetMaxOpenConns(1); it is faster than several that wait for each
//     other. It is not for file systems on a network.
//
// Data source names:
//
//	postgres://app:password@db.example/app
//	app:password@tcp(db.example)/app
//	file:auth.db?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)
//	file:auth.db?_txlock=immediate&_busy_timeout=5000&_journal_mode=WAL&_synchronous=FULL
//
// The third is for modernc.org/sqlite, the fourth for go-sqlite3.
//
// # What a crash may cost
//
// A code is spent once its grant has been saved. If the database confirms a write and
// then forgets it, the code can be spent again, and a client that has refreshed since
// looks like a thief. These settings decide; the first value is the default:
//
//   - PostgreSQL, synchronous_commit: on forgets nothing; off may forget the last 0.6
//     seconds (three times wal_writer_delay) of a server that crashes. After a failover,
//     on holds only for the standbys of synchronous_standby_names; others may be behind.
//   - MySQL and MariaDB, innodb_flush_log_at_trx_commit: 1 forgets nothing; 2 may forget
//     a second if the machine crashes, 0 if the server does. A failover forgets what has
//     not arrived at the replica, unless replication is semi-synchronous or a group's
//     (Galera, Group Replication).
//   - SQLite, synchronous: FULL forgets nothing; NORMAL, with WAL, survives the crash of
//     the process and may forget the last writes if the machine crashes.
//
// # Expired records
//
// Nothing is deleted by itself. Call [Store.DeleteExpired] now and then, on one replica or
// on all:
//
//	for range time.Tick(time.Minute) {
//		for more := true; more; {
//			n, err := store.DeleteExpired(ctx, time.Now(), 1000)
//			more = err == nil && n == 1000
//		}
//	}
//
// # The tables
//
// The tables authwright_clients, authwright_grants and authwright_used have columns for
// what an operator asks about and keep the rest as a JSON document. [Migrations] are the
// files that create them, with comments on how to read them.
//
// Times are integers, milliseconds since 1970. A native type would read better and depend
// on the time zone of the connection (MySQL), on how the driver writes a time (SQLite) and
// on its parameters (parseTime, loc), and a token that lives an hour longer on one replica
// than on another is not worth that.
//
// # Errors
//
// [authwright.ErrNotFound] and [authwright.ErrConflict] are answers. Every other error
// wraps the driver's, means that the database could not answer, and is a 503 to the client.
// It may be that a write succeeded all the same: [Store.SaveGrant] finds that out where it
// can. Where it cannot, the grant has moved on and a request that is repeated finds it so,
// and is judged by the rules for repeated requests: a refresh gets its answer once more, a
// code is refused.
//
// A record that does not decode is such an error too, and names the record.
package sqlstore

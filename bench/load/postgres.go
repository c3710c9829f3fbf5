package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/authwright/authwright/sqlstore"
)

// The statements of package sqlstore, for pgbench. IDs are those of grantID.
const (
	pgRandom = `\set n random(0, :rows - 1)
\set now :now + 1
`
	pgClient = `SELECT data AS client FROM authwright_clients WHERE id = 'web' \gset
`
	pgRedemption = `SELECT id, version, stage, client_id, subject, data FROM authwright_grants WHERE id = md5((:n)::text)::bytea \gset
UPDATE authwright_grants SET version = (:version)::bigint + 1, stage = :stage, client_id = (:client_id)::bytea, subject = (:subject)::bytea, created_at = :now, expires_at = :now, data = :data WHERE id = (:id)::bytea AND version = :version;
`
)

// postgresPair is a pair of the driver alone: the statements of package sqlstore, which save
// what they have read.
func postgresPair(ctx context.Context, dsn string, connections int) (pair, error) {
	const (
		grant       = "SELECT id, version, stage, client_id, subject, data FROM authwright_grants WHERE id = $1"
		updateGrant = "UPDATE authwright_grants SET version = $1, stage = $2, client_id = $3, subject = $4," +
			" created_at = $5, expires_at = $6, data = $7 WHERE id = $8 AND version = $9"
	)
	db, err := openPostgres(dsn, connections)
	if err != nil {
		return nil, err
	}
	read := func(ctx context.Context, id []byte) (version int64, made []any, err error) {
		var stage, clientID, subject, data string
		err = db.QueryRowContext(ctx, grant, id).Scan(new(string), &version, &stage, &clientID, &subject, &data)
		now := expiry()
		return version, []any{stage, []byte(clientID), []byte(subject), now, now, data}, err
	}
	return func(ctx context.Context, i int) error {
		id := []byte(grantID(i))
		version, made, err := read(ctx, id)
		if err != nil {
			return err
		}
		args := append(append([]any{version + 1}, made...), id, version)
		result, err := db.ExecContext(ctx, updateGrant, args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(err, fmt.Errorf("%d rows were updated", n))
		}
		return nil
	}, nil
}

// comparePostgres prints what pgbench, the driver and package sqlstore do with the same rows.
func (o *options) comparePostgres(ctx context.Context, e *engine, dsn string, refreshes float64) error {
	db, err := openPostgres(dsn, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	store, err := sqlstore.New(db, sqlstore.Config{Dialect: sqlstore.Postgres})
	if err != nil {
		return err
	}
	if err := save(ctx, store, o.grants, grantID); err != nil {
		return err
	}
	clean := func() error {
		if _, err := db.ExecContext(ctx, "VACUUM ANALYZE"); err != nil {
			return err
		}
		_, err := db.ExecContext(ctx, "CHECKPOINT")
		return err
	}
	rates, err := o.medians(clean,
		func() (rate, error) { return o.pgbench(ctx, db, e, pgRandom+pgRedemption) },
		o.children(ctx, "driver", o.driver, dsn),
		o.children(ctx, "store", o.driver, dsn),
		func() (rate, error) { return o.pgbench(ctx, db, e, pgRandom+pgClient+pgRedemption) })
	if err != nil {
		return err
	}
	o.heading("PostgreSQL", "pgbench")
	two, three := rates[0].perSecond, rates[3].perSecond
	row("pgbench: grant, updateGrant", rates[0], 0)
	row("database/sql and pgx: grant, updateGrant", rates[1], two)
	row("sqlstore: Grant, SaveGrant", rates[2], two)
	row("pgbench: client, grant, updateGrant", rates[3], 0)
	row("refreshes over HTTP", rate{perSecond: refreshes}, three)
	return nil
}

var pgTPS = regexp.MustCompile(`tps = ([0-9.]+)`)

func (o *options) pgbench(ctx context.Context, db *sql.DB, e *engine, script string) (rate, error) {
	file := filepath.Join(e.folder, "script.sql")
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		return rate{}, err
	}
	versions := func() (sum float64, err error) {
		err = db.QueryRowContext(ctx, "SELECT sum(version) FROM authwright_grants").Scan(&sum)
		return sum, err
	}
	before, err := versions()
	if err != nil {
		return rate{}, err
	}
	seconds := max(int(o.duration.Seconds()), 1)
	_, clients := halves()
	out, spent, err := run(clients, "pgbench", "-n", "-M", "prepared", "-c", strconv.Itoa(o.connections), "-j", strconv.Itoa(o.processes), "-T", strconv.Itoa(seconds),
		"-D", "rows="+strconv.Itoa(o.grants), "-D", "now="+strconv.FormatInt(expiry(), 10), "-f", file, "-h", e.folder, "-U", "postgres", "postgres")
	if err != nil {
		return rate{}, err
	}
	found := pgTPS.FindStringSubmatch(out)
	if found == nil {
		return rate{}, fmt.Errorf("pgbench printed no tps: %s", out)
	}
	tps, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		return rate{}, err
	}
	after, err := versions()
	if transactions := tps * float64(seconds); err == nil && after-before < transactions/2 {
		err = fmt.Errorf("pgbench updated %.0f rows in %.0f transactions", after-before, transactions)
	}
	return newRate(tps, spent, float64(seconds)), err
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/authwright/authwright"
)

// The statements of package sqlstore, on tables that differ in their names. IDs are as random
// as those of a server.
const (
	pgTables = `
CREATE TABLE bench_clients (LIKE authwright_clients INCLUDING ALL);
CREATE TABLE bench_grants (LIKE authwright_grants INCLUDING ALL);
INSERT INTO bench_clients SELECT * FROM authwright_clients;
INSERT INTO bench_grants (id, version, stage, client_id, subject, created_at, expires_at, data)
	SELECT decode(md5(n::text), 'hex'), 1, stage, client_id, subject, created_at, expires_at, data
	FROM (SELECT * FROM authwright_grants WHERE stage = 'active' LIMIT 1) g, generate_series(1, %d) n;
ANALYZE bench_clients, bench_grants`

	pgClient = `SELECT data AS client FROM bench_clients WHERE id = 'web' \gset
`
	pgRedemption = `SELECT id, version, stage, client_id, subject, data FROM bench_grants WHERE id = decode(md5((:n)::text), 'hex') \gset
UPDATE bench_grants SET version = (:version)::bigint + 1, stage = :stage, client_id = (:client_id)::bytea, subject = (:subject)::bytea, created_at = :now, expires_at = :now, data = :data WHERE id = (:id)::bytea AND version = :version;
`
	pgRandom = `\set n random(1, :rows)
\set now 1795000000000 + random(1, 1000000000)
`
)

// comparePostgres prints what pgbench and package sqlstore do in the same PostgreSQL, which is
// then idle but for them.
func (o *options) comparePostgres(ctx context.Context, e *engine, dsn string, storage authwright.Storage, refreshes float64) error {
	db, err := openPostgres(dsn, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, fmt.Sprintf(pgTables, o.grants)); err != nil {
		return err
	}
	two, err := o.pgbench(e, pgRandom+pgRedemption)
	if err != nil {
		return err
	}
	three, err := o.pgbench(e, pgRandom+pgClient+pgRedemption)
	if err != nil {
		return err
	}
	var updated int64
	if err := db.QueryRowContext(ctx, "SELECT sum(version - 1)::bigint FROM bench_grants").Scan(&updated); err != nil {
		return err
	}
	if transactions := (two + three) * o.duration.Seconds(); float64(updated) < transactions/2 {
		return fmt.Errorf("pgbench updated %d rows in %.0f transactions", updated, transactions)
	}
	store, err := o.storeAlone(ctx, storage)
	if err != nil {
		return err
	}
	fmt.Printf("\n| PostgreSQL, %d connections | per second | of pgbench |\n|---|--:|--:|\n", o.connections)
	fmt.Printf("| pgbench: grant, updateGrant | %.0f | |\n| sqlstore: Grant, SaveGrant | %.0f | %.2f |\n", two, store, store/two)
	fmt.Printf("| pgbench: client, grant, updateGrant | %.0f | |\n| refreshes over HTTP | %.0f | %.2f |\n", three, refreshes, refreshes/three)
	return nil
}

var pgTPS = regexp.MustCompile(`tps = ([0-9.]+)`)

func (o *options) pgbench(e *engine, script string) (float64, error) {
	file := filepath.Join(e.folder, "script.sql")
	if err := os.WriteFile(file, []byte(script), 0o644); err != nil {
		return 0, err
	}
	out, err := run("pgbench", "-n", "-M", "prepared", "-c", strconv.Itoa(o.connections), "-T", strconv.Itoa(max(int(o.duration.Seconds()), 1)),
		"-D", "rows="+strconv.Itoa(o.grants), "-f", file, "-h", e.folder, "-U", "postgres", "postgres")
	if err != nil {
		return 0, err
	}
	tps := pgTPS.FindStringSubmatch(out)
	if tps == nil {
		return 0, fmt.Errorf("pgbench printed no tps: %s", out)
	}
	return strconv.ParseFloat(tps[1], 64)
}

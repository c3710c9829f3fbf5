package sqlstore

import (
	"regexp"
	"strings"
)

// A Dialect is the SQL of one family of databases.
type Dialect string

// The dialects.
const (
	Postgres Dialect = "postgres" // PostgreSQL 10 or newer, CockroachDB, YugabyteDB
	SQLite   Dialect = "sqlite"   // SQLite 3.37 or newer
	MySQL    Dialect = "mysql"    // MySQL 5.7 or newer, MariaDB 10.3 or newer, with InnoDB
)

// defaultPrefix stands in all SQL of this package and is replaced by the configured one.
const defaultPrefix = "authwright_"

// statements are the queries of a Store, written once and not for each call.
type statements struct {
	client, addClient, updateClient, deleteClient string

	grant, addGrant, updateGrant, saved string
	bySubject, byClient                 string

	useOnce, addKey, freeKey string

	deleteGrants, deleteKeys, deleteClients string

	version string
}

// statements returns the queries in d. They are written with PostgreSQL's placeholders,
// in ascending order, which is all that MySQL's can express.
func (d Dialect) statements(prefix string) statements {
	insert, unlessTaken := "INSERT INTO ", " ON CONFLICT (id) DO NOTHING"
	if d == MySQL {
		// IGNORE says by its count that the key is taken, the same with and without
		// the driver's clientFoundRows; ON DUPLICATE KEY UPDATE does not. What else it
		// ignores, values that do not fit, check has refused.
		insert, unlessTaken = "INSERT IGNORE INTO ", ""
	}
	const columns = "id, version, stage, client_id, subject, data"
	s := statements{
		client:    "SELECT data FROM authwright_clients WHERE id = $1",
		addClient: insert + "authwright_clients (id, data, expires_at, version) VALUES ($1, $2, $3, 1)" + unlessTaken,
		// Counting makes the row differ, and so count as changed in MySQL.
		updateClient: "UPDATE authwright_clients SET data = $1, expires_at = $2, version = version + 1 WHERE id = $3",
		deleteClient: "DELETE FROM authwright_clients WHERE id = $1",

		grant: "SELECT " + columns + " FROM authwright_grants WHERE id = $1",
		addGrant: insert + "authwright_grants (version, stage, client_id, subject, created_at, expires_at, data, id)" +
			" VALUES ($1, $2, $3, $4, $5, $6, $7, $8)" + unlessTaken,
		updateGrant: "UPDATE authwright_grants SET version = $1, stage = $2, client_id = $3, subject = $4," +
			" created_at = $5, expires_at = $6, data = $7 WHERE id = $8 AND version = $9",
		saved:     "SELECT data FROM authwright_grants WHERE id = $1 AND version = $2",
		bySubject: "SELECT " + columns + " FROM authwright_grants WHERE subject = $1 AND id > $2 ORDER BY id LIMIT $3",
		byClient:  "SELECT " + columns + " FROM authwright_grants WHERE client_id = $1 AND id > $2 ORDER BY id LIMIT $3",

		useOnce: "INSERT INTO authwright_used (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE" +
			" SET expires_at = excluded.expires_at WHERE authwright_used.expires_at <= $3",
		addKey:  insert + "authwright_used (id, expires_at) VALUES ($1, $2)" + unlessTaken,
		freeKey: "DELETE FROM authwright_used WHERE id = $1 AND expires_at <= $2",

		deleteGrants:  d.deleteExpired("authwright_grants"),
		deleteKeys:    d.deleteExpired("authwright_used"),
		deleteClients: d.deleteExpired("authwright_clients"),

		version: "SELECT COALESCE(MAX(version), 0) FROM authwright_schema",
	}
	for _, query := range []*string{
		&s.client, &s.addClient, &s.updateClient, &s.deleteClient,
		&s.grant, &s.addGrant, &s.updateGrant, &s.saved, &s.bySubject, &s.byClient,
		&s.useOnce, &s.addKey, &s.freeKey, &s.deleteGrants, &s.deleteKeys, &s.deleteClients, &s.version,
	} {
		*query = d.placeholders(rename(*query, prefix))
	}
	return s
}

// deleteExpired is a statement that deletes what had expired by $1, at most $2 rows.
func (d Dialect) deleteExpired(table string) string {
	const expired = " WHERE expires_at <= $1"
	const batch = expired + " ORDER BY expires_at LIMIT $2"
	// The condition on the outside looks like a repetition. It is what PostgreSQL checks
	// again when a row has been saved since it was picked.
	switch d {
	case MySQL:
		return "DELETE FROM " + table + batch
	case Postgres: // as an array, since a subquery may be run again for each row
		return "DELETE FROM " + table + expired + " AND id = ANY (ARRAY(SELECT id FROM " + table + batch + "))"
	default:
		return "DELETE FROM " + table + expired + " AND id IN (SELECT id FROM " + table + batch + ")"
	}
}

var placeholder = regexp.MustCompile(`\$([0-9]+)`)

func (d Dialect) placeholders(query string) string {
	switch d {
	case SQLite:
		return placeholder.ReplaceAllString(query, "?$1")
	case MySQL:
		return placeholder.ReplaceAllString(query, "?")
	}
	return query
}

// rename puts prefix in the place of the default one.
func rename(query, prefix string) string { return strings.ReplaceAll(query, defaultPrefix, prefix) }

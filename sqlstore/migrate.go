package sqlstore

import (
	"context"
	"embed"
	"fmt"
	"strconv"
	"strings"
)

// Migrations are the files that [Store.Migrate] runs, for a host that would rather run
// them with its own tool: migrations/<dialect>/<number>_<name>.sql, in the order of the
// numbers. Each can be run again at any time and records its number in the table
// authwright_schema. The files use the default prefix; a host with another one replaces
// every authwright_ with it.
//
//go:embed migrations
var Migrations embed.FS

type migration struct {
	version    int64
	name       string
	statements []string
}

// Migrate creates the tables, or brings them up to date. Call it at every start, on
// every replica: all that they run at once is done once. If there is nothing to do, it
// only reads, so it also serves as a check where the host migrates with its own tool
// or the server may not create tables.
//
// It returns an error if the schema is newer than this version of the package, which
// would not know what the new parts are for.
func (s *Store) Migrate(ctx context.Context) error {
	migrations, err := s.migrations()
	if err != nil {
		return err
	}
	have, err := s.version(ctx)
	if err != nil {
		// There is no database, or no schema in it yet. Reading says this in too many
		// ways; writing tells.
		if _, err := s.exec(ctx, migrations[0].statements[0]); err != nil {
			return fmt.Errorf("sqlstore: migrate: %w", err)
		}
		if have, err = s.version(ctx); err != nil {
			return fmt.Errorf("sqlstore: migrate: %w", err)
		}
	}
	if latest := migrations[len(migrations)-1].version; have > latest {
		return fmt.Errorf("sqlstore: migrate: the schema has version %d, which is newer than the %d of this program", have, latest)
	}
	for _, m := range migrations {
		if m.version <= have {
			continue
		}
		for _, statement := range m.statements {
			if _, err := s.exec(ctx, statement); err != nil {
				return fmt.Errorf("sqlstore: migrate: %s: %w", m.name, err)
			}
		}
	}
	return nil
}

// version is the number of the last migration that was run.
func (s *Store) version(ctx context.Context) (version int64, err error) {
	err = retry(ctx, func() error { return s.db.QueryRowContext(ctx, s.sql.version).Scan(&version) })
	return version, err
}

// migrations reads the files of the dialect. The first statement of the first one
// creates the table of versions.
func (s *Store) migrations() (all []migration, err error) {
	folder := "migrations/" + string(s.dialect)
	files, err := Migrations.ReadDir(folder) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("sqlstore: migrate: %w", err)
	}
	for _, f := range files {
		text, err := Migrations.ReadFile(folder + "/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("sqlstore: migrate: %w", err)
		}
		m := migration{name: f.Name()}
		number, _, _ := strings.Cut(m.name, "_")
		if m.version, err = strconv.ParseInt(number, 10, 64); err != nil {
			return nil, fmt.Errorf("sqlstore: migrate: %w", err)
		}
		// Not every driver takes several statements at once.
		for statement := range strings.SplitSeq(rename(string(text), s.prefix), ";\n") {
			if strings.TrimSpace(statement) != "" {
				m.statements = append(m.statements, statement)
			}
		}
		all = append(all, m)
	}
	return all, nil
}

package integration_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/sqlstore"
)

// The queries that docs/storage.md gives to operators work.
func TestStorageDocument(t *testing.T) {
	t.Parallel()
	if withoutEngine("postgresql") {
		return
	}
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "storage.md"))
	require.NoError(t, err)
	db := openPostgres(t)
	cfg := sqlstore.Config{Dialect: sqlstore.Postgres, Prefix: "document_"}
	s := newSQLStore(t, db, cfg)
	require.NoError(t, s.SaveGrant(t.Context(), someGrant("g")))
	queries := 0
	for _, block := range strings.Split(string(document), "```sql\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for query := range strings.SplitSeq(strings.TrimSpace(block), ";\n") {
			_, err := db.ExecContext(t.Context(), strings.ReplaceAll(query, "authwright_", cfg.Prefix))
			require.NoError(t, err, query)
			queries++
		}
	}
	require.Greater(t, queries, 5)
	g, err := s.Grant(t.Context(), "g")
	require.NoError(t, err)
	require.Equal(t, "revoked", string(g.Stage), "one of them ends all sessions of %s", g.ClientID)
}

package examples_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHello(t *testing.T) {
	t.Parallel()
	issuer := startHello(t)
	b := newBrowser(t)
	require.Equal(t, http.StatusUnauthorized, b.open(authorizeURL(issuer, "app", "notes")).status)
	b.user, b.password = "alice", "sesame"
	require.Equal(t, http.StatusUnauthorized, b.open(authorizeURL(issuer, "app", "notes")).status)
	b.password = "wonderland"
	back := b.open(authorizeURL(issuer, "app", "notes")).submit("approve", nil)

	first := redeem(t, issuer, "app", codeOf(t, back, issuer))
	require.Equal(t, "notes", first.Scope)
	token := verify(t, issuer, first.Access)
	require.Equal(t, "alice", token.Subject)
	require.Equal(t, "app", token.ClientID)

	second := refresh(t, issuer, "app", first.Refresh)
	require.NotEmpty(t, second.Refresh)
	require.NotEqual(t, first.Refresh, second.Refresh)
	require.Equal(t, second.Refresh, refresh(t, issuer, "app", first.Refresh).Refresh, "a retry gets the same answer")
	third := refresh(t, issuer, "app", second.Refresh)
	require.NotEmpty(t, third.Refresh)
	require.Equal(t, "invalid_grant", refresh(t, issuer, "app", first.Refresh).Error, "a replay")
	require.Equal(t, "invalid_grant", refresh(t, issuer, "app", third.Refresh).Error, "a replay revokes the grant")
}

// The README shows a program that has been run.
func TestReadmeShowsHello(t *testing.T) {
	t.Parallel()
	program, err := os.ReadFile("hello/main.go")
	require.NoError(t, err)
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(readme), "```go\n// Hello is")
	require.True(t, found, "the README has no block of Go that begins as hello does")
	block, _, _ := strings.Cut(rest, "```")
	require.Equal(t, string(program), "// Hello is"+block)
}

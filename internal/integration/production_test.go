package integration_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// The example of a production host runs on PostgreSQL from its first request to its
// last, and begins again where it ended.
func TestProduction(t *testing.T) {
	t.Parallel()
	if withoutEngine("postgresql") {
		return
	}
	program, issuer, args := buildProduction(t, "production")

	end := startProduction(t, issuer, program, args)
	tokens := productionTokens(t, issuer, url.Values{
		"grant_type": {"authorization_code"}, "code": {productionCode(t, issuer)}, "code_verifier": {proofVerifier},
	})
	require.Equal(t, "the notes of alice\n", productionNotes(t, issuer, tokens.Access))
	end()

	startProduction(t, issuer, program, args)
	require.Equal(t, "the notes of alice\n", productionNotes(t, issuer, tokens.Access), "the key is still there")
	tokens = productionTokens(t, issuer, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens.Refresh}})
	require.Equal(t, "the notes of alice\n", productionNotes(t, issuer, tokens.Access))

	// Without its database it is alive and not ready.
	db := openPostgres(t)
	_, err := db.ExecContext(t.Context(), "ALTER DATABASE production ALLOW_CONNECTIONS false")
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'production'")
	require.NoError(t, err)
	require.ErrorContains(t, ask(t.Context(), issuer+"/readyz"), "503")
	require.NoError(t, ask(t.Context(), issuer+"/healthz"))
}

// startProduction starts the program and returns a function that ends it, which the end
// of the test does otherwise. It ends gracefully: with status 0, and no secret in its log.
func startProduction(t *testing.T, issuer, program string, args []string) (end func()) {
	t.Helper()
	p := proofProcess{
		command: func() (*exec.Cmd, error) { return mortalCommand(program, args...), nil },
		ready:   func(ctx context.Context) error { return ask(ctx, issuer+"/readyz") },
	}
	require.NoError(t, p.start())
	end = sync.OnceFunc(func() {
		log, err := p.end()
		require.NoError(t, err, log)
		require.Contains(t, log, `"msg":"stopping"`)
		require.NotContains(t, log, "wonderland")
	})
	t.Cleanup(end)
	return end
}

// productionCode is what a person gets for a client.
func productionCode(t *testing.T, issuer string) string {
	t.Helper()
	b := newTargetBrowser(t, http.DefaultTransport)
	login := b.open(issuer + "/authorize?" + url.Values{
		"response_type": {"code"}, "client_id": {"cli"}, "redirect_uri": {cliCallback}, "scope": {"notes:read"}, "state": {"s"},
		"code_challenge": {proofChallenge}, "code_challenge_method": {"S256"},
	}.Encode())
	require.Equal(t, "/login", login.url.Path)
	wrong := b.press(login, "", map[string]string{"username": "alice", "password": "wrong"})
	require.Equal(t, "/login", wrong.url.Path)
	consent := b.press(wrong, "", map[string]string{"username": "alice", "password": "wonderland"})
	answer := b.sent(b.press(consent, "approve", nil), cliCallback)
	require.Equal(t, "s", answer.Get("state"))
	return answer.Get("code")
}

type productionToken struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

func productionTokens(t *testing.T, issuer string, form url.Values) (tokens productionToken) {
	t.Helper()
	form.Set("client_id", "cli")
	resp, err := http.PostForm(issuer+"/token", form)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&tokens))
	require.NotEmpty(t, tokens.Refresh)
	return tokens
}

func productionNotes(t *testing.T, issuer, token string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/api/notes", nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body)
}

// buildProduction builds the example and makes a database for it, and returns the program, the
// issuer that it will be, and its arguments.
func buildProduction(t *testing.T, database string) (program, issuer string, args []string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "production")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, ".")
	build.Dir = filepath.Join("..", "..", "examples", "production")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	_, err = openPostgres(t).ExecContext(t.Context(), "CREATE DATABASE "+database)
	require.NoError(t, err)
	addr := lastingAddr(t)
	issuer = "http://" + addr
	return program, issuer, []string{"-addr", addr, "-issuer", issuer, "-data", filepath.Join(t.TempDir(), "data"),
		"-dsn", strings.Replace(postgresDSN(t), "dbname=postgres", "dbname="+database, 1)}
}

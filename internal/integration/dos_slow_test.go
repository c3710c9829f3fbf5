package integration_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDenialOfServiceBySlowness holds connections to the example of a production host. How
// long they are held is the subject, so this takes as long as its timeouts.
func TestDenialOfServiceBySlowness(t *testing.T) {
	t.Parallel()
	if withoutEngine("postgresql") {
		return
	}
	program, issuer, args := buildProduction(t, "slow")
	p := proofProcess{
		command: func() (*exec.Cmd, error) { return mortalCommand(program, args...), nil },
		ready:   func(ctx context.Context) error { return ask(ctx, issuer+"/readyz") },
	}
	require.NoError(t, p.start())
	t.Cleanup(func() {
		log, err := p.end()
		require.NoError(t, err, log)
	})

	t.Run("D04 500 slow connections of each kind stop nobody, and are closed", func(t *testing.T) { slowConnections(t, issuer) })
	t.Run("D04 headers that are too long, or too many", func(t *testing.T) { oversizedHeaders(t, issuer) })
}

func slowConnections(t *testing.T, issuer string) {
	t.Helper()
	addr := strings.TrimPrefix(issuer, "http://")
	head := "POST /token HTTP/1.1\r\nHost: " + addr + "\r\nContent-Type: application/x-www-form-urlencoded\r\n"
	kinds := map[string]string{
		"headers":           "GET / HTTP/1.1\r\nHost: " + addr + "\r\nX-Slow: ",
		"bodies":            head + "Content-Length: 1000\r\n\r\ngrant_type=",
		"bodies in chunks":  head + "Transfer-Encoding: chunked\r\n\r\n1\r\ng\r\n",
		"bodies that begin": head + "Content-Length: 1000\r\n\r\n",
	}
	held := make(map[string][]net.Conn)
	for kind, begin := range kinds {
		for range 500 {
			conn, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			t.Cleanup(func() { conn.Close() })
			_, err = conn.Write([]byte(begin))
			require.NoError(t, err)
			held[kind] = append(held[kind], conn)
		}
	}
	begun := time.Now()
	productionTokens(t, issuer, url.Values{
		"grant_type": {"authorization_code"}, "code": {productionCode(t, issuer)}, "code_verifier": {proofVerifier},
	})
	served := time.Since(begun)
	deadline := begun.Add(time.Minute) // of a machine that does other things
	for kind, conns := range held {
		for _, conn := range conns {
			require.NoError(t, conn.SetReadDeadline(deadline))
			_, err := io.ReadAll(conn)
			require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the server still waits for "+kind)
		}
	}
	t.Logf("a client got its tokens in %v, and the last of %d connections was closed after %v",
		served.Round(time.Millisecond), 500*len(kinds), time.Since(begun).Round(time.Millisecond))
}

func oversizedHeaders(t *testing.T, issuer string) {
	t.Helper()
	for name, long := range map[string]func(http.Header){
		"long": func(h http.Header) { h.Set("X-Long", strings.Repeat("x", 128<<10)) },
		"many": func(h http.Header) {
			for i := range 10_000 {
				h.Set(fmt.Sprint("X-", i), "x")
			}
		},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, issuer+"/authorize", nil)
		require.NoError(t, err)
		long(r.Header)
		resp, err := http.DefaultClient.Do(r)
		require.NoError(t, err, name)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, resp.StatusCode, name)
	}
}

package integration_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// builtToxiproxy builds the program, once.
var builtToxiproxy = sync.OnceValues(func() (string, error) {
	folder, err := engineFolder()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "install", "github.com/Shopify/toxiproxy/v2/cmd/server@v2.5.0")
	cmd.Env = append(os.Environ(), "GOBIN="+folder)
	if out, err := cmd.CombinedOutput(); err != nil {
		return string(out), err
	}
	return filepath.Join(folder, "server"), nil
})

// A toxiproxy stands between a server and its database. It runs as a process of its own.
type toxiproxy struct {
	t      *testing.T
	api    string // URL of the proxy in its API
	listen string // where the database seems to be
}

func newToxiproxy(t *testing.T, upstream string) *toxiproxy {
	t.Helper()
	program, err := builtToxiproxy()
	require.NoError(t, err, program)
	addr := lastingAddr(t)
	host, port, _ := strings.Cut(addr, ":")
	p := proofProcess{
		command: func() (*exec.Cmd, error) { return mortalCommand(program, "-host", host, "-port", port), nil },
		ready:   func(ctx context.Context) error { return ask(ctx, "http://"+addr+"/version") },
	}
	require.NoError(t, p.start())
	t.Cleanup(p.kill)
	proxy := &toxiproxy{t: t, api: "http://" + addr + "/proxies"}
	proxy.listen = lastingAddr(t)
	proxy.call(http.MethodPost, "", map[string]any{"name": "database", "listen": proxy.listen, "upstream": upstream, "enabled": true})
	proxy.api += "/database"
	return proxy
}

// call is a request to the API.
func (p *toxiproxy) call(method, path string, body any) {
	p.t.Helper()
	text, err := json.Marshal(body)
	require.NoError(p.t, err)
	r, err := http.NewRequestWithContext(p.t.Context(), method, p.api+path, bytes.NewReader(text))
	require.NoError(p.t, err)
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	require.NoError(p.t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(p.t, err)
	require.Less(p.t, resp.StatusCode, 300, string(answer))
}

// enable lets connections through, or refuses new ones and cuts those that there are.
func (p *toxiproxy) enable(enabled bool) {
	p.t.Helper()
	p.call(http.MethodPost, "", map[string]any{"enabled": enabled})
}

// poison does to all connections what the documentation of Toxiproxy says of a toxic.
func (p *toxiproxy) poison(toxic, stream string, attributes map[string]int) {
	p.t.Helper()
	p.call(http.MethodPost, "/toxics", map[string]any{"name": "it", "type": toxic, "stream": stream, "attributes": attributes})
}

func (p *toxiproxy) heal() {
	p.t.Helper()
	p.call(http.MethodDelete, "/toxics/it", nil)
}

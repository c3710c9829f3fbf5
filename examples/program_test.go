package examples_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	_ "github.com/authwright/authwright"
)

// programs is where TestMain leaves the examples that have a port to choose.
var programs string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		log.Fatal(err)
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "examples")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := build(dir, "./quickstart", "./mux"); err != nil {
		return 0, err
	}
	programs = dir
	return m.Run(), nil
}

func build(dir string, args ...string) error {
	cmd := exec.Command("go", append([]string{"build", "-o", dir + "/"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// read reads what an example is made of. The go command repeats a remembered result
// unless a file that a test has read, or a package that it imports, has changed.
func read(t *testing.T, example string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(example, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			_, err = os.ReadFile(path)
		}
		return err
	}))
}

// start runs an example on a free port until the test ends, and returns the address that
// it asks its user to open. Interrupted, it must end well.
func start(t *testing.T, example string) string {
	t.Helper()
	read(t, example)
	cmd := exec.Command(filepath.Join(programs, example), "-addr", "127.0.0.1:0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Errorf("%s ended early: %v", example, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", example, err)
		}
		if t.Failed() {
			t.Logf("%s said: %s", example, stderr.String())
		}
	})
	address := regexp.MustCompile(`open +(http://localhost:\d+)`)
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if found := address.FindStringSubmatch(lines.Text()); found != nil {
			return found[1]
		}
	}
	require.FailNow(t, "the program did not say what to open")
	return ""
}

// startHello runs examples/hello as it stands in the README, but for the port, which
// another program may have.
func startHello(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	addr := listener.Addr().String()
	require.NoError(t, listener.Close())
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)

	file, err := filepath.Abs("hello/main.go")
	require.NoError(t, err)
	source, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, 2, strings.Count(string(source), "localhost:8080"))
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "main.go"), filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(changed, []byte(strings.ReplaceAll(string(source), "localhost:8080", "localhost:"+port)), 0o600))
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{file: changed}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, replace, 0o600))

	require.NoError(t, build(dir, "-overlay", overlay, "./hello"))
	cmd := exec.Command(filepath.Join(dir, "hello"))
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("hello ended early: %v", err)
		}
		_ = cmd.Wait() // it has no other way to end
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			err = conn.Close()
		}
		return err == nil
	}, 10*time.Second, 10*time.Millisecond, "hello does not listen on %s", addr)
	return "http://localhost:" + port
}

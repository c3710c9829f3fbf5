package integration_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// buildTarget builds the program for the subtests of t.
func buildTarget(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "target")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", name, "./target").CombinedOutput()
	require.NoError(t, err, string(out))
	return name
}

// writeTargetConfig writes cfg into a file.
func writeTargetConfig(t *testing.T, cfg map[string]any) string {
	t.Helper()
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	name := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(name, text, 0o600))
	return name
}

// startTarget starts the program on a free port, where issuer, less its host, is
// served, and returns the issuer. The process ends with t, and must then have kept its
// promises: one line of output, a log of JSON without secrets, and an orderly end.
func startTarget(t *testing.T, program, scheme, path string, cfg map[string]any) (issuer string) {
	t.Helper()
	addr := freeTargetAddr(t)
	issuer = scheme + "://" + addr + path
	cfg["addr"], cfg["issuer"] = addr, issuer

	cmd := exec.Command(program, writeTargetConfig(t, cfg))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	output := bufio.NewReader(stdout)
	t.Cleanup(func() {
		watchdog := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer watchdog.Stop()
		cmd.Process.Signal(syscall.SIGTERM)
		rest, _ := io.ReadAll(output)
		require.NoError(t, cmd.Wait(), stderr.String())
		require.Empty(t, string(rest))
		requireTargetLog(t, stderr.String())
	})
	watchdog := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer watchdog.Stop()
	line, err := output.ReadString('\n')
	require.NoError(t, err, "the target did not start")
	require.Equal(t, "listening on "+issuer+"\n", line)
	return issuer
}

func requireTargetLog(t *testing.T, log string) {
	t.Helper()
	require.NotEmpty(t, log)
	for line := range strings.Lines(log) {
		require.True(t, json.Valid([]byte(line)), line)
	}
	for _, secret := range []string{targetPassword, targetSecret} {
		require.NotContains(t, log, secret)
	}
}

func freeTargetAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

// targetCertificate makes a certificate for this machine, as the tls member of a
// configuration, and a transport that trusts it.
func targetCertificate(t *testing.T) (files map[string]string, transport *http.Transport) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)

	dir := t.TempDir()
	files = map[string]string{"cert": filepath.Join(dir, "cert.pem"), "key": filepath.Join(dir, "key.pem")}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	require.NoError(t, os.WriteFile(files["cert"], certPEM, 0o600))
	require.NoError(t, os.WriteFile(files["key"], pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	transport = http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig.RootCAs = x509.NewCertPool()
	require.True(t, transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(certPEM))
	return files, transport
}

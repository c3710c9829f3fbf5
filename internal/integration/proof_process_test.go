package integration_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A proofProcess is a program that tests kill and start again.
type proofProcess struct {
	command func() (*exec.Cmd, error)
	ready   func(context.Context) error

	process *os.Process
	output  *os.File      // of a name that is gone already
	exited  chan struct{} // closed when ended is set
	ended   error
}

// mortalCommand is a command that ends with this process.
func mortalCommand(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start returns when the program is ready.
func (p *proofProcess) start() error {
	cmd, err := p.command()
	if err != nil {
		return err
	}
	if p.output != nil {
		p.output.Close()
	}
	if p.output, err = os.CreateTemp("", "output"); err != nil {
		return err
	}
	if err := os.Remove(p.output.Name()); err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	started, exited := make(chan error), make(chan struct{})
	engines.stopped.Go(func() {
		runtime.LockOSThread() // it is the parent of Pdeathsig
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			p.ended = cmd.Wait()
		}
	})
	if err := <-started; err != nil {
		return err
	}
	engines.Lock()
	engines.processes = append(engines.processes, cmd.Process)
	engines.Unlock()
	p.process, p.exited = cmd.Process, exited
	if err := p.await(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd.Path, err, p.log())
	}
	return nil
}

// log is what the program has printed so far, or the beginning of that.
func (p *proofProcess) log() string {
	text := make([]byte, 64<<10)
	n, _ := p.output.ReadAt(text, 0)
	return string(text[:n])
}

func (p *proofProcess) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for {
		err := p.ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.exited:
			return errors.New("it has exited")
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// end asks the program to end, and returns what it had to say in the end.
func (p *proofProcess) end() (log string, err error) {
	if err := p.process.Signal(syscall.SIGTERM); err != nil {
		return "", err
	}
	<-p.exited
	return p.log(), p.ended
}

// kill is kill -9, of the program and of what it has started. It returns when they are
// gone.
func (p *proofProcess) kill() {
	select {
	case <-p.exited:
		return // its number may be somebody else's by now
	default:
	}
	_ = p.process.Signal(syscall.SIGSTOP) // lest it starts more
	children := p.children()
	_ = p.process.Kill()
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	<-p.exited
	for _, child := range children {
		for alive(child) {
			<-time.After(time.Millisecond)
		}
	}
}

// children are the processes that the program has started.
func (p *proofProcess) children() (pids []int) {
	list, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", p.process.Pid))
	for text := range strings.FieldsSeq(string(list)) {
		if pid, err := strconv.Atoi(text); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// alive reports whether a process, which need not be a child, has not died yet.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(text), ") Z ")
}

// A replica is a target process that shares its storage with others.
type replica struct {
	proofProcess
	url string
}

// startReplicas starts n targets on one storage.
func startReplicas(t *testing.T, n int, storage string) []*replica {
	t.Helper()
	program := buildTarget(t)
	issuer := "http://" + lastingAddr(t)
	replicas := make([]*replica, n)
	for i := range replicas {
		addr := lastingAddr(t)
		file := writeTargetConfig(t, replicaConfig(issuer, addr, storage))
		r := &replica{url: "http://" + addr}
		r.command = func() (*exec.Cmd, error) { return mortalCommand(program, file), nil }
		r.ready = func(ctx context.Context) error { return ask(ctx, r.url+"/.well-known/oauth-authorization-server") }
		require.NoError(t, r.start())
		t.Cleanup(r.kill)
		replicas[i] = r
	}
	return replicas
}

// lastingAddr is a free address that stays free while nobody listens there: it is not
// among those that Linux gives to outgoing connections, which freeTargetAddr takes.
func lastingAddr(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprint("127.0.0.1:", 20_000+rand.IntN(10_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			require.NoError(t, l.Close())
			return addr
		}
	}
	require.Fail(t, "no free port")
	return ""
}

const (
	proofSecret    = "a client secret that was drawn at random"
	proofRedirect  = "https://web.example/cb"
	proofVerifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	proofChallenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// replicaConfig makes every request to the authorization endpoint answer with a code.
// Lifetimes are as long as they may be, so that no outage outlasts one.
func replicaConfig(issuer, addr, storage string) map[string]any {
	return map[string]any{
		"addr": addr, "issuer": issuer, "storage": storage,
		"clients": []any{map[string]any{
			"client_id": "web", "client_secret": proofSecret, "redirect_uris": []string{proofRedirect},
		}},
		"users":      []any{map[string]any{"sub": "u1", "username": "alice"}},
		"scopes":     map[string]string{"read": "Read your notes"},
		"lifetimes":  map[string]string{"code": "10m", "refresh_grace": "5m"},
		"auto_login": "alice", "auto_consent": true,
	}
}

func ask(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// packages says what to install for a program that is missing.
var packages = map[string]string{
	"initdb": "postgresql-15", "postgres": "postgresql-15", "pgbench": "postgresql-15",
	"redis-server": "redis-server", "redis-benchmark": "redis-tools",
}

// An engine is a database server in a temporary folder. Its zero value is none.
type engine struct {
	folder  string
	cores   string // that it runs on; empty for all
	process *os.Process
	exited  chan struct{}
}

// nobody is whom PostgreSQL runs as if this runs as root, which it refuses.
const nobody = 65534

// command finds a program where Debian keeps it.
func command(program string, args ...string) (*exec.Cmd, error) {
	path, err := exec.LookPath(program)
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + program); len(found) > 0 {
		path, err = found[len(found)-1], nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: apt-get install %s", err, packages[program])
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = os.TempDir()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	}
	return cmd, nil
}

// run runs a program on cores to its end and returns what it printed and its processor time.
func run(cores, program string, args ...string) (string, time.Duration, error) {
	cmd, err := command(program, args...)
	if err != nil {
		return "", 0, err
	}
	pin(cmd, cores)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", 0, fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	return string(out), cpu(cmd), nil
}

// newEngine makes the folder of an engine that runs on cores.
func newEngine(cores string) (*engine, error) {
	folder, err := os.MkdirTemp("", "load")
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(folder, nobody, nobody)
	}
	return &engine{folder: folder, cores: cores}, err
}

// start starts a server and returns when ready says that it answers.
func (e *engine) start(ready func() error, program string, args ...string) error {
	cmd, err := command(program, args...)
	if err != nil {
		return err
	}
	pin(cmd, e.cores)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	started := make(chan error)
	e.exited = make(chan struct{})
	go func() {
		runtime.LockOSThread() // it is the parent of Pdeathsig
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(e.exited)
	}()
	if err := <-started; err != nil {
		return err
	}
	e.process = cmd.Process
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-e.exited:
			return errors.New(out.String())
		default:
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// stop stops the server and deletes what it kept.
func (e *engine) stop() {
	if e.process != nil {
		_ = e.process.Signal(syscall.SIGQUIT) // PostgreSQL would let clients finish after SIGTERM
		<-e.exited
	}
	if e.folder != "" {
		_ = os.RemoveAll(e.folder)
	}
}

// freePort returns a port that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

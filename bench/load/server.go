package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/bench/subject"
)

// serve is the server process. It prints its address when it is ready and ends with its
// standard input.
func serve(dsn string, connections int) error {
	storage, err := openStorage(dsn, connections)
	if err != nil {
		return err
	}
	h, err := handler(storage)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	failed := make(chan error, 1)
	go func() { failed <- http.Serve(l, h) }()
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		failed <- err
	}()
	return <-failed
}

// handler is the authorization server, and an empty handler to compare it with.
func handler(storage authwright.Storage) (http.Handler, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	srv, err := subject.New(storage, key)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", srv)
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	return mux, nil
}

// A server is a server process.
type server struct {
	addr string
	stop func()
}

// keepAway moves this process to the cores that no server process has, if there are any.
func keepAway(processes int) {
	first, last := processes, runtime.NumCPU()-1
	if path, err := exec.LookPath("taskset"); err == nil && first <= last {
		// It costs exactness if it fails, not correctness.
		_ = exec.Command(path, "-a", "-c", "-p", fmt.Sprintf("%d-%d", first, last), strconv.Itoa(os.Getpid())).Run()
	}
}

// startServer starts server process i on one core, which is its own if there is taskset.
func startServer(i int, dsn string, connections int) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{self, "-serve", dsn, "-connections", strconv.Itoa(connections)}
	if path, err := exec.LookPath("taskset"); err == nil {
		args = append([]string{path, "-c", strconv.Itoa(i % runtime.NumCPU())}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for the parent, whose end it sees
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{stop: func() {
		_ = in.Close()
		_ = cmd.Wait()
	}}
	addr, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("server process %d: %w", i, err)
	}
	s.addr = strings.TrimSpace(addr)
	return s, nil
}

package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/authwright/authwright/bench/subject"
)

// serve is the server process. It prints its address when it is ready and ends with its
// standard input.
func (o *options) serve() error {
	h, err := o.handler()
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
func (o *options) handler() (http.Handler, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	if o.server != authwrightName {
		peer, err := findPeer(o.server)
		if err != nil {
			return nil, err
		}
		s, err := peer.New("ES256", key)
		if err != nil {
			return nil, err
		}
		mux.Handle("/authorize", s.Authorize)
		mux.Handle("/token", s.Token)
		return mux, nil
	}
	storage, err := o.openStorage()
	if err != nil {
		return nil, err
	}
	srv, err := subject.New(storage, key)
	mux.Handle("/", srv)
	return mux, err
}

// A server is a server process.
type server struct {
	addr string
	stop func()
}

// startServer starts server process i.
func (o *options) startServer(ctx context.Context, i int, dsn string) (*server, error) {
	cmd, err := o.childCommand(ctx, "serve", i, dsn)
	if err != nil {
		return nil, err
	}
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

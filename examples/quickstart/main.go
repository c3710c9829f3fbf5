// Quickstart is an authorization server, a client application and a protected API in
// one program. Its page walks through the authorization-code flow and shows what is
// really sent at each step.
//
//	go run ./examples/quickstart
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/authwright/authwright"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on; with port 0 any free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *addr, os.Stdout)
	stop()
	if err != nil {
		log.Fatalf("quickstart: %v", err)
	}
}

const banner = `
  authwright quickstart

    open     %s
    sign in  alice / wonderland, or bob / builder

  Ctrl+C stops it.

`

// run serves until ctx ends.
func run(ctx context.Context, addr string, out io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	issuer := issuerFor(listener.Addr())
	storage, err := newStorage(issuer)
	if err != nil {
		return err
	}
	handler, err := newHandler(issuer, storage)
	if err != nil {
		return err
	}
	// Without these a few hundred connections that say nothing stop a server.
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		// A browser holds connections open that it may never use. They do not
		// keep the program.
		last, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		err := server.Shutdown(last)
		if errors.Is(err, context.DeadlineExceeded) {
			err = server.Close()
		}
		stopped <- err
	})
	go sweep(ctx, storage)
	fmt.Fprintf(out, banner, issuer)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// issuerFor names the server by localhost, whatever address of this machine it
// listens on. Browsers leave the port of plain HTTP out.
func issuerFor(addr net.Addr) string {
	_, port, err := net.SplitHostPort(addr.String())
	if err != nil || port == "80" {
		return "http://localhost"
	}
	return "http://localhost:" + port
}

// sweep deletes what has expired, which the storage does not do by itself.
func sweep(ctx context.Context, storage *authwright.Memory) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if _, err := storage.DeleteExpired(ctx, now, 0); err != nil {
				log.Printf("quickstart: deleting what has expired: %v", err)
			}
		}
	}
}

// Mcp is an application that was there before, a notebook on the web, which becomes an
// authorization server and a protected MCP server: oauth.go and tools.go are all it takes.
//
//	go run .
//
// Give an MCP client the URL that is printed. It finds its own way: from the MCP server to
// the authorization server, which it has never heard of and which has never heard of it,
// through login and consent, and back with a token. It asks for a second scope when it
// first needs one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/authwright/authwright"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on; with port 0 any free one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *addr)
	stop()
	if err != nil {
		log.Fatalf("mcp: %v", err)
	}
}

func run(ctx context.Context, addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	origin := "http://" + listener.Addr().String()
	site := newSite()
	cfg, err := newConfig(origin, site)
	if err != nil {
		return err
	}
	handler, err := newHandler(cfg, site)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	context.AfterFunc(ctx, func() { server.Close() })
	fmt.Printf("the notebook is at %s, for alice with wonderland\nconnect an MCP client to %s\n", origin, origin+pathMCP)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newHandler is where the three meet.
func newHandler(cfg authwright.Config, site *site) (http.Handler, error) {
	srv, err := authwright.NewServer(cfg)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	site.register(mux)
	srv.Register(mux)
	registerMCP(mux, srv, cfg.Issuer, site)
	return mux, nil
}

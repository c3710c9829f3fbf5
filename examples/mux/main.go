// Mux is an application that was there before: it has its own mux, sessions, login page
// and look. An authorization server is mounted in it below /oauth, and speaks with the
// application's own pages.
//
//	go run ./examples/mux
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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
		log.Fatalf("mux: %v", err)
	}
}

func run(ctx context.Context, addr string) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return err
	}
	origin := "http://localhost:" + port
	handler, err := newHandler(origin)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	context.AfterFunc(ctx, func() { server.Close() })
	fmt.Printf("open %s and sign in as alice with wonderland\n", origin)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newHandler is where the two meet.
func newHandler(origin string) (http.Handler, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	storage, err := authwright.NewMemory(&authwright.Client{
		ID:           "reader",
		Name:         "Pocket Reader",
		RedirectURIs: []string{"http://127.0.0.1/callback"},
		Scopes:       []string{"books:read", "books:lend"},
	})
	if err != nil {
		return nil, err
	}
	site := newSite(storage)
	srv, err := authwright.NewServer(authwright.Config{
		Issuer:        origin + "/oauth",
		Storage:       storage,
		Authenticator: site,
		Consent:       site,
		SigningKeys:   []authwright.SigningKey{{Signer: key}},
		Claims:        site.claims,
		Scopes: []authwright.Scope{
			{Name: "books:read", Description: "See the books on your shelf"},
			{Name: "books:lend", Description: "Lend your books to others"},
		},
		Index: storage,
	})
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /", site.serveShelf) // also what is not found
	mux.HandleFunc("GET /login", site.serveForm)
	mux.HandleFunc("POST /login", site.serveLogin)
	mux.HandleFunc("GET /apps", site.serveApps)
	mux.Handle("POST /apps/disconnect", site.disconnect(srv))
	srv.Register(mux)

	// The application's protection against forged forms is not for the server, which
	// brings its own, nor for clients that call it without a browser.
	csrf := http.NewCrossOriginProtection()
	for _, path := range srv.Paths() {
		csrf.AddInsecureBypassPattern(path)
	}
	return csrf.Handler(mux), nil
}

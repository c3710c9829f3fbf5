// Target is an authorization server that a file describes, for test suites that come
// from elsewhere and know nothing of this module.
//
//	target CONFIG.json
//
// It prints one line, "listening on ISSUER", when it is ready, logs to standard error
// as JSON, and stops on SIGINT and SIGTERM. A file with every member:
//
//	{
//		"addr": "127.0.0.1:9000",
//		"issuer": "https://localhost:9000",
//		"tls": {"cert": "cert.pem", "key": "key.pem"},
//		"profile": "oauth21",
//		"storage": "memory",
//		"clients": [{
//			"client_id": "web",
//			"client_secret": "web-secret",
//			"client_name": "Web Notes",
//			"redirect_uris": ["https://client.example/callback"],
//			"token_endpoint_auth_method": "client_secret_basic",
//			"grant_types": ["authorization_code", "refresh_token"],
//			"response_types": ["code"],
//			"scope": "read write",
//			"application_type": "web"
//		}],
//		"users": [{
//			"sub": "u1", "username": "alice", "password": "wonderland",
//			"claims": {"email": "alice@example.com"}
//		}],
//		"resources": ["https://api.example", {"id": "https://mail.example", "scopes": ["read"]}],
//		"scopes": {"read": "Read your notes", "write": "Change your notes"},
//		"lifetimes": {"code": "1m", "access_token": "10m", "refresh_token": "336h", "refresh_grace": "30s"},
//		"auto_login": "alice",
//		"auto_consent": true,
//		"openid": true,
//		"registration": true,
//		"initial_access_token": "token",
//		"fetch_roots": "suite.pem"
//	}
//
// A client may also have jwks, jwks_uri, token_endpoint_auth_signing_alg,
// id_token_signed_response_alg, post_logout_redirect_uris, backchannel_logout_uri,
// client_uri, policy_uri, tos_uri and, which is not of RFC 7591, insecure_without_pkce.
//
// Only addr and issuer are required, and a member that is not among these is an error.
// What is left out has the default of the library. A client without scope may ask for
// all scopes there are, and without token_endpoint_auth_method it may send its secret
// either way. All claims of a user go into the access token. The login page is a form at
// /login with the fields username and password.
//
// profile is oauth21 or mcp. storage is memory, postgres://…, sqlite:FILE,
// mysql:// and the data source name of github.com/go-sql-driver/mysql, or
// redis://host:port,… with one address for a server and several for a Cluster. Tables are
// made if they are not there.
//
// OpenID Connect is on if the scopes have openid among them, unless the member openid
// says otherwise. The userinfo endpoint then tells the user's claims, too, as far as the
// scopes cover them, and logging out ends the session. With registration clients may
// register themselves, for which initial_access_token is needed if it is there, or be
// documents on the web. What clients refer to is fetched from https addresses that the
// system trusts, or the certificates of the file fetch_roots; if the issuer is on the
// loopback interface, from there, too.
//
// With auto_login whoever comes is signed in as that user, and with auto_consent the
// user approves of everything. With both, one request to the authorization endpoint is
// answered with a code, even to a client that keeps no cookies.
package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, log, os.Stdout, os.Args[1:])
	stop()
	if err != nil {
		log.Error("target: stopped", slog.Any("error", err))
		os.Exit(1)
	}
}

// run serves what the file in args says until ctx ends.
func run(ctx context.Context, log *slog.Logger, stdout io.Writer, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: target CONFIG.json")
	}
	cfg, err := readConfig(args[0])
	if err != nil {
		return err
	}
	store, err := openStorage(ctx, cfg.Storage)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	defer store.Close()
	t, err := newTarget(ctx, cfg, store, log)
	if err != nil {
		return err
	}
	sweeping, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { t.sweep(sweeping) })
	defer wg.Wait()
	defer stop()
	err = serve(ctx, cfg, t, log, stdout)
	telling, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, t.server.Close(telling))
}

// serve serves h until ctx ends, and then what has begun.
func serve(ctx context.Context, cfg *config, h http.Handler, log *slog.Logger, stdout io.Writer) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	start := server.Serve
	if cfg.TLS != nil {
		cert, err := tls.LoadX509KeyPair(cfg.TLS.Cert, cfg.TLS.Key)
		if err != nil {
			return fmt.Errorf("tls: %w", err)
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		start = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return fmt.Errorf("addr: %w", err)
	}
	// From here on the kernel takes connections, so whoever waits for the line may come.
	if _, err := fmt.Fprintf(stdout, "listening on %s\n", cfg.Issuer); err != nil {
		return errors.Join(err, listener.Close())
	}
	ended := make(chan error, 1)
	go func() { ended <- start(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}

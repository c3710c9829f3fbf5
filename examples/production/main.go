// Production is an authorization server as one would run it: grants, users and sessions in
// PostgreSQL, or in a SQLite file when no DSN is given; signing keys in files, rotated;
// structured logs, OpenTelemetry traces and metrics, health endpoints and a graceful end.
//
//	go run . -dsn postgres://app:secret@db.example/app -issuer https://auth.example.com
//
// Without flags it serves http://localhost:8080 from the folder ./data.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/resource"
	"github.com/authwright/authwright/sqlstore"
)

type options struct {
	addr, issuer, dsn, data, telemetry string
}

func main() {
	var o options
	flag.StringVar(&o.addr, "addr", "127.0.0.1:8080", "address to listen on")
	flag.StringVar(&o.issuer, "issuer", "http://localhost:8080", "public URL of the server")
	flag.StringVar(&o.dsn, "dsn", "", "PostgreSQL data source name; empty means SQLite in the data folder")
	flag.StringVar(&o.data, "data", "data", "folder for the signing keys and for SQLite")
	flag.StringVar(&o.telemetry, "telemetry", "", "where traces and metrics go: stdout, or an OTLP/HTTP endpoint's URL; empty means nowhere")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	logger := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	if err := run(ctx, o, logger); err != nil {
		logger.Error("stopped", "error", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, o options, logger *slog.Logger) (err error) {
	if err := os.MkdirAll(o.data, 0o700); err != nil {
		return err
	}
	tel, err := newTelemetry(ctx, o.telemetry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tel.shutdown()) }()

	db, dialect, err := open(o)
	if err != nil {
		return err
	}
	defer db.Close()
	store, err := sqlstore.New(db, sqlstore.Config{Dialect: dialect})
	if err != nil {
		return err
	}
	if err := store.Migrate(ctx); err != nil {
		return err
	}
	if err := seed(ctx, store); err != nil {
		return err
	}
	accounts := &accounts{db: db}
	if err := accounts.migrate(ctx); err != nil {
		return err
	}
	keys := &keyFiles{dir: filepath.Join(o.data, "keys"), every: 30 * 24 * time.Hour}
	signing, err := keys.load(time.Now())
	if err != nil {
		return err
	}
	srv, err := authwright.NewServer(authwright.Config{
		Issuer:        o.issuer,
		Storage:       store,
		Index:         store,
		Authenticator: authwright.LoginRedirect("/login", "next", accounts.currentUser),
		SigningKeys:   signing,
		Claims:        accounts.claims,
		Scopes: []authwright.Scope{
			{Name: "notes:read", Description: "Read your notes"},
			{Name: "notes:write", Description: "Write notes for you"},
		},
		OnEvent: tel.event,
		Logger:  logger,
	})
	if err != nil {
		return err
	}
	go housekeeping(ctx, logger, store, accounts, func(now time.Time) error {
		signing, err := keys.load(now)
		if err != nil {
			return err
		}
		return srv.SetSigningKeys(signing...)
	})
	return serve(ctx, o.addr, tel.middleware(handler(o, srv, accounts, db)), srv, logger)
}

func handler(o options, srv *authwright.Server, accounts *accounts, db *sql.DB) http.Handler {
	mux := http.NewServeMux()
	srv.Register(mux)
	mux.HandleFunc("GET /login", accounts.loginPage)
	mux.HandleFunc("POST /login", accounts.login)
	mux.HandleFunc("POST /logout", accounts.logout)

	api := &resource.Verifier{Issuer: o.issuer, Audience: o.issuer, Keys: srv.JWKS}
	mux.Handle("GET /api/notes", api.Require("notes:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "the notes of %s\n", resource.FromContext(r.Context()).Subject)
	})))

	// Alive means that the process answers; ready, that it can do its work.
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if err := db.PingContext(ctx); err != nil {
			http.Error(w, "the database does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})

	// The host's own forms are protected here; the server protects its own.
	protect := http.NewCrossOriginProtection()
	for _, path := range srv.Paths() {
		protect.AddInsecureBypassPattern(path)
	}
	return protect.Handler(mux)
}

// serve ends gracefully: it lets requests finish, and then what they have begun.
func serve(ctx context.Context, addr string, h http.Handler, srv *authwright.Server, logger *slog.Logger) error {
	s := &http.Server{
		Addr:              addr,
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- s.ListenAndServe() }()
	logger.Info("serving", "addr", addr)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	logger.Info("stopping")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	err := s.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		// A browser's spare connections are not worth waiting for.
		err = s.Close()
	}
	return errors.Join(err, srv.Close(context.WithoutCancel(ctx)))
}

// housekeeping deletes what has expired and rotates keys, until ctx ends. Every replica may
// do so.
func housekeeping(ctx context.Context, logger *slog.Logger, store *sqlstore.Store, accounts *accounts, rotate func(time.Time) error) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			_, err := store.DeleteExpired(ctx, now, 1000)
			if err := errors.Join(err, accounts.deleteExpired(ctx, now), rotate(now)); err != nil && ctx.Err() == nil {
				logger.Error("housekeeping", "error", err)
			}
		}
	}
}

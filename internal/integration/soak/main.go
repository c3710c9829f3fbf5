// Soak is one of several authorization servers that a soak test kills, starts again and
// asks how they are.
//
//	soak CONFIG.json
//
// It serves until it is killed. Its clock is wrong by what the file says, and its keys
// change at the times that the file says, so that all servers agree on them without
// talking to each other. GET /soak tells what it takes of its machine.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/authwright/authwright"
)

type config struct {
	Addr    string               `json:"addr"`
	Issuer  string               `json:"issuer"`
	Storage string               `json:"storage"` // postgres://… or redis://…
	Clients []*authwright.Client `json:"clients"`

	Skew     time.Duration `json:"skew"` // of this server's clock
	Began    time.Time     `json:"began"`
	Rotation time.Duration `json:"rotation"` // a key signs for so long

	Code    time.Duration `json:"code"` // lifetimes
	Access  time.Duration `json:"access"`
	Refresh time.Duration `json:"refresh"`
	Grace   time.Duration `json:"grace"`
	Request time.Duration `json:"request"`
}

func (c *config) now() time.Time { return time.Now().Add(c.Skew) }

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(context.Background(), log, os.Args[1:]); err != nil {
		log.Error("soak: stopped", slog.Any("error", err))
		os.Exit(1)
	}
}

func run(ctx context.Context, log *slog.Logger, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: soak CONFIG.json")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var cfg config
	if err := json.Unmarshal(text, &cfg); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	store, err := openStorage(ctx, &cfg)
	if err != nil {
		return err
	}
	srv, err := authwright.NewServer(authwright.Config{
		Issuer: cfg.Issuer, Storage: store, SigningKeys: cfg.keys(cfg.now()),
		Authenticator: authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) {
			return &authwright.User{Subject: "user" + strconv.Itoa(rand.IntN(1000)), AuthTime: cfg.now()}, nil
		}),
		CodeLifetime: cfg.Code, AccessTokenLifetime: cfg.Access, RefreshTokenLifetime: cfg.Refresh,
		RefreshGrace: cfg.Grace, RequestTimeout: cfg.Request,
		Logger: log, Now: cfg.now,
	})
	if err != nil {
		return err
	}
	go every(ctx, 5*time.Second, func() { store.sweep(ctx, log, cfg.now()) })
	go cfg.rotate(ctx, log, srv)
	return serve(ctx, &cfg, srv, store, log)
}

func serve(ctx context.Context, cfg *config, srv *authwright.Server, store *storage, log *slog.Logger) error {
	mux := http.NewServeMux()
	srv.Register(mux)
	var open connections
	mux.HandleFunc("GET /soak", func(w http.ResponseWriter, _ *http.Request) {
		if err := json.NewEncoder(w).Encode(takeStock(&open, store)); err != nil {
			log.Warn("soak: the stock was not delivered", slog.Any("error", err))
		}
	})
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return err
	}
	// Clients give up idle connections, and those that they never used, sooner than this:
	// whoever sends a request while the other side gives up does not get an answer.
	h := http.Server{
		Handler: mux, ConnState: open.changed, ReadHeaderTimeout: time.Minute, ReadTimeout: time.Minute,
		WriteTimeout: time.Minute, IdleTimeout: time.Minute,
	}
	return h.Serve(l)
}

// every calls f at intervals until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/authwright/authwright"
)

// A target is an authorization server in a host application of its own.
type target struct {
	*http.ServeMux
	server *authwright.Server
	host   *host
	store  *openedStorage
	log    *slog.Logger
}

func newTarget(ctx context.Context, cfg *config, store *openedStorage, log *slog.Logger) (*target, error) {
	for _, c := range cfg.Clients {
		registered, err := c.register(cfg.knownScopes())
		if err == nil {
			if cfg.AutoConsent {
				registered.Consent = authwright.ConsentSkip
			}
			err = store.addClient(ctx, registered)
		}
		if err != nil {
			return nil, fmt.Errorf("clients: %.64q: %w", c.ID, err)
		}
	}
	h, err := newHost(cfg.Issuer, cfg.Users)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	settings, err := cfg.settings(store, h, log)
	if err != nil {
		return nil, err
	}
	var auto automaton
	if cfg.AutoLogin != "" {
		settings.Authenticator = autoLogin{settings.Authenticator, &auto, h, h.byName[cfg.AutoLogin]}
	}
	if cfg.AutoConsent {
		settings.Consent = autoConsent{&auto}
	}
	srv, err := authwright.NewServer(settings)
	if err != nil {
		return nil, err
	}
	auto.server = srv
	mux := http.NewServeMux()
	srv.Register(mux)
	h.register(mux)
	return &target{mux, srv, h, store, log}, nil
}

// settings are those of the library.
func (c *config) settings(store *openedStorage, h *host, log *slog.Logger) (authwright.Config, error) {
	keys, err := newKeys()
	settings := authwright.Config{
		Issuer:               c.Issuer,
		Storage:              store,
		Index:                store,
		Authenticator:        authwright.LoginRedirect(loginPath, "next", h.currentUser),
		SigningKeys:          keys,
		Claims:               h.claims,
		Scopes:               c.Scopes,
		CodeLifetime:         time.Duration(c.Lifetimes.Code),
		AccessTokenLifetime:  time.Duration(c.Lifetimes.AccessToken),
		RefreshTokenLifetime: time.Duration(c.Lifetimes.RefreshToken),
		RefreshGrace:         time.Duration(c.Lifetimes.RefreshGrace),
		Logger:               log,
		OnEvent: func(ctx context.Context, e authwright.Event) {
			log.LogAttrs(ctx, slog.LevelInfo, "target: event", slog.String("type", string(e.Type)), slog.String("client", e.ClientID),
				slog.String("sub", e.Subject), slog.String("grant", e.GrantID), slog.Any("scopes", e.Scopes), slog.String("reason", e.Reason))
		},
	}
	for _, r := range c.Resources {
		settings.Resources = append(settings.Resources, authwright.Resource(r))
	}
	if err == nil {
		err = c.extend(&settings, store, h)
	}
	return settings, err
}

// newKeys returns a key for access tokens and, behind it, one that is only published:
// RS256 is what every client of OpenID Connect must understand.
func newKeys() ([]authwright.SigningKey, error) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	return []authwright.SigningKey{{Signer: ec, Algorithm: "ES256"}, {Signer: rs, Algorithm: "RS256"}}, nil
}

// sweep deletes what has expired, every minute until ctx ends.
func (t *target) sweep(ctx context.Context) {
	const limit = 1000
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			t.host.deleteExpired(now)
			for deleted := limit; deleted == limit; {
				var err error
				if deleted, err = t.store.DeleteExpired(ctx, now, limit); err != nil {
					t.log.ErrorContext(ctx, "target: expired records are still there", slog.Any("error", err))
					break
				}
			}
		}
	}
}

package authwright

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config is everything a [Server] needs from its host. The first four fields are
// required; every other field has a safe default or switches something on.
type Config struct {
	// Issuer is the server's public URL, without query, fragment or trailing
	// slash. Its path is where the server is mounted: endpoints are Issuer +
	// "/authorize", Issuer + "/token" and so on, whatever a request's Host says.
	// It must be https, except on the loopback addresses of a developer's machine.
	Issuer string

	// Storage keeps clients and grants.
	Storage Storage

	// Authenticator says who the user is.
	Authenticator Authenticator

	// SigningKeys sign tokens. The first decides with which algorithm access
	// tokens are signed; see [SigningKey] for rotation.
	SigningKeys []SigningKey

	// Profile settles contradictions between specifications. The zero value is
	// [OAuth21].
	Profile Profile

	// Consent draws the consent page. If nil, a plain built-in page is used.
	Consent ConsentRenderer

	// Claims, if set, returns claims to add to an access token: facts about the
	// user, or permissions. It runs for every token, refreshed ones included, so
	// what it returns is never older than the token. The Scopes and Resources of
	// g are those of this token; changes to g have no effect. A claim that the
	// protocol defines is an error. A Subject that is the ClientID says that the
	// client acts for itself, and no user is there. If it returns [ErrAccessDenied], the user may
	// not have tokens now, and the client is told invalid_grant.
	Claims func(ctx context.Context, g *Grant) (map[string]any, error)

	// Scopes are those the server knows, in the order of the consent page. Nil
	// means that what clients are registered with is not restricted further, and
	// that the metadata document lists none.
	Scopes []Scope

	// Resources are those that accept the server's tokens. A request that names
	// none gets the first that understands its scopes. Nil means one resource,
	// with the issuer as its ID.
	Resources []Resource

	// Index finds the grants of a user or a client, for [Server.RevokeSubject] and
	// [Server.RevokeClient]. Set it to the store; nil switches both off.
	Index Index

	// OpenID, if set, makes the server an OpenID Provider.
	OpenID *OpenID

	// ClientDocuments, if set, accepts clients that introduce themselves by a URL,
	// and Registration those that register. Nil means that clients are known
	// beforehand.
	ClientDocuments *ClientDocuments
	Registration    *Registration

	// RefuseReusedChallenges refuses a code_challenge or a nonce that a client has
	// sent before (RFC 9700, section 2.1.1), which shows clients that make up only
	// one. It costs a write or two for each code, and lets no request be approved
	// twice.
	RefuseReusedChallenges bool

	// OnEvent, if set, is called for what happens, once it has been stored. It
	// runs within the request, so it should be quick, and from many goroutines.
	OnEvent func(ctx context.Context, e Event)

	// Limit, if set, is asked before a client is authenticated, with the ID it
	// claims, and returns how long this caller must wait; zero lets it pass. A
	// server whose client secrets were chosen by people should have one
	// (RFC 6749, section 2.3.1); those of [NewSecret] cannot be guessed.
	Limit func(r *http.Request, clientID string) time.Duration

	// Source, if set, says where a request comes from, for counting what strangers
	// make the server store or fetch. Nil means the address of the connection,
	// which behind a proxy is the proxy's.
	Source func(r *http.Request) string

	// Documents that clients refer to are fetched from public https addresses.
	// FetchRoots are the certificate authorities trusted for that, nil for the
	// system's. InsecureFetchLoopback also allows addresses of this machine, to
	// which a stranger could then make the server connect: for development only.
	FetchRoots            *x509.CertPool
	InsecureFetchLoopback bool

	// CodeLifetime is how long a code can be redeemed: one minute if zero, ten
	// minutes at most.
	CodeLifetime time.Duration

	// AccessTokenLifetime is ten minutes if zero.
	AccessTokenLifetime time.Duration

	// A refresh token dies when it has not been used for RefreshTokenLifetime,
	// 14 days if zero, and in any case RefreshTokenMaxLifetime after its code was
	// redeemed, 90 days if zero. Rotation never extends the latter.
	RefreshTokenLifetime    time.Duration
	RefreshTokenMaxLifetime time.Duration

	// RefreshGrace is how long after a refresh the same refresh token may be sent
	// again, by a client that lost the answer or has two tabs; it gets the same
	// successor. 30 seconds if zero, none if negative, five minutes at most. Replicas
	// whose clocks differ make it longer or shorter by the difference.
	RefreshGrace time.Duration

	// ConsentLifetime is how long a consent is remembered: a year if zero.
	ConsentLifetime time.Duration

	// ClientMaxAge is for how long a client that was read from Storage is used without
	// reading it again, which spares most requests one of three round trips. What somebody
	// changes there takes effect that much later: a secret that was withdrawn, a client
	// that was disabled. Zero means that it is read each time; a minute at most.
	ClientMaxAge time.Duration

	// RequestTimeout bounds how long a request may wait for the storage, the
	// signer and the hooks, by their context: ten seconds if zero.
	RequestTimeout time.Duration

	// Logger receives what clients must not see. If nil, [slog.Default] is used.
	Logger *slog.Logger

	// Now is the clock that decides every expiry. If nil, [time.Now] is used.
	Now func() time.Time
}

// withDefaults returns a copy of cfg that shares no memory with it, or an error that
// names the field at fault.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Storage == nil {
		return cfg, errors.New("Storage is required")
	}
	if cfg.Authenticator == nil {
		return cfg, errors.New("Authenticator is required")
	}
	if err := validateIssuer(cfg.Issuer); err != nil {
		return cfg, fmt.Errorf("Issuer %q %w", cfg.Issuer, err)
	}
	if cfg.Consent == nil {
		cfg.Consent = builtinConsent{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if err := cfg.defaultLifetimes(); err != nil {
		return cfg, err
	}
	if err := cfg.withProfile(); err != nil {
		return cfg, err
	}
	cfg.Scopes = slices.Clone(cfg.Scopes)
	for _, s := range cfg.Scopes {
		if !isScopeToken(s.Name) {
			return cfg, fmt.Errorf("Scopes: %q is not a scope (RFC 6749, section 3.3)", s.Name)
		}
	}
	if len(cfg.Resources) == 0 {
		cfg.Resources = []Resource{{ID: cfg.Issuer}}
	}
	cfg.Resources = slices.Clone(cfg.Resources)
	for i, r := range cfg.Resources {
		if u, err := url.Parse(r.ID); err != nil || u.Scheme == "" || strings.Contains(r.ID, "#") || !isPrintableASCII(r.ID) {
			return cfg, fmt.Errorf("Resources: %q is not an absolute URI without a fragment (RFC 8707, section 2)", r.ID)
		}
		for _, other := range cfg.Resources[:i] {
			if canonicalResource(other.ID) == canonicalResource(r.ID) {
				return cfg, fmt.Errorf("Resources: %q is there twice", r.ID)
			}
		}
		cfg.Resources[i].Scopes = slices.Clone(r.Scopes)
	}
	if err := cfg.withStrangers(); err != nil {
		return cfg, err
	}
	return cfg, cfg.withOpenID()
}

func (cfg *Config) defaultLifetimes() error {
	for _, d := range []struct {
		field      string
		value      *time.Duration
		fallback   time.Duration
		least, max time.Duration
	}{
		{"CodeLifetime", &cfg.CodeLifetime, time.Minute, time.Second, 10 * time.Minute},
		{"AccessTokenLifetime", &cfg.AccessTokenLifetime, 10 * time.Minute, time.Second, 24 * time.Hour},
		{"RefreshTokenLifetime", &cfg.RefreshTokenLifetime, 14 * 24 * time.Hour, time.Second, 10 * 365 * 24 * time.Hour},
		{"RefreshTokenMaxLifetime", &cfg.RefreshTokenMaxLifetime, 90 * 24 * time.Hour, time.Second, 10 * 365 * 24 * time.Hour},
		{"ConsentLifetime", &cfg.ConsentLifetime, 365 * 24 * time.Hour, time.Second, 100 * 365 * 24 * time.Hour},
		{"RequestTimeout", &cfg.RequestTimeout, 10 * time.Second, time.Millisecond, 10 * time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
		if *d.value < d.least || *d.value > d.max {
			return fmt.Errorf("%s must be between %v and %v", d.field, d.least, d.max)
		}
	}
	if cfg.RefreshGrace == 0 {
		cfg.RefreshGrace = 30 * time.Second
	}
	if cfg.ClientMaxAge < 0 || cfg.ClientMaxAge > time.Minute {
		return errors.New("ClientMaxAge must be between zero and a minute")
	}
	if cfg.RefreshGrace > 5*time.Minute {
		return errors.New("RefreshGrace must be at most five minutes")
	}
	// A grant must outlive the access tokens made from it, or nobody could
	// revoke them.
	if cfg.RefreshTokenLifetime < cfg.AccessTokenLifetime {
		return errors.New("RefreshTokenLifetime must not be shorter than AccessTokenLifetime")
	}
	if cfg.RefreshTokenMaxLifetime < cfg.RefreshTokenLifetime {
		cfg.RefreshTokenLifetime = cfg.RefreshTokenMaxLifetime
	}
	if cfg.RefreshTokenMaxLifetime < cfg.AccessTokenLifetime {
		return errors.New("RefreshTokenMaxLifetime must not be shorter than AccessTokenLifetime")
	}
	return nil
}

// validateIssuer checks an issuer identifier (RFC 8414, section 2).
func validateIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Hostname() == "" || !isPrintableASCII(issuer):
		return errors.New("is not an absolute URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must be https")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return errors.New("must be https; plain http is for loopback addresses only")
	case u.User != nil || strings.ContainsAny(issuer, "?#"):
		return errors.New("must have no user information, query or fragment")
	case strings.HasSuffix(issuer, "/"):
		return errors.New("must not end with a slash")
	case u.EscapedPath() != u.Path || strings.Contains(u.Path+"/", "/./") || strings.Contains(u.Path+"/", "/../") || strings.Contains(u.Path, "//"):
		return errors.New("must have a plain path")
	case issuer != u.Scheme+"://"+strings.ToLower(u.Host)+u.Path:
		return errors.New("must have its scheme and host in lower case")
	}
	return nil
}

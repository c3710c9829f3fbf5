package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// write puts a configuration into a file.
func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.json")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// start runs the program with a configuration that must not get as far as serving.
func start(t *testing.T, text string) error {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), slog.New(slog.NewJSONHandler(&stderr, nil)), &stdout, []string{write(t, text)})
	require.Empty(t, stdout.String())
	return err
}

// base is the beginning of a configuration that is good so far. Nothing can listen there.
const base = `{"addr": "127.0.0.1:-1", "issuer": "http://127.0.0.1:9000"`

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"storage with something behind it", base + `, "storage": "memory:x"}`, "not supported"},
		{"no JSON", `addr: 1`, "invalid character"},
		{"no object", `[]`, "must be an object"},
		{"trailing data", base + `} {}`, "after top-level value"},
		{"cut off", base, "unexpected end"},
		{"unknown member", base + `, "adr": ""}`, "adr: unknown"},
		{"member in upper case", base + `, "Profile": ""}`, "Profile: unknown"},
		{"member twice", base + `, "addr": ""}`, "addr: member is there twice"},
		{"wrong type", base + `, "auto_consent": "yes"}`, "auto_consent: json: cannot unmarshal string"},
		{"no addr", `{"issuer": "http://127.0.0.1:9000"}`, "addr: required"},
		{"no issuer", `{"addr": "127.0.0.1:-1"}`, "issuer"},
		{"issuer that is no origin", `{"addr": "127.0.0.1:-1", "issuer": "nowhere"}`, "issuer: "},
		{"issuer without TLS", `{"addr": "127.0.0.1:-1", "issuer": "http://as.example"}`, "Config.Issuer"},
		{"addr that cannot be listened on", base + `}`, "addr: listen"},
		{"tls member", base + `, "tls": {"certificate": ""}}`, "tls: certificate: unknown"},
		{"tls for a plain issuer", base + `, "tls": {"cert": "c", "key": "k"}}`, "tls: the issuer is not https"},
		{"tls without files", `{"addr": "127.0.0.1:-1", "issuer": "https://127.0.0.1:9000", "tls": {}}`, "tls: open"},
		{"profile", base + `, "profile": "fapi"}`, `profile: "fapi"`},
		{"storage", base + `, "storage": "oracle://user:password@x"}`, `storage: "oracle" is not`},
		{"storage that cannot be had", base + `, "storage": "sqlite:/nowhere/x.db"}`, "storage: "},
		{"storage whose address is malformed", base + `, "storage": "mysql://secret"}`, "storage: mysql: the data source name is malformed"},
		{"initial access token without registration", base + `, "initial_access_token": "x"}`, "initial_access_token: there is no registration"},
		{"mcp without resources", base + `, "profile": "mcp"}`, "Config.Resources is required"},
		{"openid as a string", base + `, "openid": "yes"}`, "openid: json"},
		{"auto_login of nobody", base + `, "auto_login": "alice"}`, `auto_login: no user has the username "alice"`},
		{"scopes as a list", base + `, "scopes": ["read"]}`, "scopes: must be an object"},
		{"scope twice", base + `, "scopes": {"read": "", "read": ""}}`, "scopes: read: member is there twice"},
		{"scope without a string", base + `, "scopes": {"read": 1}}`, "scopes: read: json"},
		{"scope with a space", base + `, "scopes": {"a b": ""}}`, "Config.Scopes"},
		{"resource member", base + `, "resources": [{"name": "x"}]}`, "resources: name: unknown"},
		{"resource of another type", base + `, "resources": [1]}`, "resources: must be an object"},
		{"resource that is no URI", base + `, "resources": ["api"]}`, "Config.Resources"},
		{"lifetime member", base + `, "lifetimes": {"id_token": "1m"}}`, "lifetimes: id_token: unknown"},
		{"lifetime as a number", base + `, "lifetimes": {"code": 60}}`, "lifetimes: code: json"},
		{"lifetime that is none", base + `, "lifetimes": {"code": "soon"}}`, "lifetimes: code: time"},
		{"lifetime of zero", base + `, "lifetimes": {"access_token": "0s"}}`, "lifetimes: access_token: must be positive"},
		{"lifetime out of bounds", base + `, "lifetimes": {"code": "1h"}}`, "Config.CodeLifetime"},
		{"grace that is none", base + `, "lifetimes": {"refresh_grace": ""}}`, "lifetimes: refresh_grace: time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, start(t, tt.text), tt.want)
		})
	}
}

func TestConfigErrorsOfUsersAndClients(t *testing.T) {
	t.Parallel()
	users := func(text string) string { return base + `, "users": ` + text + `}` }
	clients := func(text string) string {
		return base + `, "clients": [{"client_id": "web", "redirect_uris": ["https://web.example/cb"], ` + text + `]}`
	}
	for _, tt := range []struct{ name, text, want string }{
		{"user member", users(`[{"subject": "u1"}]`), "users: subject: unknown"},
		{"user without a subject", users(`[{"username": "alice"}]`), "users: sub and username"},
		{"user without a username", users(`[{"sub": "u1"}]`), "users: sub and username"},
		{"subject twice", users(`[{"sub": "u1", "username": "a"}, {"sub": "u1", "username": "b"}]`), `sub "u1"`},
		{"username twice", users(`[{"sub": "u1", "username": "a"}, {"sub": "u2", "username": "a"}]`), `username "a"`},
		{"claims of another type", users(`[{"sub": "u1", "username": "a", "claims": []}]`), "users: claims: must be an object"},
		{"claim twice", users(`[{"sub": "u1", "username": "a", "claims": {"x": 1, "x": 2}}]`), "users: claims: x: member is there twice"},

		{"client member that is not supported", clients(`"logo_uri": "x"}`), "clients: logo_uri: unknown or unsupported"},
		{"client twice", clients(`"client_name": "A"}, {"client_id": "web"}`), `client_id "web" is there twice`},
		{"client without an ID", base + `, "clients": [{}]}`, "client"},
		{"grant type", clients(`"grant_types": ["password"]}`), `"web": grant_types: "password"`},
		{"response type", clients(`"response_types": ["token"]}`), `"web": response_types: "token"`},
		{"application type", clients(`"application_type": "tv"}`), `"web": application_type: "tv"`},
		{"authentication method", clients(`"token_endpoint_auth_method": "tls_client_auth"}`), "AuthMethod"},
		{"authentication method without a secret", clients(`"token_endpoint_auth_method": "client_secret_basic"}`), "needs Secrets"},
		{"secret of a public client", clients(`"token_endpoint_auth_method": "none", "client_secret": "s"}`), "contradicts"},
		{"redirect URI", base + `, "clients": [{"client_id": "web", "redirect_uris": ["/cb"]}]}`, "RedirectURIs"},
		{"scope", clients(`"scope": "r\"w"}`), "Scopes"},
		{"scopes as a list", clients(`"scope": ["read"]}`), "clients: scope: json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, start(t, tt.text), tt.want)
		})
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	require.ErrorContains(t, run(t.Context(), log, new(bytes.Buffer), nil), "usage")
	require.ErrorIs(t, run(t.Context(), log, new(bytes.Buffer), []string{filepath.Join(t.TempDir(), "none")}), os.ErrNotExist)
}

func TestConfig(t *testing.T) {
	t.Parallel()
	cfg, err := readConfig(write(t, base+`,
		"clients": [{"client_id": "all"}, {"client_id": "none", "scope": ""}, {"client_id": "some", "scope": "b a", "application_type": "native"}],
		"users": [{"sub": "u1", "username": "alice", "claims": {"big": 12345678901234567890}}],
		"resources": ["https://a.example", {"id": "https://b.example", "scopes": ["b"]}],
		"scopes": {"b": "Second", "a": "First"},
		"lifetimes": {"code": "10s", "access_token": "2m", "refresh_token": "3h", "refresh_grace": "0s"}
	}`))
	require.NoError(t, err)

	t.Run("scopes are in the order of the file", func(t *testing.T) {
		require.Equal(t, scopes{{Name: "b", Description: "Second"}, {Name: "a", Description: "First"}}, cfg.Scopes)
	})
	t.Run("a client without scope may ask for all", func(t *testing.T) {
		for i, want := range [][]string{{"b", "a"}, {}, {"b", "a"}} {
			cfg.Clients[i].RedirectURIs = []string{"https://web.example/cb"}
			c, err := cfg.Clients[i].register(cfg.knownScopes())
			require.NoError(t, err)
			require.Equal(t, want, c.Scopes)
			require.Equal(t, i == 2, c.Native)
		}
	})
	t.Run("a resource is a string or an object", func(t *testing.T) {
		require.Equal(t, []resource{{ID: "https://a.example"}, {ID: "https://b.example", Scopes: []string{"b"}}}, cfg.Resources)
	})
	t.Run("claims are as they stand in the file", func(t *testing.T) {
		body, err := json.Marshal(cfg.Users[0].Claims)
		require.NoError(t, err)
		require.Equal(t, `{"big":12345678901234567890}`, string(body))
	})
	t.Run("lifetimes reach the library, and no grace is none", func(t *testing.T) {
		h, err := newHost(cfg.Issuer, cfg.Users)
		require.NoError(t, err)
		s, err := cfg.settings(nil, h, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		require.Equal(t, []time.Duration{10 * time.Second, 2 * time.Minute, 3 * time.Hour}, []time.Duration{s.CodeLifetime, s.AccessTokenLifetime, s.RefreshTokenLifetime})
		require.Negative(t, s.RefreshGrace)
	})
	t.Run("a storage that knows a client gets its new registration", func(t *testing.T) {
		store, err := openStorage(t.Context(), "memory")
		require.NoError(t, err)
		for _, name := range []string{"Old", "New"} {
			require.NoError(t, store.addClient(t.Context(), &authwright.Client{ID: "c", Name: name, RedirectURIs: []string{"https://web.example/cb"}}))
		}
		c, err := store.Client(t.Context(), "c")
		require.NoError(t, err)
		require.Equal(t, "New", c.Name)
	})
}

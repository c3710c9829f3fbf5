package integration_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
	"github.com/authwright/authwright/resource"
	"github.com/authwright/authwright/sqlstore"
)

// victimStores opens an empty storage of each kind, together with what dumps it.
func victimStores() map[string]func(*testing.T) (victimStore, func() string) {
	stores := map[string]func(*testing.T) (victimStore, func() string){
		"memory": func(t *testing.T) (victimStore, func() string) {
			m := new(authwright.Memory)
			return m, func() string { return dumpMemory(t, m) }
		},
		"redis": func(t *testing.T) (victimStore, func() string) {
			rdb, cfg := openRedis(t), newRedisConfig()
			cfg.Prefix = "attacked-" + cfg.Prefix
			s, err := redisstore.New(rdb, cfg)
			require.NoError(t, err)
			return s, func() string { return dumpRedis(t, rdb, cfg.Prefix) }
		},
	}
	for _, e := range sqlEngines() {
		if e.dialect == sqlstore.MySQL { // by the same code as PostgreSQL
			continue
		}
		stores[e.name] = func(t *testing.T) (victimStore, func() string) {
			db, cfg := e.open(t), e.config()
			return newSQLStore(t, db, cfg), func() string { return dumpSQL(t, db, cfg) }
		}
	}
	return stores
}

func dumpMemory(t *testing.T, m *authwright.Memory) string {
	t.Helper()
	var all []any
	for _, id := range []string{"c1", "c2", "p1", "n1", "new"} {
		c, err := m.Client(t.Context(), id)
		if errors.Is(err, authwright.ErrNotFound) {
			continue
		}
		require.NoError(t, err)
		grants, _, err := m.GrantsByClient(t.Context(), id, "", 0)
		require.NoError(t, err)
		all = append(all, c, grants)
	}
	b, err := json.Marshal(all)
	require.NoError(t, err)
	return string(b)
}

func dumpRedis(t *testing.T, rdb redis.UniversalClient, prefix string) string {
	t.Helper()
	var b strings.Builder
	for i := rdb.Scan(t.Context(), 0, prefix+"*", 1000).Iterator(); i.Next(t.Context()); {
		b.WriteString(i.Val() + "\n")
		switch kind := rdb.Type(t.Context(), i.Val()).Val(); kind {
		case "string":
			b.WriteString(rdb.Get(t.Context(), i.Val()).Val())
		case "zset":
			b.WriteString(strings.Join(rdb.ZRange(t.Context(), i.Val(), 0, -1).Val(), "\n"))
		default:
			b.WriteString(fmt.Sprint(rdb.HGetAll(t.Context(), i.Val()).Val()))
		}
	}
	return b.String()
}

// dumpSQL reads SQLite's files, deleted rows and log included, and of PostgreSQL every row.
func dumpSQL(t *testing.T, db *sql.DB, cfg sqlstore.Config) string {
	t.Helper()
	var b strings.Builder
	if cfg.Dialect == sqlstore.SQLite {
		var file string
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file))
		for _, name := range []string{file, file + "-wal"} {
			content, err := os.ReadFile(name)
			require.NoError(t, err)
			b.Write(content)
		}
		return b.String()
	}
	for _, table := range column(t, db, "SELECT tablename FROM pg_tables WHERE starts_with(tablename, $1)", cfg.Prefix) {
		for _, row := range column(t, db, "SELECT row_to_json(r)::text FROM "+table+" r") {
			b.WriteString(row + "\n")
		}
		for _, row := range column(t, db, "SELECT r::text FROM "+table+" r") {
			b.WriteString(row + "\n")
		}
	}
	return b.String()
}

func column(t *testing.T, db *sql.DB, query string, args ...any) (values []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var value string
		require.NoError(t, rows.Scan(&value))
		values = append(values, value)
	}
	require.NoError(t, rows.Err())
	return values
}

// TestAttacksOnSecrets is section Z of docs/threat-model.md.
func TestAttacksOnSecrets(t *testing.T) {
	tryEverywhere(t, []attack{
		{name: "Z01 a stolen database", run: stolenDatabase},
		{name: "Z02 a log that is read", run: readLog},
		{name: "Z04 a value that is printed", run: printedValues},
		{name: "Z06 a client secret that is asked for", run: storedClientSecrets},
	})
}

// everySecret runs each flow and each kind of failure, and returns every secret that took
// part.
func (v *victim) everySecret() map[string]string {
	v.t.Helper()
	alice := v.signedIn("alice")
	page := alice.authorize(asking("scope", "openid read"))
	_, handle := page.question(v.t)
	code := alice.decide(page, "approve", "openid", "read").toClient(v.t, c1URI).Get("code")
	first := v.token(redeeming(code), "c1", secretOf1).granted(v.t)
	second := v.refresh(first)
	again := v.refresh(first)
	unused := v.code(asking("scope", "read"))
	pending := alice.authorize(asking("prompt", "consent"))
	_, open := pending.question(v.t)
	v.userInfo(again.Access)
	v.introspect(second.Refresh)

	wrong := "a-wrong-secret-of-c1-0123456789"
	v.token(redeeming(code), "c1", wrong).refused(v.t, "invalid_client")
	v.token(redeeming(unused, "code_verifier", strings.Repeat("w", 43)), "c1", secretOf1).refused(v.t, "invalid_grant")
	v.token(redeeming(unused), "c2", secretOf2).refused(v.t, "invalid_grant")
	v.token(redeeming(unused+"x"), "c1", secretOf1).refused(v.t, "invalid_grant")
	v.post("/token?"+redeeming(unused).Encode(), refreshing(second.Refresh), "c1", secretOf1).refused(v.t, "invalid_request")
	v.stranger().get(v.issuer + "/authorize?" + asking("code_verifier", goodVerifier, "client_secret", secretOf1, "client_id", "x").Encode())
	v.stranger().get(v.issuer + "/userinfo?access_token=" + second.Access)
	v.userInfo(second.Access + "x")
	alice.post("/consent", url.Values{"consent": {open + "x"}})
	v.token(redeeming(code), "c1", secretOf1).refused(v.t, "invalid_grant") // a replay, proven
	u, err := url.Parse(v.ts.URL)
	require.NoError(v.t, err)
	found := map[string]string{
		"consent handle": handle, "open consent handle": open, "code": code, "unredeemed code": unused, "verifier": goodVerifier, "access token": first.Access, "newer access token": second.Access,
		"access token of a retry": again.Access, "refresh token": first.Refresh, "newer refresh token": second.Refresh, "ID token": first.ID, "client secret": secretOf1, "other client secret": secretOf2, "wrong client secret": wrong,
		"wrong verifier": strings.Repeat("w", 43),
	}
	for _, c := range alice.Jar.Cookies(u) {
		if c.Name != "session" { // which is the host's
			found["cookie"] = c.Value
		}
	}
	require.Contains(v.t, found, "cookie")
	return found
}

// notRevealed checks that text contains no secret, in no spelling.
func notRevealed(t *testing.T, text string, secrets map[string]string) {
	t.Helper()
	for name, secret := range secrets {
		if parts := strings.Split(secret, "."); len(parts) == 3 {
			secret = parts[2] // a JWT is one by its signature
		}
		spellings := []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))[:len(secret)], url.QueryEscape(secret)}
		if raw, err := base64.RawURLEncoding.DecodeString(secret); err == nil && len(secret) == 64 {
			// The first third names the grant and is no secret. The others are.
			for _, part := range [][]byte{raw[16:32], raw[32:]} {
				spellings = append(spellings, string(part), hex.EncodeToString(part), base64.StdEncoding.EncodeToString(part)[:20], base64.RawURLEncoding.EncodeToString(part)[:20])
			}
			spellings = append(spellings, secret[24:40], secret[44:])
		}
		for _, spelling := range spellings {
			require.False(t, strings.Contains(text, spelling), "%s is there, as %q", name, spelling)
		}
	}
}

func stolenDatabase(t *testing.T, v *victim) {
	secrets := v.everySecret()
	dump := v.dump()
	require.Contains(t, dump, "alice")
	require.Contains(t, dump, secrets["code"][:21]) // the name of a grant is no secret, and is seen
	notRevealed(t, dump, secrets)
}

func readLog(t *testing.T, v *victim) {
	secrets := v.everySecret()
	require.Contains(t, v.log(), "request refused")
	notRevealed(t, v.log(), secrets)
	v.mu.Lock()
	defer v.mu.Unlock()
	require.NotEmpty(t, v.events)
	events, err := json.Marshal(v.events)
	require.NoError(t, err)
	notRevealed(t, string(events)+fmt.Sprintf("%+v", v.events), secrets)
}

// printed is v in every way in which programs print values, within another one too.
func printed(v any) string {
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		fmt.Fprintf(&b, verb+"\n"+verb+"\n", v, struct{ V any }{v})
	}
	fmt.Fprintf(&b, "%s %q %x", v, v, v)
	if text, err := json.Marshal(v); err == nil {
		b.Write(text)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("printed", "value", v)
	}
	return b.String()
}

func printedValues(t *testing.T, v *victim) {
	secrets := map[string]string{}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	require.NotEmpty(t, public)
	signing := authwright.SigningKey{Signer: private}
	cfg := v.config()
	cfg.SigningKeys = append(cfg.SigningKeys, signing)
	shown := printed(signing) + printed(&signing) + printed(cfg) + printed(&cfg)
	for _, spelling := range []string{fmt.Sprint([]byte(private[:8])), fmt.Sprintf("%#v", []byte(private[:8])), fmt.Sprintf("%x", private[:8]), base64.StdEncoding.EncodeToString(private[:30])} {
		bytes := strings.Trim(strings.TrimPrefix(spelling, "[]byte"), "[]{}")
		require.False(t, strings.Contains(shown, bytes), bytes)
	}

	introspection := resource.Introspection{ClientID: "c1", ClientSecret: secretOf1}
	verifier := &resource.Verifier{Issuer: v.issuer, Audience: "https://api.example.com", Keys: v.srv.JWKS, Now: v.now}
	shown = printed(introspection) + printed(&introspection)
	require.NotContains(t, shown, secretOf1)
	require.NotContains(t, shown, hex.EncodeToString([]byte(secretOf1)))

	var asked *authwright.Consent
	w := &victim{t: t, store: v.store}
	w.start(func(cfg *authwright.Config) { cfg.Consent = keepsConsent{&asked} })
	w.signedIn("alice").authorize(asking())
	require.NotNil(t, asked)
	_, handle, _ := strings.Cut(string(asked.Fields()), `value="`)
	secrets["consent handle"] = strings.TrimSuffix(handle, `">`)
	notRevealed(t, printed(asked)+printed(*asked), secrets)

	secrets = v.everySecret()
	token, err := verifier.Verify(t.Context(), v.tokens().Access)
	require.NoError(t, err)
	c, err := v.store.Client(t.Context(), "c1")
	require.NoError(t, err)
	grants, _, err := v.store.GrantsBySubject(t.Context(), "alice", "", 0)
	require.NoError(t, err)
	notRevealed(t, printed(token)+printed(c)+printed(*c)+printed(grants)+printed(*grants[0])+printed(v.srv)+printed(verifier), secrets)
}

// keepsConsent is a ConsentRenderer that shows nothing.
type keepsConsent struct{ to **authwright.Consent }

func (k keepsConsent) RenderConsent(_ http.ResponseWriter, _ *http.Request, c *authwright.Consent) error {
	*k.to = c
	return nil
}

func storedClientSecrets(t *testing.T, v *victim) {
	secret, stored := authwright.NewSecret()
	chosen := authwright.ChosenSecret("correct horse battery staple")
	require.NoError(t, v.store.AddClient(t.Context(), &authwright.Client{ID: "new", Secrets: []authwright.ClientSecret{stored, chosen}, RedirectURIs: []string{c1URI}}))
	for _, text := range []string{secret, "correct horse battery staple"} {
		v.token(probing(), "new", text).refused(t, "invalid_grant")
		notRevealed(t, v.dump()+v.log(), map[string]string{"client secret": text})
	}
	c, err := v.store.Client(t.Context(), "new")
	require.NoError(t, err)
	require.NotContains(t, printed(c), secret)
	v.token(probing(), "new", c.Secrets[0].Hash).refused(t, "invalid_client") // a hash is no password
	require.NotEqual(t, chosen.Hash, authwright.ChosenSecret("correct horse battery staple").Hash)
}

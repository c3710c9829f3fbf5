package integration_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNPMClients runs clients from the npm registry, each by a script of its own in the
// directory npm, with a person in Chromium, against one target.
func TestNPMClients(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	require.NoError(t, err, "chromium is needed: apt-get install chromium")
	_, err = exec.LookPath("npm")
	require.NoError(t, err, "Node.js 20 or later and npm are needed")
	dir := installNPM(t)
	// Where clients are, if it were anywhere: their pages, and what is not found.
	party := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(party.Close)

	files, _ := targetCertificate(t)
	cfg, settings := npmConfig(t, party.URL)
	cfg["tls"] = files
	settings["chromium"] = chromium
	settings["issuer"] = startTarget(t, buildTarget(t), "https", "/op", cfg)
	text, err := json.Marshal(settings)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "settings.json"), text, 0o600))

	scripts, err := fs.Glob(os.DirFS(dir), "*.test.mjs")
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	for _, script := range scripts {
		t.Run(script, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "node", "--test", "--test-reporter=spec", "--test-timeout=300000", script)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+files["cert"])
			out, err := cmd.CombinedOutput()
			t.Log(string(out))
			require.NoError(t, err)
		})
	}
}

// installNPM installs what package-lock.json names into a copy of the directory npm.
func installNPM(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("npm")))
	cmd := exec.CommandContext(t.Context(), "npm", "ci", "--prefer-offline")
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return dir
}

// npmConfig is the configuration of the target, and what the scripts are to know of it.
func npmConfig(t *testing.T, party string) (cfg, settings map[string]any) {
	t.Helper()
	u, err := url.Parse(party)
	require.NoError(t, err)
	home, callback, spa := party+"/home", party+"/callback", "http://localhost:"+u.Port()+"/spa/"
	public, private := newJWK(t)
	const otherAPI, initial = "https://other.example", "an initial access token of some length"

	client := func(id string, members map[string]any) map[string]any {
		c := map[string]any{
			"client_id": id, "client_name": "The client " + id, "scope": "openid profile email offline_access read write",
			"redirect_uris": []string{callback}, "post_logout_redirect_uris": []string{home},
			"grant_types": []string{"authorization_code", "refresh_token", "client_credentials"},
		}
		maps.Copy(c, members)
		return c
	}
	cfg = targetConfig()
	delete(cfg, "lifetimes")
	maps.Copy(cfg, map[string]any{
		"openid": true, "registration": true, "initial_access_token": initial,
		"resources": []string{targetAPI, otherAPI},
		"clients": []any{
			client("basic", map[string]any{"client_secret": targetSecret, "token_endpoint_auth_method": "client_secret_basic"}),
			client("post", map[string]any{
				"client_secret": targetSecret, "token_endpoint_auth_method": "client_secret_post", "id_token_signed_response_alg": "ES256",
			}),
			client("jwt", map[string]any{"token_endpoint_auth_method": "private_key_jwt", "jwks": map[string]any{"keys": []any{public}}}),
			client("public", map[string]any{"grant_types": []string{"authorization_code", "refresh_token"}}),
			client("spa", map[string]any{
				"redirect_uris": []string{spa}, "post_logout_redirect_uris": []string{spa},
				"grant_types": []string{"authorization_code", "refresh_token"},
			}),
		},
		"users": []any{map[string]any{
			"sub": "u1", "username": "alice", "password": targetPassword,
			"claims": map[string]any{"name": "Alice", "phone_number": "+1 555 0100", "email": "alice@example.com"},
		}},
	})
	return cfg, map[string]any{
		"username": "alice", "password": targetPassword, "secret": targetSecret, "initialAccessToken": initial,
		"key": private, "publicKey": public, "api": targetAPI, "otherAPI": otherAPI,
		"home": home, "callback": callback, "spa": spa,
	}
}

// newJWK returns both halves of a key for ES256 as JSON Web Keys (RFC 7518, section 6.2).
func newJWK(t *testing.T) (public, private map[string]string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	point, err := key.PublicKey.Bytes() // a byte that says how, x and y
	require.NoError(t, err)
	secret, err := key.Bytes()
	require.NoError(t, err)
	encode := base64.RawURLEncoding.EncodeToString
	public = map[string]string{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
	private = maps.Clone(public)
	private["d"] = encode(secret)
	return public, private
}

package authwright

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A claims parameter that is accepted is kept in a form that means the same, and in which
// nothing is that the protocol defines.
func FuzzClaimsParameter(f *testing.F) {
	for _, text := range []string{
		``, `{}`, `null`, `[]`, `"x"`, `1`, `{`, `{"userinfo":{"email":null}}`, `{"id_token":{"sub":{"value":"alice"}}}`, `{"id_token":{"sub":{"value":1}}}`, `{"id_token":{"sub":{"value":""}}}`, `{"id_token":{"sub":{"value":null}}}`,
		`{"id_token":{"acr":{"essential":true,"values":["a","b",1]}}}`, `{"id_token":{"acr":{"essential":true,"value":"a"}}}`, `{"id_token":{"acr":{"essential":true}}}`, `{"id_token":{"acr":{"essential":"yes"}}}`,
		`{"userinfo":{"iss":null,"aud":null,"exp":null,"":null,"email":{"essential":true,"value":{"a":[1e400]}}}}`, `{"userinfo":null,"id_token":null}`, `{"userinfo":[]}`, `{"USERINFO":{"email":null}}`,
		`{"userinfo":{"email":null},"userinfo":{"phone":null}}`, `{"other":{"x":null}}`, `{"id_token":{"\u0000":null,"\ud800":null}}`, strings.Repeat(`{"userinfo":`, 600), `{"userinfo":{"a":null}} x`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		kept, err := parseClaims(text)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalidRequest)
			return
		}
		if text == "" {
			require.Nil(t, kept)
			return
		}
		require.True(t, json.Valid(kept))
		again, err := parseClaims(string(kept))
		if len(kept) <= maxClaimsRequest { // escapes may be longer
			require.NoError(t, err)
			require.Equal(t, string(kept), string(again))
		}
		c := readClaims(kept)
		names := c.names()
		require.True(t, slices.IsSorted(names))
		for _, name := range names {
			require.NotContains(t, reservedClaims, name)
		}
		if r := c.IDToken["sub"]; r != nil && r.Value != nil {
			require.NotEmpty(t, c.subject())
		}
		require.NotContains(t, c.acrs(), "")
	})
}

// descriptions are what clients have said of themselves, wherever they say it.
var descriptions = []string{
	`{"client_id":"https://c.example/id","redirect_uris":["https://c.example/cb"]}`, `{"client_id":"https://c.example/id","redirect_uris":["javascript:alert(1)"]}`, `{"client_id":"https://evil.test/","redirect_uris":["https://c.example/cb"]}`,
	`{"client_id":"https://c.example/id","redirect_uris":["https://c.example/cb"],"client_secret":"s"}`, `{"client_id":"https://c.example/id","redirect_uris":["https://c.example/cb"],"token_endpoint_auth_method":"client_secret_basic"}`,
	`{"client_id":"https://c.example/id","redirect_uris":["http://127.0.0.1/cb","https://*.c.example/"],"application_type":"native","client_name":"\u202e<b>"}`, `{"client_id":"https://c.example/id","client_id":"https://evil.test/","redirect_uris":["https://c.example/cb"]}`,
	`{"client_id":"https://c.example/id","redirect_uris":["https://c.example/cb"],"grant_types":["password","implicit","client_credentials"],"response_types":["token"]}`, `{"client_id":"https://c.example/id","redirect_uris":["https://c.example/cb"],"grant_types":[],"response_types":[]}`,
	`{"client_id":"https://c.example/id","redirect_uris":["https://c.example/cb"],"jwks":{"keys":[{"kty":"oct","k":"AA"}]},"token_endpoint_auth_method":"private_key_jwt"}`, `{"client_id":"https://c.example/id","redirect_uris":["https://c.example/cb"],"jwks":{"keys":[]},"jwks_uri":"http://169.254.169.254/"}`,
	`{"client_id":"https://c.example/id","redirect_uris":["https://c.example/cb"],"scope":"read admin \u0000","client_uri":"javascript:alert(1)","post_logout_redirect_uris":["data:x"],"backchannel_logout_uri":"http://c.example/"}`,
	`{"client_id":"https://c.example/id","redirect_uris":["https://c.example/cb"],"id_token_signed_response_alg":"none","token_endpoint_auth_signing_alg":"HS256","consent":"skip","scopes":["admin"],"secrets":[{"hash":"x"}],"disabled":false,"unverified":false}`,
	`{"client_id":"https://c.example/id","redirect_uris":null,"jwks":null}`, `{"CLIENT_ID":"https://c.example/id","redirect_uris":["https://c.example/cb"]}`, ``, `null`, `[]`, `{`, ` {}`, "\ufeff{}", strings.Repeat("[", 5000),
}

// What a client says of itself gives it nothing but what is on offer to everybody.
func FuzzClientDocument(f *testing.F) {
	m := newMint(f)
	m.cfg.Scopes = []Scope{{Name: "read"}, {Name: "write"}, {Name: "admin"}}
	m.cfg.ClientDocuments = &ClientDocuments{Scopes: []string{"read", "write"}}
	m.cfg.Registration = &Registration{Clients: new(Memory), Scopes: []string{"read", "write"}}
	for _, text := range descriptions {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		const id = "https://c.example/id"
		check := func(c *Client) {
			require.NoError(t, c.Validate())
			require.True(t, c.Unverified)
			require.Equal(t, ConsentRemember, c.Consent)
			require.False(t, c.Disabled || c.InsecureWithoutPKCE)
			require.True(t, subset(c.Scopes, []string{"read", "write"}))
			require.True(t, subset(c.GrantTypes, []string{"authorization_code", "refresh_token"}))
			require.Empty(t, c.Serves)
			require.Empty(t, c.Origins)
			require.Empty(t, c.RegistrationToken)
			require.True(t, c.ExpiresAt.IsZero())
			for _, uri := range c.RedirectURIs {
				require.NoError(t, validateRedirectURI(uri))
			}
			require.NotContains(t, string(c.JWKS), `"k":`)
			require.NotEmpty(t, c.description())
			kept, err := json.Marshal(c)
			require.NoError(t, err)
			var again Client
			require.NoError(t, json.Unmarshal(kept, &again))
			require.Equal(t, c.description(), again.description(), "a storage changes nothing that users rely on")
		}
		if c, err := m.readDocument(id, body); err == nil {
			check(c)
			require.Equal(t, id, c.ID)
			require.Empty(t, c.Secrets)
			require.True(t, c.public() || c.AuthMethod == AuthPrivateKeyJWT)
			require.NotEmpty(t, c.RedirectURIs)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://as.example/register", strings.NewReader(string(body)))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		said, err := readMetadata(nil, r)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalidClientMetadata)
			return
		}
		c, err := m.registrant(nil, r, said)
		if err == nil {
			c.ID = "new"
			c.newSecret()
			err = c.usable()
		}
		if err == nil {
			check(c)
			require.Equal(t, c.accepts(AuthSecretBasic) || c.accepts(AuthSecretPost), len(c.Secrets) == 1)
		}
	})
}

// A record that a storage kept as JSON is the record that was saved.
func FuzzGrantRecord(f *testing.F) {
	full := Grant{
		ID: "g", Version: 3, Stage: StageActive, CreatedAt: mintNow, ExpiresAt: mintNow.Add(time.Hour), EndsAt: mintNow.Add(time.Hour), ClientID: "web", Subject: "alice", Scopes: []string{"read"}, Resources: []string{"https://api.example"},
		AuthTime: mintNow, ACR: "1", AMR: []string{"pwd"}, Session: "s", Claims: json.RawMessage(`{"userinfo":{"email":null}}`), RedirectURI: "https://web.example/cb", State: "é\u2028\"", ResponseMode: "form_post", Nonce: "n", CodeChallenge: knownChallenge,
		ClientHash: []byte{1}, Browser: []byte{2}, Secret: []byte{3}, Lineage: []byte{4}, Turn: []byte{5}, Previous: []byte{6}, Sealed: []byte{7}, RotatedAt: mintNow,
	}
	for _, g := range []Grant{full, {}, {ID: "g", Version: 1 << 62, Stage: "new", Claims: json.RawMessage(`null`)}} {
		text, err := json.Marshal(g)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range []string{`{"id":"g","scopes":[]}`, `{"id":"g","secret":""}`, `{"id":"g","secret":"AAA"}`, `{"id":"g","claims":{"a":1e400}}`, `{"created_at":"0001-01-01T00:00:00+23:59"}`, `{"ID":"g","unknown":1}`, `{"version":1.5}`, `{"sub":"\ud800"}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var g, again Grant
		if json.Unmarshal(text, &g) != nil {
			return
		}
		kept, err := json.Marshal(&g)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(kept, &again))
		twice, err := json.Marshal(&again)
		require.NoError(t, err)
		require.Equal(t, string(kept), string(twice))

		c := g.clone()
		require.Equal(t, &g, c)
		for _, b := range [][]byte{c.Claims, c.ClientHash, c.Browser, c.Secret, c.Lineage, c.Turn, c.Previous, c.Sealed} {
			for i := range b {
				b[i] ^= 1
			}
		}
		for _, list := range [][]string{c.Scopes, c.Resources, c.AMR} {
			for i := range list {
				list[i] += "!"
			}
		}
		still, err := json.Marshal(&g)
		require.NoError(t, err)
		require.Equal(t, string(kept), string(still), "a copy shares nothing")

		// Whatever a storage returns, a secret opens nothing that was not hashed for it.
		var stranger secret
		_, err = judgeCode(&g, &Client{ID: g.ClientID, RedirectURIs: []string{g.RedirectURI}}, stranger, form{{"code_verifier", knownVerifier}})
		if !same(g.Secret, stranger.hash()) {
			require.Error(t, err)
		}
		if _, ok := g.successor(stranger); ok {
			next, _ := g.successor(stranger)
			require.True(t, same(g.Turn, hash(next.turn[:])))
		}
	})
}

// A client that a storage kept as JSON is the client that was registered.
func FuzzClientRecord(f *testing.F) {
	for _, c := range []Client{
		{}, {ID: "web", RedirectURIs: []string{"https://web.example/cb"}, Secrets: []ClientSecret{{Hash: "sha256:x", ExpiresAt: mintNow}}, GrantTypes: []string{}, DefaultScopes: []string{}, Resources: []string{}, ExpiresAt: mintNow},
		{ID: "robot", JWKS: json.RawMessage(`{"keys":[]}`), AuthMethod: AuthPrivateKeyJWT, GrantTypes: []string{"client_credentials"}, Unverified: true},
	} {
		text, err := json.Marshal(c)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range descriptions {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var c, again Client
		if json.Unmarshal(text, &c) != nil {
			return
		}
		kept, err := json.Marshal(&c)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(kept, &again))
		twice, err := json.Marshal(&again)
		require.NoError(t, err)
		require.Equal(t, string(kept), string(twice))
		require.Equal(t, c.Validate() == nil, again.Validate() == nil)
		require.Equal(t, c.public(), again.public())
		require.Equal(t, c.description(), again.description())
		for _, grantType := range []string{"authorization_code", "refresh_token", "client_credentials"} {
			require.Equal(t, c.mayUse(grantType), again.mayUse(grantType), grantType)
		}
		require.Equal(t, &c, c.clone())
	})
}

package authwright_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// manage sends a request about a registration with a token, or without one.
func (w *world) manage(method string, c map[string]any, token string, said profile) answer {
	w.t.Helper()
	h, body := http.Header{}, ""
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	if said != nil {
		h.Set("Content-Type", "application/json")
		body = marshal(w.t, said)
	}
	return w.transmit(method, strings.TrimPrefix(c["registration_client_uri"].(string), w.ts.URL), body, h)
}

// own sends a request of a client about itself.
func (w *world) own(method string, c map[string]any, said profile) answer {
	w.t.Helper()
	return w.manage(method, c, c["registration_access_token"].(string), said)
}

// of returns p with the ID of c, as an update has it.
func (p profile) of(c map[string]any) profile { return p.with("client_id", c["client_id"]) }

func TestManage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registration())
	first, second := w.registered(newcomer.with("client_name", "First")), w.registered(newcomer)
	t.Run("DR-08 a client reads its registration", func(t *testing.T) {
		a := w.own("GET", first, nil)
		require.Equal(t, http.StatusOK, a.status, a.body)
		uncached(t, a)
		c := a.json(t)
		for name, value := range first {
			if name != "client_secret" && name != "client_secret_expires_at" { // which only its hash is kept of
				require.Equal(t, value, c[name], name)
			}
		}
		require.NotContains(t, a.body, first["client_secret"])
		require.NotContains(t, a.body, "client_secret_expires_at")
	})
	unknown := map[string]any{"registration_client_uri": w.issuer + "/register?client_id=nobody"}
	fixed := map[string]any{"registration_client_uri": w.issuer + "/register?client_id=web"}
	nameless := map[string]any{"registration_client_uri": w.issuer + "/register"}
	byURL := map[string]any{"registration_client_uri": w.issuer + "/register?client_id=https://new.example/client.json"}
	good := first["registration_access_token"].(string)
	var denials []answer
	for _, tc := range []struct {
		name  string
		about map[string]any
		token string
	}{
		{"DR-08 without a token", first, ""},
		{"DR-08 with a wrong token", first, strings.Repeat("x", len(good))},
		{"DR-08 with another client's token", first, second["registration_access_token"].(string)},
		{"DR-08 with the client's secret", first, first["client_secret"].(string)},
		{"DR-08 about an unknown client", unknown, good},
		{"DR-08 about a client that did not register", fixed, good},
		{"DR-08 about a client that did not register, with its secret", fixed, webSecret},
		{"DR-08 about no client", nameless, good},
		{"DR-08 about a client with a document", byURL, good},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				var said profile
				if method == "PUT" {
					said = newcomer.of(first)
				}
				a := w.manage(method, tc.about, tc.token, said)
				require.Equal(t, http.StatusUnauthorized, a.status, a.body)
				require.Equal(t, "invalid_token", a.json(t)["error"])
				require.True(t, strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer"))
				if tc.token != "" {
					denials = append(denials, a)
				}
			}
			require.Equal(t, http.StatusOK, w.own("GET", first, nil).status)
		})
	}
	t.Run("DR-08 no denial tells whether the client exists", func(t *testing.T) {
		for _, a := range denials {
			require.Equal(t, denials[0].body, a.body)
			require.Equal(t, denials[0].header.Get("WWW-Authenticate"), a.header.Get("WWW-Authenticate"))
		}
	})
	t.Run("DR-08 a token opens nothing else", func(t *testing.T) {
		a := w.transmit("POST", "/revoke", "token=x", http.Header{"Authorization": {"Bearer " + good}})
		require.Equal(t, http.StatusUnauthorized, a.status, a.body)
	})
}

func TestManageReplace(t *testing.T) {
	t.Parallel()
	full := newcomer.with("client_name", "First", "client_uri", "https://new.example/", "scope", "read", "grant_types", []string{"authorization_code", "refresh_token"},
		"post_logout_redirect_uris", []string{"https://new.example/bye"})
	t.Run("DR-08 an update replaces everything", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, registration())
		c := w.registered(full)
		said := profile{"redirect_uris": []string{"https://moved.example/cb"}, "client_name": "Second"}
		a := w.own("PUT", c, said.of(c))
		require.Equal(t, http.StatusOK, a.status, a.body)
		uncached(t, a)
		for _, now := range []map[string]any{a.json(t), w.own("GET", c, nil).json(t)} {
			require.Equal(t, []any{"https://moved.example/cb"}, now["redirect_uris"])
			require.Equal(t, "Second", now["client_name"])
			require.Equal(t, "read write", now["scope"])
			require.Equal(t, []any{"authorization_code"}, now["grant_types"])
			for _, gone := range []string{"client_uri", "post_logout_redirect_uris", "client_secret"} {
				require.NotContains(t, now, gone)
			}
			for _, same := range []string{"client_id", "client_id_issued_at", "registration_access_token", "registration_client_uri"} {
				require.Equal(t, c[same], now[same], same)
			}
		}
		b := w.signedIn("alice")
		errorPage(t, b.authorize(asRegistered(c)))
		code := b.decide(b.authorize(asRegistered(c, "redirect_uri", "https://moved.example/cb")), "approve", "read").location(t).Get("code")
		got := w.token(codeForm(code, "redirect_uri", ""), c["client_id"].(string), c["client_secret"].(string))
		require.Equal(t, http.StatusOK, got.status, "the secret is still the same")
	})
	w := newWorld(t, registration())
	c := w.registered(full)
	before := w.own("GET", c, nil).body
	for _, tc := range []struct {
		name string
		said profile
		code string
	}{
		{"DR-08 an update without the ID", full, "invalid_client_metadata"},
		{"DR-08 an update with another's ID", full.with("client_id", "web"), "invalid_client_metadata"},
		{"DR-08 an update with a secret of the client's choice", full.of(c).with("client_secret", "chosen"), "invalid_client_metadata"},
		{"DR-08 an update with no redirect URI", full.of(c).with("redirect_uris", nil), "invalid_client_metadata"},
		{"DR-08 an update with a bad redirect URI", full.of(c).with("redirect_uris", []string{"http://new.example/cb"}), "invalid_redirect_uri"},
		{"DR-08 an update with a software statement", full.of(c).with("software_statement", "x.y.z"), "unapproved_software_statement"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			refused(t, w.own("PUT", c, tc.said), tc.code)
			require.Equal(t, before, w.own("GET", c, nil).body, "nothing has changed")
		})
	}
	t.Run("DR-08 a client repeats what it was told", func(t *testing.T) {
		a := w.own("PUT", c, profile(c))
		require.Equal(t, http.StatusOK, a.status, a.body)
		require.JSONEq(t, before, a.body)
	})
	t.Run("DR-08 a client gets a secret when it first needs one, and loses it when not", func(t *testing.T) {
		c := w.registered(newcomer.with("token_endpoint_auth_method", "none"))
		a := w.own("PUT", c, newcomer.of(c)).json(t)
		secret := a["client_secret"].(string)
		require.EqualValues(t, 0, a["client_secret_expires_at"])
		redeem := func() answer {
			return w.token(codeForm(w.code(asRegistered(c)), "redirect_uri", ""), c["client_id"].(string), secret)
		}
		require.Equal(t, http.StatusOK, redeem().status)
		require.NotContains(t, w.own("PUT", c, newcomer.of(c).with("token_endpoint_auth_method", "client_secret_basic")).json(t), "client_secret")
		require.Equal(t, http.StatusOK, redeem().status)
		require.Equal(t, http.StatusOK, w.own("PUT", c, newcomer.of(c).with("token_endpoint_auth_method", "none")).status)
		refused(t, redeem(), "invalid_client")
	})
	t.Run("DR-08 an update undoes nothing that the host did", func(t *testing.T) {
		c := w.registered(newcomer)
		kept, err := w.store.Client(t.Context(), c["client_id"].(string))
		require.NoError(t, err)
		kept.Disabled, kept.Consent, kept.Resources, kept.Serves, kept.Origins = true, authwright.ConsentAlways, []string{w.issuer}, []string{"https://api.example"}, []string{"https://x.example"}
		require.NoError(t, w.store.UpdateClient(t.Context(), kept))
		require.Equal(t, http.StatusOK, w.own("PUT", c, newcomer.of(c)).status)
		now, err := w.store.Client(t.Context(), kept.ID)
		require.NoError(t, err)
		require.Equal(t, kept, now)
	})
	t.Run("DR-08 who has verified a client has not verified what becomes of it", func(t *testing.T) {
		c := w.registered(newcomer)
		kept, err := w.store.Client(t.Context(), c["client_id"].(string))
		require.NoError(t, err)
		kept.Unverified = false
		require.NoError(t, w.store.UpdateClient(t.Context(), kept))
		require.Equal(t, http.StatusOK, w.own("PUT", c, newcomer.of(c).with("client_name", "Your Bank")).status)
		require.Contains(t, w.signedIn("alice").authorize(asRegistered(c)).body, "Nobody here has checked")
	})
	t.Run("CM-10 users are asked again about what has become another", func(t *testing.T) {
		c := w.registered(newcomer.with("token_endpoint_auth_method", "none"))
		require.NotEmpty(t, w.code(asRegistered(c)))
		b := w.signedIn("alice")
		require.NotEmpty(t, b.authorize(asRegistered(c)).location(t).Get("code"))
		require.Equal(t, http.StatusOK, w.own("PUT", c, newcomer.of(c).with("token_endpoint_auth_method", "none", "client_name", "Your Bank")).status)
		consentPage(t, b.authorize(asRegistered(c)))
	})
	t.Run("DR-08 what could not be stored has not changed", func(t *testing.T) {
		w := newWorld(t, registration(func(r *authwright.Registration) { r.Clients = readOnly{r.Clients.(*authwright.Memory)} }))
		c := w.registered(newcomer)
		for _, method := range []string{"PUT", "DELETE"} {
			var said profile
			if method == "PUT" {
				said = newcomer.of(c).with("client_name", "Second")
			}
			require.Equal(t, http.StatusServiceUnavailable, w.own(method, c, said).status)
		}
		require.NotContains(t, w.own("GET", c, nil).body, "Second")
		require.NotEmpty(t, w.code(asRegistered(c)), "nor does it keep anybody from signing in")
	})
}

func TestManageDelete(t *testing.T) {
	t.Parallel()
	for name, index := range map[string]bool{"DR-08 a client that leaves is gone, and its grants with it": true, "DR-08 without an index, its grants are worth nothing all the same": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, registration(), func(cfg *authwright.Config) {
				if !index {
					cfg.Index = nil
				}
			})
			c := w.registered(newcomer.with("grant_types", []string{"authorization_code", "refresh_token"}))
			id, secret := c["client_id"].(string), c["client_secret"].(string)
			tokens := w.token(codeForm(w.code(asRegistered(c)), "redirect_uri", ""), id, secret).json(t)
			a := w.own("DELETE", c, nil)
			require.Equal(t, http.StatusNoContent, a.status, a.body)
			require.Empty(t, a.body)
			require.Equal(t, "no-store", a.header.Get("Cache-Control"))
			if index {
				grants := w.grants(id)
				require.NotEmpty(t, grants)
				for _, g := range grants {
					require.Equal(t, authwright.StageRevoked, g.Stage)
				}
			}
			require.Equal(t, http.StatusUnauthorized, w.own("GET", c, nil).status)
			require.Equal(t, http.StatusUnauthorized, w.own("DELETE", c, nil).status)
			refused(t, w.token(refreshForm(tokens["refresh_token"].(string)), id, secret), "invalid_client")
			errorPage(t, w.signedIn("alice").authorize(asRegistered(c)))
		})
	}
}

// readOnly is a ClientStore in which nothing is changed any more.
type readOnly struct{ *authwright.Memory }

func (readOnly) UpdateClient(context.Context, *authwright.Client) error { return errDown }
func (readOnly) DeleteClient(context.Context, string) error             { return errDown }

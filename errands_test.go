package authwright_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// An errand is what somebody sends one request for.
type errand struct {
	name   string
	begin  func(s *sweep) attempt // while nothing is wrong yet
	change func(*authwright.Config)
}

// An attempt is how an errand is run.
type attempt struct {
	request func() *http.Request
	whole   bool                 // nothing is stored before everything else has gone well
	done    func(a answer) error // says why the errand is not done, if it is not
	again   func(a answer) error // judges the same request once more, if it was done in secret; nil is done
	after   func()               // checks what works in the end
}

var errands = []errand{
	{name: "an authorization request that asks the user", begin: func(s *sweep) attempt {
		return attempt{request: s.authorizing("prompt", "consent"), done: s.question}
	}},
	{name: "an authorization request that nobody need be asked about", begin: func(s *sweep) attempt {
		return attempt{request: s.authorizing("client_id", "house", "redirect_uri", "https://house.example/cb"), done: s.liveCode}
	}},
	{name: "an authorization request that was consented to before", begin: func(s *sweep) attempt {
		s.code()
		return attempt{request: s.authorizing(), done: s.liveCode}
	}},
	{name: "an authorization request of nobody", begin: func(s *sweep) attempt {
		return attempt{
			request: func() *http.Request { return s.req(http.MethodGet, "/authorize?"+request().Encode(), nil) },
			done:    func(a answer) error { return expect(a, http.StatusSeeOther, "", "/login?") },
		}
	}},
	{name: "an approval", begin: func(s *sweep) attempt { return s.deciding("approve", s.liveCode) }},
	{name: "a refusal", begin: func(s *sweep) attempt {
		return s.deciding("deny", func(a answer) error {
			return expect(a, http.StatusSeeOther, "", "https://web.example/cb?error=access_denied")
		})
	}},
	{name: "an approval where challenges are good once", change: func(cfg *authwright.Config) { cfg.RefuseReusedChallenges = true }, begin: func(s *sweep) attempt {
		do := s.deciding("approve", s.liveCode)
		expired := do.again
		do.again = func(a answer) error {
			if strings.Contains(a.header.Get("Location"), "error=invalid_request") {
				return nil // the challenge is spent, and the client has to make another
			}
			return expired(a)
		}
		do.after = func() {
			s.done(s.request(s.authorizing("prompt", "consent", "code_challenge", base64.RawURLEncoding.EncodeToString(sha(verifier+"2")))), s.question)
		}
		return do
	}},
	{name: "a code", begin: func(s *sweep) attempt { return s.redeeming(s.code("scope", "openid email read")) }},
	{name: "a refresh", begin: func(s *sweep) attempt { return s.refreshing(s.redeemed("scope", "openid email read")["refresh_token"]) }},
	{name: "a refresh once more", begin: func(s *sweep) attempt {
		first := s.redeemed("scope", "openid email read")["refresh_token"]
		do := s.refreshing(first)
		s.done(s.request(do.request), do.done)
		return do
	}},
	{name: "a replayed code", begin: func(s *sweep) attempt {
		do := s.redeeming(s.code())
		s.done(s.request(do.request), do.done)
		return attempt{whole: true, request: do.request, done: do.again}
	}},
	{name: "a replayed refresh token", begin: func(s *sweep) attempt {
		first := s.redeemed()["refresh_token"]
		do := s.refreshing(first)
		second := s.request(do.request).json(s.t)["refresh_token"]
		s.done(s.request(s.refreshing(second).request), do.done)
		return attempt{whole: true, request: do.request, done: s.dead}
	}},
	{name: "a token for a client itself", begin: func(s *sweep) attempt {
		return attempt{whole: true, request: s.form("/token", itself("client_id", "robot", "client_secret", "s", "scope", "read")), done: s.liveTokens}
	}},
	{name: "a token for a client that signs", begin: func(s *sweep) attempt {
		key := newKey(s.t)
		require.NoError(s.t, s.store.AddClient(s.t.Context(), &authwright.Client{ID: "signer", JWKS: keySetOf(s.t, key), GrantTypes: []string{"client_credentials"}, Scopes: []string{"read"}, DefaultScopes: []string{"read"}}))
		return attempt{done: s.liveTokens, request: func() *http.Request {
			w := &world{t: s.t, issuer: targetIssuer, clock: targetNow}
			assertion := signJWT(s.t, jose.ES256, key, nil, w.statement("signer", nil))
			return s.form("/token", itself("client_assertion_type", jwtBearer, "client_assertion", assertion))()
		}}
	}},
	{name: "revoking a refresh token", begin: func(s *sweep) attempt {
		return attempt{request: s.form("/revoke", ofToken(s.redeemed()["refresh_token"].(string)), "web"), done: s.revoked}
	}},
	{name: "revoking an access token", begin: func(s *sweep) attempt {
		return attempt{request: s.form("/revoke", ofToken(s.redeemed()["access_token"].(string)), "web"), done: s.revoked}
	}},
	{name: "revoking everything of a user", begin: func(s *sweep) attempt {
		s.redeemed()
		return attempt{request: s.method(func(r *http.Request) error { return s.RevokeSubject(r.Context(), "alice") }), done: s.revoked}
	}},
	{name: "introspecting an access token", begin: func(s *sweep) attempt { return s.introspecting("access_token") }},
	{name: "introspecting a refresh token", begin: func(s *sweep) attempt { return s.introspecting("refresh_token") }},
	{name: "whether a grant is active", begin: func(s *sweep) attempt {
		id := grantID(s.t, s.redeemed()["access_token"])
		return attempt{done: s.nothing, request: s.method(func(r *http.Request) error {
			active, err := s.GrantActive(r.Context(), id)
			require.True(s.t, active || err != nil, "it is")
			return err
		})}
	}},
	{name: "user information", begin: func(s *sweep) attempt {
		token := s.redeemed("scope", "openid email")["access_token"].(string)
		return attempt{
			request: func() *http.Request { return s.req(http.MethodGet, "/userinfo", nil, "Authorization", "Bearer "+token) },
			done:    func(a answer) error { return expect(a, http.StatusOK, `"email":"alice@example.com"`, "") },
		}
	}},
	{name: "a logout", begin: func(s *sweep) attempt {
		c, err := s.store.Client(s.t.Context(), "web")
		require.NoError(s.t, err)
		c.BackchannelLogoutURI = "https://127.0.0.1:9/" // which the server refuses to connect to
		require.NoError(s.t, s.store.UpdateClient(s.t.Context(), c))
		hint := s.redeemed("scope", "openid read")["id_token"].(string)
		return attempt{
			request: func() *http.Request { return s.req(http.MethodGet, "/logout?id_token_hint="+hint, asAlice()) },
			done: func(a answer) error {
				return errors.Join(expect(a, http.StatusOK, "You are signed out", ""), s.everyGrant(authwright.StageRevoked))
			},
		}
	}},
	{name: "a registration", begin: func(s *sweep) attempt {
		return attempt{request: s.json(http.MethodPost, "/register", `{"redirect_uris":["https://c.example/cb"]}`, ""), done: s.registered}
	}},
	{name: "reading a registration", begin: func(s *sweep) attempt { return s.managing(http.MethodGet, s.registered, nil) }},
	{name: "replacing a registration", begin: func(s *sweep) attempt { return s.managing(http.MethodPut, s.registered, nil) }},
	{name: "deleting a registration", begin: func(s *sweep) attempt {
		return s.managing(http.MethodDelete, func(a answer) error {
			return errors.Join(expect(a, http.StatusNoContent, "", ""), s.everyGrant(authwright.StageRevoked))
		},
			func(a answer) error {
				if a.status == http.StatusUnauthorized { // it is not there any more
					return s.everyGrant(authwright.StageRevoked)
				}
				return errors.Join(expect(a, http.StatusNoContent, "", ""), s.everyGrant(authwright.StageRevoked))
			})
	}},
}

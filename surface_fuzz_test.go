package authwright_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
)

// User information is for the one token that is good, in the two places where it may be.
func FuzzUserInfo(f *testing.F) {
	tg := newTarget(f)
	back := tg.send(f, http.MethodGet, "/authorize", request("client_id", "house", "redirect_uri", "https://house.example/cb", "scope", "openid email").Encode(), "", asAlice())
	_, answer, _ := strings.Cut(back.Header().Get("Location"), "?")
	form := codeForm(once(answer, "code"), "client_id", "house", "redirect_uri", "https://house.example/cb")
	tokens := fields(f, tg.send(f, http.MethodPost, "/token", "", form.Encode(), http.Header{"Content-Type": {formType}}))
	token := tokens["access_token"].(string)
	fill := strings.NewReplacer("{token}", token, "{id}", tokens["id_token"].(string), "{refresh}", tokens["refresh_token"].(string))
	for _, auth := range []string{
		"Bearer {token}", "bearer {token}", "BEARER  {token}", "Bearer {token} ", "Bearer", "Bearer ", "Bearer {id}", "Bearer {refresh}", "Basic {token}", "{token}", "Bearer {token}x", "Bearer {token}=", "Bearer\t{token}", "DPoP {token}", "", "Bearer " + strings.Repeat(".", 4000), "Bearer {token},{token}",
	} {
		f.Add(auth, "", "", false)
		f.Add(auth, "", "access_token={token}", true)
		f.Add(auth, "access_token={token}", "access_token={token}&access_token={token}", true)
		f.Add(auth, "0", "access_token={token}&access_token", true)
		f.Add(auth, "access_token=&not_access_token=1", "", false)
	}
	f.Fuzz(func(t *testing.T, auth, query, body string, post bool) {
		auth, query, body = fill.Replace(auth), fill.Replace(query), fill.Replace(body)
		h, method := with(http.Header{}, "Authorization", auth), http.MethodGet
		if post {
			h, method = with(h, "Content-Type", formType), http.MethodPost
		}
		w := tg.send(t, method, "/userinfo", query, body, h)
		answer := fields(t, w)
		if w.Code != http.StatusOK {
			require.NotContains(t, answer, "sub")
			require.NotEmpty(t, w.Header().Get("WWW-Authenticate"))
			return
		}
		require.Equal(t, map[string]any{"sub": "alice"}, answer)
		inURL, err := url.ParseQuery(query)
		require.NoError(t, err)
		require.Empty(t, strings.Join(inURL["access_token"], ""))
		if scheme, presented, _ := strings.Cut(auth, " "); auth != "" {
			require.Equal(t, "bearer", strings.ToLower(scheme))
			require.Equal(t, token, strings.TrimSpace(presented))
		} else {
			require.True(t, post)
			require.Equal(t, token, once(body, "access_token"))
		}
	})
}

// Whoever is signed out is sent to where his client has registered, or stays.
func FuzzLogout(f *testing.F) {
	tg := newTarget(f)
	for _, form := range []string{
		"", "client_id=stranger&post_logout_redirect_uri=https%3A%2F%2Fstranger.example%2Fbye%3Fx", "client_id=stranger&post_logout_redirect_uri=https%3A%2F%2Fevil.test%2F", "post_logout_redirect_uri=https%3A%2F%2Fstranger.example%2Fbye%3Fx", "client_id=house&post_logout_redirect_uri=https%3A%2F%2Fstranger.example%2Fbye%3Fx",
		"confirm=yes", "confirm=yes&client_id=stranger&post_logout_redirect_uri=https%3A%2F%2Fstranger.example%2Fbye%3Fx&state=%22%3E", "id_token_hint=a.b.c", "state=1&state=2", "client_id=nobody", "ui_locales=%ff", "logout_hint=" + strings.Repeat("x", 3000),
	} {
		f.Add(form, "", false, true, "same-origin")
		f.Add("", form, true, true, "cross-site")
		f.Add(form, form, true, false, "")
	}
	f.Fuzz(func(t *testing.T, query, body string, post, signedIn bool, site string) {
		h, method := with(http.Header{}, "Sec-Fetch-Site", site), http.MethodGet
		if signedIn {
			h = with(h, "Cookie", "session=alice")
		}
		if post {
			h, method = with(h, "Content-Type", formType), http.MethodPost
		}
		w := tg.send(t, method, "/logout", query, body, h)
		location := w.Header().Get("Location")
		if w.Code != http.StatusSeeOther {
			require.Empty(t, location)
			return
		}
		if post && strings.HasPrefix(location, "/logout?") {
			return // to be asked again, by GET
		}
		require.True(t, strings.HasPrefix(location, "https://stranger.example/bye?x"), location)
		require.Contains(t, []string{once(query, "client_id"), once(body, "client_id")}, "stranger")
		require.False(t, signedIn && site == "cross-site", "he was not asked")
	})
}

// What can be registered is a client like every stranger, as the storage then knows it.
func FuzzRegister(f *testing.F) {
	tg := newTarget(f)
	for _, body := range []string{
		`{"redirect_uris":["https://c.example/cb"]}`, `{"redirect_uris":["https://c.example/cb"],"client_id":"web","client_secret":"x","scope":"read admin"}`, `{"redirect_uris":["javascript:alert(1)"]}`, `{"redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"none"}`,
		`{"grant_types":["client_credentials"]}`, `{"redirect_uris":["https://c.example/cb"],"software_statement":"x"}`, `{"redirect_uris":["https://c.example/cb"],"jwks_uri":"https://127.0.0.1/"}`, `{"redirect_uris":["https://c.example/cb"],"client_name":"\u0000\u202e"}`, `{`, `[]`, `null`, ``, `{"redirect_uris":` + strings.Repeat("[", 2000),
		`{"redirect_uris":["https://c.example/cb"],"REDIRECT_URIS":["https://evil.test/"]}`, `{"redirect_uris":["com.example.app:/cb"],"application_type":"native","token_endpoint_auth_method":"client_secret_post"}`,
	} {
		f.Add(body, "application/json", "")
		f.Add(body, "application/json; charset=utf-8", "Bearer x")
		f.Add(body, formType, "")
	}
	f.Fuzz(func(t *testing.T, body, contentType, auth string) {
		tg.forget(t)
		w := tg.send(t, http.MethodPost, "/register", "", body, with(http.Header{}, "Content-Type", contentType, "Authorization", auth))
		answer := fields(t, w)
		if w.Code != http.StatusCreated {
			require.NotEmpty(t, answer["error"])
			require.NotContains(t, answer, "client_id")
			return
		}
		c, err := tg.store.Client(t.Context(), answer["client_id"].(string))
		require.NoError(t, err)
		require.NoError(t, c.Validate())
		require.True(t, c.Unverified && !c.Disabled && c.Consent == authwright.ConsentRemember)
		require.Subset(t, []string{"read", "write"}, append([]string{"read"}, c.Scopes...))
		require.NotContains(t, c.GrantTypes, "client_credentials")
		require.False(t, c.ExpiresAt.IsZero(), "it is forgotten if nobody uses it")
		for _, s := range c.Secrets {
			require.NotContains(t, s.Hash, answer["client_secret"])
		}
		for _, uri := range c.RedirectURIs {
			require.NotRegexp(t, "(?i)^[a-z]*script:", uri)
		}
	})
}

// Any issuer that is accepted can be mounted, with its documents where clients look for them, and
// no other path is an endpoint. What a request says of its host changes nothing.
func FuzzIssuer(f *testing.F) {
	for _, issuer := range []string{
		"https://as.example", "https://as.example/oauth", "https://as.example/a/b", "https://as.example/", "https://as.example/{tenant}", "https://as.example/a//b", "https://as.example/../x", "https://as.example/.", "https://as.example/%61", "https://as.example?x", "https://as.example#x", "https://u@as.example", "http://as.example", "http://127.0.0.1:8080/x",
		"http://[::1]/x", "HTTPS://as.example", "https://AS.example", "https://as.example:", "https://as.example:99999", "https://as.example/authorize", "https://as.example/.well-known/oauth-authorization-server", "https:as.example", "//as.example", "", "https://as.example/...", "https://as.example/a b", "https://as.example/é", "https://as.example/$", "https://as.example/a;b",
	} {
		for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/authorize", "/token", "/oauth/token", "/oauth/oauth/token", "/.well-known/oauth-authorization-server/oauth", "/oauth/.well-known/openid-configuration", "//token", "/token/", "/Token", "/", "", "/%74oken", "/../token"} {
			f.Add(issuer, path, "GET", "evil.test")
		}
	}
	signer := edKey()
	store := new(authwright.Memory)
	f.Fuzz(func(t *testing.T, issuer, path, method, host string) {
		srv, err := authwright.NewServer(authwright.Config{
			Issuer: issuer, Storage: store, SigningKeys: []authwright.SigningKey{{Signer: signer}}, Logger: slog.New(slog.DiscardHandler),
			Authenticator: authwright.LoginRedirect("/login", "next", func(*http.Request) (*authwright.User, error) { return nil, errors.New("nobody") }),
		})
		if err != nil {
			require.ErrorContains(t, err, "Config.Issuer")
			return
		}
		u, err := url.Parse(issuer)
		require.NoError(t, err)
		require.Equal(t, issuer, u.Scheme+"://"+u.Host+u.Path)
		mux := http.NewServeMux()
		srv.Register(mux)
		get := func(h http.Handler, method, path string) *httptest.ResponseRecorder {
			r := &http.Request{Method: method, Host: host, URL: &url.URL{Path: path}, Body: http.NoBody, RequestURI: path, Header: http.Header{"X-Forwarded-Host": {host}, "X-Forwarded-Prefix": {path}, "Forwarded": {"host=" + host}}}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r.WithContext(t.Context()))
			return w
		}
		for _, h := range []http.Handler{mux, srv} {
			w := get(h, http.MethodGet, "/.well-known/oauth-authorization-server"+u.Path)
			require.Equal(t, http.StatusOK, w.Code)
			meta := fields(t, w)
			require.Equal(t, issuer, meta["issuer"])
			require.Equal(t, issuer+"/token", meta["token_endpoint"])
			require.Equal(t, http.StatusOK, get(h, http.MethodGet, u.Path+"/jwks").Code)
		}
		require.Equal(t, http.StatusOK, get(http.StripPrefix(u.Path, srv), http.MethodGet, u.Path+"/jwks").Code)

		w := get(srv, method, path)
		require.True(t, w.Code < 500, w.Body.String())
		stripped := u.Path + "/" + strings.TrimPrefix(path, "/")
		if w.Code != http.StatusNotFound {
			require.True(t, slices.Contains(srv.Paths(), path) || slices.Contains(srv.Paths(), stripped), path)
		} else {
			require.NotContains(t, srv.Paths(), path)
		}
	})
}

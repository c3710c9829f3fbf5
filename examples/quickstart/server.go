package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// The two clients. A secret as short as this one is for a demonstration only.
const (
	webID, webSecret = "web", "web-secret"
	cliID            = "cli"
)

// requested is what the web client asks for.
var requested = strings.Join([]string{"notes:read", "notes:write", "profile"}, " ")

func newStorage(issuer string) (*authwright.Memory, error) {
	scopes := strings.Fields(requested)
	return authwright.NewMemory(
		&authwright.Client{
			ID:           webID,
			Name:         "Quickstart Notes",
			Secrets:      []authwright.ClientSecret{authwright.ChosenSecret(webSecret)},
			RedirectURIs: []string{issuer + "/app/callback", "http://127.0.0.1/callback"},
			Scopes:       scopes,
			// So that every walk sees the consent page. By default a user who
			// has agreed once is not asked again.
			Consent: authwright.ConsentAlways,
		},
		&authwright.Client{
			ID:           cliID,
			Name:         "Quickstart command line",
			RedirectURIs: []string{"http://127.0.0.1/callback"},
			Scopes:       scopes,
		},
	)
}

// newHandler puts the three parties together. In real life they are three programs on
// three machines; here they share a port, and nothing else: the application talks to the
// other two over HTTP only.
func newHandler(issuer string, storage *authwright.Memory) (http.Handler, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	people, timeline := newAccounts(), new(timeline)
	srv, err := authwright.NewServer(authwright.Config{
		Issuer:        issuer,
		Storage:       storage,
		Authenticator: authwright.LoginRedirect("/login", "next", people.currentUser),
		SigningKeys:   []authwright.SigningKey{{Signer: key}},
		Claims:        people.claims,
		Scopes: []authwright.Scope{
			{Name: "notes:read", Description: "Read your notes"},
			{Name: "notes:write", Description: "Write notes in your name"},
			{Name: "profile", Description: "See your name and email address"},
		},
		Resources: []authwright.Resource{{ID: issuer + "/api"}},
		Index:     storage,
		OnEvent:   timeline.add,
		// Time to read between two clicks. The default is one minute.
		CodeLifetime: 10 * time.Minute,
		// No second chance for a spent refresh token, so that the last step can
		// show a replay at once. The default is 30 seconds.
		RefreshGrace: -1,
	})
	if err != nil {
		return nil, err
	}
	app := newApp(issuer, people, timeline)

	pages := http.NewServeMux()
	people.register(pages)
	app.register(pages)

	mux := http.NewServeMux()
	srv.Register(mux)
	registerAPI(mux, issuer, srv.JWKS)
	mux.Handle("/", sameSite(issuer, pages))
	return app.record(mux), nil
}

// sameSite protects the pages, whose forms a cookie authenticates: against forms on
// other sites, and against this server under another name, 127.0.0.1 or something a
// stranger's DNS says, where the cookies are not.
func sameSite(issuer string, pages http.Handler) http.Handler {
	host := strings.TrimPrefix(issuer, "http://")
	csrf := http.NewCrossOriginProtection().Handler(pages)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer") // the callback's address holds a code
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		switch {
		case r.Host == host:
			csrf.ServeHTTP(w, r)
		case r.Method == http.MethodGet:
			http.Redirect(w, r, issuer+r.URL.RequestURI(), http.StatusSeeOther)
		default:
			http.Error(w, "this site is "+issuer, http.StatusMisdirectedRequest)
		}
	})
}

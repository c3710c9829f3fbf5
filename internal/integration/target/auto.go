package main

import (
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/authwright/authwright"
)

// An automaton does what a browser would do next, within the request that a browser
// would be answered, so that clients without one get as far.
type automaton struct{ server http.Handler } // the server is made after its hooks

// visit requests target, a path and query of the server, for whoever sent r: with the
// cookies that w sets and those of r. The answer goes to w.
func (a *automaton) visit(w http.ResponseWriter, r *http.Request, method, target string, form url.Values) error {
	next, err := http.NewRequestWithContext(r.Context(), method, target, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	next.Host, next.RemoteAddr, next.TLS = r.Host, r.RemoteAddr, r.TLS
	next.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, line := range w.Header().Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(line); err == nil {
			next.AddCookie(c)
		}
	}
	for _, c := range r.Cookies() {
		next.AddCookie(c) // of two with one name, net/http takes the first
	}
	a.server.ServeHTTP(w, next)
	return nil
}

// autoLogin signs everybody in as one user who has just come.
type autoLogin struct {
	authwright.Authenticator
	*automaton
	host *host
	user *user
}

func (l autoLogin) Login(w http.ResponseWriter, r *http.Request, req *authwright.AuthorizeRequest) {
	http.SetCookie(w, l.host.signIn(l.user))
	if err := l.visit(w, r, http.MethodGet, req.ReturnTo, nil); err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
	}
}

// autoConsent approves of everything. The clients of a target with auto_consent need no
// consent, but the library asks all the same about a public client that nobody can
// vouch for.
type autoConsent struct{ *automaton }

var hiddenInput = regexp.MustCompile(`name="([^"]*)" value="([^"]*)"`)

func (a autoConsent) RenderConsent(w http.ResponseWriter, r *http.Request, c *authwright.Consent) error {
	form := url.Values{"decision": {"approve"}}
	inputs := hiddenInput.FindAllStringSubmatch(string(c.Fields()), -1)
	if inputs == nil {
		return errors.New("target: the consent page has no hidden inputs")
	}
	for _, in := range inputs {
		form.Add(html.UnescapeString(in[1]), html.UnescapeString(in[2]))
	}
	for _, s := range c.Scopes {
		form.Add("scope", s.Name)
	}
	return a.visit(w, r, http.MethodPost, c.Action, form)
}

package authwright

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
)

// logoutParams are those of OpenID Connect RP-Initiated Logout, section 2, and the answer
// to the question that the page asks.
var logoutParams = []string{
	"id_token_hint", "logout_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales", "confirm",
}

// A logout is a request to end the session of whoever is signed in in this browser.
type logout struct {
	form   form
	hint   *idTokenHint // nil if there is none
	client *Client      // nil if it is not known who asks
	target string       // where to go afterwards; one that the client registered, or ""
}

// ServeLogout serves the end-session endpoint (OpenID Connect RP-Initiated Logout 1.0).
func (s *Server) ServeLogout(w http.ResponseWriter, r *http.Request) {
	if s.cfg.OpenID == nil || s.cfg.OpenID.Logout == nil {
		http.NotFound(w, r)
		return
	}
	pageHeaders(w)
	if !allow(w, r, http.MethodGet, http.MethodPost) {
		return
	}
	r, d := s.bounded(r)
	defer d.stop()
	if err := s.logout(w, r); err != nil {
		s.refuse(w, r, err)
	}
}

func (s *Server) logout(w http.ResponseWriter, r *http.Request) error {
	req, err := s.readLogout(w, r)
	if err != nil {
		return err
	}
	confirmed := r.Method == http.MethodPost && req.form.has("confirm")
	if confirmed { // which only our own page can be told
		if err := s.csrf.Check(r); err != nil {
			return &Error{Code: ErrAccessDenied, Description: errForeign.Description, Status: http.StatusForbidden, Err: err}
		}
	} else if r.Method == http.MethodPost {
		// A GET that means the same has the user's SameSite=Lax session.
		redirect(w, s.base+pathLogout+"?"+req.form.encode())
		return nil
	}
	user, err := s.currentUser(r)
	if err != nil {
		return err
	}
	if user == nil && s.bounce(w, r, pathLogout, req.form) {
		return nil
	}
	// Section 2: a client that cannot show that this user is its own has no say, so
	// the user is asked.
	hinted := user != nil && req.hint.concerns(user)
	if user != nil && !hinted && !confirmed {
		s.askLogout(w, r, req, user)
		return nil
	}
	if user != nil {
		// While the user is signed in, what fails can be tried again.
		if err := s.endSession(r.Context(), user); err != nil {
			return unavailable(err)
		}
		if err := s.cfg.OpenID.Logout(w, r); err != nil {
			return err
		}
	}
	s.afterLogout(w, r, req, hinted)
	return nil
}

// afterLogout leads the user to where the client wants. If nobody has vouched for the
// client, and it has not shown that the user is its own, the user decides (section 3;
// RFC 9700, section 4.11.2).
func (s *Server) afterLogout(w http.ResponseWriter, r *http.Request, req *logout, hinted bool) {
	if req.target == "" {
		s.page(w, r, http.StatusOK, "logged_out", page{Title: "You are signed out"})
		return
	}
	target := withState(req.target, req.form.get("state"))
	if req.client.Unverified && !hinted {
		to := (&Consent{RedirectURI: req.target}).RedirectHost()
		s.page(w, r, http.StatusOK, "logged_out", page{Title: "You are signed out", Back: target, Client: to})
		return
	}
	redirect(w, target)
}

// concerns reports whether h was issued for the session that user is in.
func (h *idTokenHint) concerns(user *User) bool {
	return h != nil && h.Subject == user.Subject && (h.Session == "" || h.Session == user.Session)
}

// readLogout reads a request as far as it can be trusted.
func (s *Server) readLogout(w http.ResponseWriter, r *http.Request) (*logout, error) {
	f, err := parseForm(r.URL.RawQuery)
	if err == nil && r.Method == http.MethodPost {
		var body form
		if body, err = readForm(w, r); err == nil {
			f = append(f, body...)
		}
	}
	if err != nil {
		return nil, err
	}
	if name := f.repeated(logoutParams); name != "" {
		return nil, &Error{Code: ErrInvalidRequest, Description: name + " is there more than once"}
	}
	req, id := &logout{form: f}, f.get("client_id")
	if text := f.get("id_token_hint"); text != "" {
		if req.hint, err = s.readIDToken(text); err != nil {
			return nil, &Error{Code: ErrInvalidRequest, Description: "id_token_hint is not an ID token of this server", Err: err}
		}
		if id != "" && id != req.hint.Audience[0] {
			return nil, &Error{Code: ErrInvalidRequest, Description: "client_id and id_token_hint name different clients"}
		}
		id = req.hint.Audience[0]
	}
	if id != "" {
		req.client, err = s.client(r.Context(), id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, unavailable(err)
		}
	}
	if uri := f.get("post_logout_redirect_uri"); uri != "" {
		if req.client == nil || req.client.Disabled || !slices.Contains(req.client.PostLogoutRedirectURIs, uri) || validateRedirectURI(uri) != nil {
			return nil, &Error{Code: ErrInvalidRequest, Description: "post_logout_redirect_uri is not registered"}
		}
		req.target = uri
	}
	return req, nil
}

// askLogout asks the user. The form carries the request along, to be checked again.
func (s *Server) askLogout(w http.ResponseWriter, r *http.Request, req *logout, user *User) {
	p := page{Title: "Sign out?", Message: cmp.Or(user.Name, user.Subject), Restart: s.base + pathLogout}
	for _, f := range req.form.without("confirm") {
		if slices.Contains(logoutParams, f.name) {
			p.Fields = append(p.Fields, field{f.name, f.value})
		}
	}
	s.page(w, r, http.StatusOK, "logout", p)
}

// withState adds the state of a logout request, and nothing else, to where it leads.
func withState(uri, state string) string {
	if state == "" {
		return uri
	}
	return withResponse(uri, form{{"state", state}})
}

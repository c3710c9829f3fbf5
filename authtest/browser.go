package authtest

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"

	"github.com/authwright/authwright"
)

// Login returns the browser of a user who is signed in at the server and allows whatever a
// client asks for. It keeps cookies and follows redirects, so that one Get of an
// application's login page ends at the application. Each of changes is applied to the
// user, to say how they signed in.
//
// It signs in again when a client insists, and does not go on from a page that a script
// or a button has to submit: ask for the response mode query.
func (s *Server) Login(subject string, changes ...func(*authwright.User)) *http.Client {
	return s.browser(subject, "approve", changes)
}

// Deny is [Server.Login] for a user who denies what is asked. What the user has
// allowed before is not asked again.
func (s *Server) Deny(subject string, changes ...func(*authwright.User)) *http.Client {
	return s.browser(subject, "deny", changes)
}

func (s *Server) browser(subject, decision string, changes []func(*authwright.User)) *http.Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatalf("authtest: %v", err)
	}
	user := authwright.User{Subject: subject}
	for _, change := range changes {
		change(&user)
	}
	home, err := url.Parse(s.Issuer)
	if err != nil {
		s.t.Fatalf("authtest: %v", err)
	}
	jar.SetCookies(home, []*http.Cookie{s.signIn(user)})
	return &http.Client{Jar: jar, Transport: person{transport{s}, decision}}
}

// Authorize lets a user open target, which is an authorization request or a page that leads
// to one, and allow it. It returns the parameters that the client is sent, such as code and
// state, without visiting the redirect URI. If error is one of them, or if there is a page
// instead, it returns an error as well; in the former case an [*authwright.Error].
func (s *Server) Authorize(subject, target string) (url.Values, error) {
	b := s.Login(subject)
	b.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if s.serves(via[len(via)-1].URL) && !s.serves(r.URL) {
			return http.ErrUseLastResponse
		}
		if len(via) >= 10 {
			return errors.New("more than ten redirects")
		}
		return nil
	}
	resp, err := b.Get(target)
	if err != nil {
		return nil, fmt.Errorf("authtest: %w", err)
	}
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		page, _ := io.ReadAll(resp.Body)
		reason := "no redirect to the client"
		if m := alert.FindSubmatch(page); m != nil {
			reason = html.UnescapeString(string(m[1]))
		}
		return nil, fmt.Errorf("authtest: %s answered %s: %s", resp.Request.URL.Path, resp.Status, reason)
	}
	answer := to.Query()
	if code := answer.Get("error"); code != "" {
		return answer, &authwright.Error{Code: authwright.ErrorCode(code), Description: answer.Get("error_description")}
	}
	return answer, nil
}

// alert is what an error page of the server tells the user.
var alert = regexp.MustCompile(`role="alert">([^<]*)<`)

// serves reports whether u is on the server's host.
func (s *Server) serves(u *url.URL) bool { return u.Scheme+"://"+u.Host == s.origin }

// A transport answers what is for the server without the network, wherever the Issuer says
// it is, and in the context of the request. Everything else takes the network.
type transport struct{ s *Server }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.s.serves(r.URL) {
		return t.s.network.RoundTrip(r)
	}
	arrived := r.Clone(r.Context())
	arrived.Host, arrived.RequestURI, arrived.RemoteAddr = r.URL.Host, r.URL.RequestURI(), "127.0.0.1:1"
	if arrived.Body == nil {
		arrived.Body = http.NoBody
	}
	defer arrived.Body.Close()
	w := httptest.NewRecorder()
	t.s.serve(w, arrived)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}

// A person decides, without looking, as soon as the consent page is there.
type person struct {
	transport
	decision string
}

// handle is the input that every consent page has, whoever draws it; see
// [authwright.Consent.Fields].
var handle = regexp.MustCompile(`<input type="hidden" name="consent" value="([^"]+)">`)

func (p person) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := p.transport.RoundTrip(r)
	if err != nil || !p.s.serves(r.URL) || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	page, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(page))
	if m := handle.FindSubmatch(page); m != nil {
		return p.decide(r, resp, string(m[1]))
	}
	return resp, nil
}

// decide submits the form of a page. What the server answers takes the page's place.
func (p person) decide(r *http.Request, page *http.Response, question string) (*http.Response, error) {
	query := r.URL.Query()
	scopes := strings.Fields(query.Get("scope"))
	if len(scopes) == 0 {
		c, err := p.s.storage.find(r.Context(), query.Get("client_id"))
		if err != nil {
			return nil, err
		}
		scopes = c.DefaultScopes
	}
	form := url.Values{"consent": {question}, "decision": {p.decision}, "scope": scopes}
	answer, err := http.NewRequestWithContext(r.Context(), http.MethodPost, p.s.Issuer+"/consent?"+r.URL.RawQuery, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	answer.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, c := range append(r.Cookies(), page.Cookies()...) {
		answer.AddCookie(c)
	}
	resp, err := p.transport.RoundTrip(answer)
	if err != nil {
		return nil, err
	}
	resp.Request = r
	for _, c := range page.Header.Values("Set-Cookie") {
		resp.Header.Add("Set-Cookie", c)
	}
	return resp, nil
}

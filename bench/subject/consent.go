package subject

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
)

var (
	formAction = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
	formHandle = regexp.MustCompile(`name="consent" value="([^"]*)"`)
)

// consent has the user allow the client what it asks for, on the server's page, unless
// that has been done before.
func consent(srv http.Handler) error {
	asked := httptest.NewRecorder()
	srv.ServeHTTP(asked, httptest.NewRequest(http.MethodGet, Issuer+"/authorize?"+AuthorizeQuery, nil))
	if strings.HasPrefix(asked.Header().Get("Location"), RedirectURI) {
		return nil
	}
	page := asked.Body.String()
	action, handle := formAction.FindStringSubmatch(page), formHandle.FindStringSubmatch(page)
	if action == nil || handle == nil {
		return fmt.Errorf("the answer to the authorization request is no consent page: %d %s", asked.Code, page)
	}
	form := url.Values{"consent": {handle[1]}, "scope": strings.Fields(Scope), "decision": {"approve"}}
	r := httptest.NewRequest(http.MethodPost, Issuer+html.UnescapeString(action[1]), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, cookie := range asked.Result().Cookies() {
		r.AddCookie(cookie)
	}
	answered := httptest.NewRecorder()
	srv.ServeHTTP(answered, r)
	if !strings.HasPrefix(answered.Header().Get("Location"), RedirectURI+"?code=") {
		return fmt.Errorf("consent was answered %d %s %s", answered.Code, answered.Header().Get("Location"), answered.Body)
	}
	return nil
}

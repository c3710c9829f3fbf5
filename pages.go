package authwright

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strings"
)

//go:embed pages.html
var pagesHTML string

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	// A redirect URI has been checked against what the client registered, its
	// scheme included, which html/template would not let pass.
	"trusted": func(uri string) template.URL { return template.URL(uri) },
}).Parse(pagesHTML))

// pagePolicy is for the built-in pages: their own style and script and nothing else. There is
// no form-action, which browsers would apply to the redirect that follows a form, and
// so to the client.
var pagePolicy = "default-src 'none'; style-src " + inlineHash("style") + "; script-src " + inlineHash("script") +
	"; base-uri 'none'; frame-ancestors 'none'"

// inlineHash is the source expression that allows the pages' inline element of this name.
func inlineHash(element string) string {
	_, rest, _ := strings.Cut(pagesHTML, "<"+element+">")
	text, _, _ := strings.Cut(rest, "</"+element+">")
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// A page is what the built-in pages show, apart from the consent page.
type page struct {
	Title   string
	Message string
	Code    string
	Next    string // where the browser goes by itself
	Restart string // the authorization request again
	Back    string // to the client
	Fields  []field
	Client  string
}

// A field is a hidden input.
type field struct{ Name, Value string }

// pageHeaders sets the headers of everything a browser shows, or passes through, on
// behalf of this server (RFC 9700, sections 4.2.4 and 4.16).
func pageHeaders(w http.ResponseWriter) {
	h := w.Header()
	h["Cache-Control"] = headerNoStore
	h["Pragma"] = headerNoCache
	h["X-Content-Type-Options"] = headerNoSniff
	h["Referrer-Policy"] = headerNoReferrer
	h["X-Frame-Options"] = headerDeny
	h["Content-Security-Policy"] = headerNoFrames
}

var (
	headerNoReferrer = []string{"no-referrer"}
	headerDeny       = []string{"DENY"}
	headerNoFrames   = []string{"frame-ancestors 'none'"}
)

// page answers with a built-in page.
func (s *Server) page(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil { // only for templates that are ours
		s.log(r, asError(err))
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	if p, ok := data.(page); ok && p.Next != "" {
		w.Header().Set("Refresh", "0; url="+p.Next)
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// refuse tells the user, and nobody else, that the request cannot go on.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := asError(err)
	s.log(r, e)
	p := page{Title: "This request cannot go on", Message: e.Description, Code: string(e.Code)}
	if e.status() >= 500 {
		p.Title = "Something went wrong here"
		p.Message = "This is not your doing. Please try again in a moment."
	}
	s.page(w, r, e.status(), "error", p)
}

// builtinConsent is the ConsentRenderer of a host that has none.
type builtinConsent struct{}

func (builtinConsent) RenderConsent(w http.ResponseWriter, _ *http.Request, c *Consent) error {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "consent", c); err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := w.Write(b.Bytes())
	return err
}

package main

import (
	"bytes"
	_ "embed"
	"html/template"
	"log"
	"net/http"
)

//go:embed page.html
var pageHTML string

//go:embed style.css
var style []byte

var templates = template.Must(template.New("").Parse(pageHTML))

// A page is the start page of one browser.
type page struct {
	*walk
	Issuer string
	User   *account // signed in at the authorization server, or nil
	Steps  []step
	Events []happening
}

// Step returns the step with a number.
func (p *page) Step(number int) step { return p.Steps[number-1] }

// Finished reports whether there is nothing left to do.
func (p *page) Finished() bool { return p.now() > len(p.Steps) }

func (a *app) servePage(w http.ResponseWriter, r *http.Request) {
	wk, ok := a.walks.find(r)
	if !ok {
		wk = newWalk(a.issuer)
		a.walks.begin(w, r, wk)
	}
	signedIn, _ := a.people.logins.find(r)
	wk.mu.Lock()
	defer wk.mu.Unlock()
	render(w, http.StatusOK, "home", &page{
		walk:   wk,
		Issuer: a.issuer,
		User:   signedIn.account,
		Steps:  wk.steps(),
		Events: a.timeline.since(wk.began),
	})
}

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Write(style)
}

// render writes nothing before the whole page is there.
func render(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		log.Printf("quickstart: %v", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

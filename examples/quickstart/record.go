package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// A hop is one request of the browser on its way from the application to the
// authorization server and back, and the answer.
type hop struct {
	step    int
	Request string
	Form    string // of a POST
	Answer  string
}

const (
	maxHops = 30
	maxForm = 4 << 10
)

// record wraps all three parties, to show on the page what a browser's own developer
// tools would.
func (a *app) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wk, ok := a.walks.find(r)
		if !ok || stepOf(r.URL.Path, "") == 0 {
			next.ServeHTTP(w, r)
			return
		}
		form := &prefix{limit: maxForm}
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.TeeReader(r.Body, form), r.Body}
		seen := &observer{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(seen, r)
		location := seen.Header().Get("Location")
		h := hop{
			step:    stepOf(r.URL.Path, location),
			Request: r.Method + " " + r.URL.RequestURI(),
			Form:    redact(form.String()),
			Answer:  fmt.Sprint(seen.status, " ", http.StatusText(seen.status)),
		}
		if location != "" {
			h.Answer += "\nLocation: " + location
		}
		wk.mu.Lock()
		defer wk.mu.Unlock()
		if len(wk.hops) < maxHops {
			wk.hops = append(wk.hops, h)
		}
	})
}

// stepOf is the step that a request belongs to, zero if it is none of the flow.
func stepOf(path, location string) int {
	switch path {
	case "/login":
		return 2
	case "/authorize":
		if strings.HasPrefix(location, "/login") {
			return 2
		}
		return 3
	case "/consent":
		return 3
	case "/app/callback":
		return 4
	}
	return 0
}

// Hops returns what the browser sent and got in a step.
func (wk *walk) Hops(step int) []hop {
	var list []hop
	for _, h := range wk.hops {
		if h.step == step {
			list = append(list, h)
		}
	}
	return list
}

// redact hides the one value that not even a demonstration should show.
func redact(form string) string {
	values, err := url.ParseQuery(form)
	if err != nil || !values.Has("password") {
		return form
	}
	values.Del("password")
	return values.Encode() + "&password=…"
}

// A prefix keeps the beginning of what is written.
type prefix struct {
	bytes.Buffer
	limit int
}

func (p *prefix) Write(b []byte) (int, error) {
	p.Buffer.Write(b[:min(len(b), p.limit-p.Len())])
	return len(b), nil
}

// An observer sees how a request is answered.
type observer struct {
	http.ResponseWriter
	status int
}

func (o *observer) WriteHeader(status int) {
	o.status = status
	o.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController].
func (o *observer) Unwrap() http.ResponseWriter { return o.ResponseWriter }

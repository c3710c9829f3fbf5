package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// An app is a client application, and a talkative one: it shows all that it sends.
type app struct {
	issuer   string
	people   *accounts // to show on the page who is signed in; no client knows that
	timeline *timeline
	walks    *sessions[*walk]
	client   *http.Client
}

func newApp(issuer string, people *accounts, timeline *timeline) *app {
	return &app{
		issuer:   issuer,
		people:   people,
		timeline: timeline,
		walks:    newSessions[*walk]("quickstart-app"),
		client:   &http.Client{Timeout: 10 * time.Second},
	}
}

func (a *app) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", a.servePage)
	mux.HandleFunc("GET /style.css", serveStyle)
	mux.HandleFunc("GET /app/callback", a.serveCallback)
	mux.HandleFunc("POST /app/token", a.act("token", a.redeem))
	mux.HandleFunc("POST /app/notes", a.act("api", a.readNotes))
	mux.HandleFunc("POST /app/notes/new", a.act("api", a.writeNote))
	mux.HandleFunc("POST /app/refresh", a.act("refresh", a.refresh))
	mux.HandleFunc("POST /app/replay", a.act("replay", a.replay))
	mux.HandleFunc("POST /app/restart", func(w http.ResponseWriter, r *http.Request) {
		a.walks.begin(w, r, newWalk(a.issuer))
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
}

// act returns a handler that does one step of the browser's walk, and shows it.
func (a *app) act(step string, do func(context.Context, *walk)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if wk, ok := a.walks.find(r); ok {
			wk.mu.Lock()
			do(r.Context(), wk)
			wk.mu.Unlock()
		}
		http.Redirect(w, r, "/#"+step, http.StatusSeeOther)
	}
}

// serveCallback takes the authorization response (RFC 6749, section 4.1.2). It comes by
// way of the browser, so anybody may have sent it there.
func (a *app) serveCallback(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	wk, ok := a.walks.find(r)
	switch {
	case !ok || q.Get("state") != wk.State:
		// Somebody may be trying to plant an answer of their own (RFC 9700,
		// section 4.7).
		http.Error(w, "this is not the answer to a question that this browser asked", http.StatusBadRequest)
		return
	case q.Get("iss") != a.issuer:
		// Whose answer is it? (RFC 9207, section 2.4)
		http.Error(w, "this answer comes from another authorization server", http.StatusBadRequest)
		return
	}
	wk.mu.Lock()
	if wk.Callback == nil { // a state is good for one answer
		wk.Callback = &callback{q.Get("code"), q.Get("error"), q.Get("error_description")}
	}
	wk.mu.Unlock()
	http.Redirect(w, r, "/#login", http.StatusSeeOther)
}

// redeem trades the code for tokens (RFC 6749, section 4.1.3).
func (a *app) redeem(ctx context.Context, wk *walk) {
	if wk.Callback == nil || wk.Callback.Code == "" || wk.Token != nil {
		return
	}
	wk.Token = a.askForTokens(ctx, params{
		{Name: "grant_type", Value: "authorization_code"},
		{Name: "code", Value: wk.Callback.Code},
		{Name: "redirect_uri", Value: a.issuer + "/app/callback"},
		{Name: "code_verifier", Value: wk.Verifier},
	})
	if tokens, ok := wk.Token.tokens(); ok {
		wk.New, wk.JWT = tokens, decode(tokens.Access)
	}
}

// refresh trades the refresh token for the next pair (RFC 6749, section 6).
func (a *app) refresh(ctx context.Context, wk *walk) {
	if wk.New.Refresh == "" || wk.Replay != nil {
		return
	}
	wk.Refresh = a.askForTokens(ctx, refreshParams(wk.New.Refresh))
	if tokens, ok := wk.Refresh.tokens(); ok {
		wk.Old, wk.New = wk.New, tokens
	}
}

// replay does what somebody with a stolen copy would do: it sends a refresh token that
// has been used. Then it sends the one that was good until a moment ago.
func (a *app) replay(ctx context.Context, wk *walk) {
	if wk.Old.Refresh == "" || wk.Replay != nil {
		return
	}
	wk.Replay = a.askForTokens(ctx, refreshParams(wk.Old.Refresh))
	wk.Aftermath = a.askForTokens(ctx, refreshParams(wk.New.Refresh))
}

func refreshParams(token string) params {
	return params{{Name: "grant_type", Value: "refresh_token"}, {Name: "refresh_token", Value: token}}
}

func (a *app) readNotes(ctx context.Context, wk *walk) {
	a.callAPI(ctx, wk, http.MethodGet, nil)
}

func (a *app) writeNote(ctx context.Context, wk *walk) {
	note, err := json.Marshal(map[string]string{"text": "Written by " + webID + " at " + time.Now().Format(time.TimeOnly)})
	if err == nil {
		a.callAPI(ctx, wk, http.MethodPost, strings.NewReader(string(note)))
	}
}

// callAPI uses the access token (RFC 6750, section 2.1).
func (a *app) callAPI(ctx context.Context, wk *walk, method string, body io.Reader) {
	if wk.New.Access == "" {
		return
	}
	header := http.Header{"Authorization": {"Bearer " + wk.New.Access}}
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	wk.API = a.send(ctx, method, "/api/notes", header, body)
}

// askForTokens calls the token endpoint, as itself: id and secret are form-encoded first
// (RFC 6749, section 2.3.1).
func (a *app) askForTokens(ctx context.Context, p params) *exchange {
	credentials := url.QueryEscape(webID) + ":" + url.QueryEscape(webSecret)
	return a.send(ctx, http.MethodPost, "/token", http.Header{
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))},
		"Content-Type":  {"application/x-www-form-urlencoded"},
	}, strings.NewReader(p.encode()))
}

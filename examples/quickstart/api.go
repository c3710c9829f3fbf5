package main

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"sync"

	"github.com/authwright/authwright/resource"
)

// registerAPI mounts the protected resource. All it knows of the authorization server is
// the issuer and its public keys; on another machine it would leave Keys nil, and fetch
// them.
func registerAPI(mux *http.ServeMux, issuer string, keys func(context.Context) ([]byte, error)) {
	verifier := &resource.Verifier{Issuer: issuer, Audience: issuer + "/api", Keys: keys}
	n := &notes{bySubject: map[string][]string{
		"alice": {"Follow the white rabbit", "Drink me"},
		"bob":   {"Can we fix it?", "Buy more bricks"},
	}}
	mux.Handle("GET /api/notes", verifier.Require("notes:read")(http.HandlerFunc(n.serveList)))
	mux.Handle("POST /api/notes", verifier.Require("notes:write")(http.HandlerFunc(n.serveAdd)))
}

const (
	maxNotes = 20 // of one person; the oldest go
	maxNote  = 1 << 10
)

type notes struct {
	mu        sync.Mutex
	bySubject map[string][]string
}

func (n *notes) serveList(w http.ResponseWriter, r *http.Request) {
	token := resource.FromContext(r.Context())
	n.mu.Lock()
	list := slices.Clone(n.bySubject[token.Subject])
	n.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"owner": token.Subject, "notes": list})
}

func (n *notes) serveAdd(w http.ResponseWriter, r *http.Request) {
	token := resource.FromContext(r.Context())
	// A scope is what the client may do in the user's name. What the user may do is
	// another question, and the token answers it as well.
	var claims struct {
		Permissions []string `json:"permissions"`
	}
	if err := token.Claims(&claims); err != nil || !slices.Contains(claims.Permissions, "notes.create") {
		writeJSON(w, http.StatusForbidden, map[string]any{"error": token.Subject + " may not create notes"})
		return
	}
	var note struct {
		Text string `json:"text"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxNote)).Decode(&note); err != nil || note.Text == "" {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": "want an object with a text"})
		return
	}
	n.mu.Lock()
	list := append(n.bySubject[token.Subject], note.Text)
	n.bySubject[token.Subject] = list[max(0, len(list)-maxNotes):]
	n.mu.Unlock()
	writeJSON(w, http.StatusCreated, note)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) // a client that has gone needs no answer
}

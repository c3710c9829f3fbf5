// Hello is a complete authorization server with one client and one user.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"log"
	"net/http"

	"github.com/authwright/authwright"
)

// users logs people in with the browser's own password prompt.
type users struct{}

func (users) CurrentUser(r *http.Request) (*authwright.User, error) {
	if name, pass, _ := r.BasicAuth(); name == "alice" && pass == "wonderland" {
		return &authwright.User{Subject: name}, nil
	}
	return nil, nil
}

func (users) Login(w http.ResponseWriter, _ *http.Request, _ *authwright.AuthorizeRequest) {
	w.Header().Set("WWW-Authenticate", `Basic realm="hello"`)
	w.WriteHeader(http.StatusUnauthorized)
}

func main() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		log.Fatal(err)
	}
	storage, err := authwright.NewMemory(&authwright.Client{ID: "app", RedirectURIs: []string{"http://127.0.0.1/callback"}, Scopes: []string{"notes"}})
	if err != nil {
		log.Fatal(err)
	}
	srv, err := authwright.NewServer(authwright.Config{
		Issuer:        "http://localhost:8080",
		Storage:       storage,
		Authenticator: users{},
		SigningKeys:   []authwright.SigningKey{{Signer: key}},
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", srv))
}

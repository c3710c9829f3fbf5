package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"

	"github.com/authwright/authwright"
)

const (
	scopeRead  = "notes:read"
	scopeWrite = "notes:write"
)

// newConfig is the authorization server. It knows no client: those that come introduce
// themselves by the URL of a document or, if they are older, register. The profile switches
// on the former and whatever else the Model Context Protocol demands.
func newConfig(origin string, site *site) (authwright.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // a real one is kept
	if err != nil {
		return authwright.Config{}, err
	}
	storage := new(authwright.Memory) // a real one outlives the program
	return authwright.Config{
		Issuer:        origin,
		Profile:       authwright.MCP,
		Storage:       storage,
		Authenticator: authwright.LoginRedirect("/login", "next", site.currentUser),
		SigningKeys:   []authwright.SigningKey{{Signer: key}},
		Scopes: []authwright.Scope{
			{Name: scopeRead, Description: "Read your notes"},
			{Name: scopeWrite, Description: "Add to your notes"},
		},
		Resources:    []authwright.Resource{{ID: origin + pathMCP, Scopes: []string{scopeRead, scopeWrite}}},
		Registration: &authwright.Registration{Clients: storage},
	}, nil
}

// Package peers has other implementations of an authorization server, each with the client of
// package subject in a store in memory. They are what a host writes that uses them as their
// own examples do.
package peers

import (
	"crypto"
	"net/http"
)

// A Server is an authorization server with subject's client, for which login and consent are
// done with.
type Server struct {
	Authorize, Token http.Handler
	Introspect       http.Handler // nil if there is no such endpoint
}

// A Peer makes a Server, by the name that stands in tables.
type Peer struct {
	Name string
	New  func(alg string, key crypto.Signer) (*Server, error)

	// Concurrent reports whether the store is safe for concurrent use.
	Concurrent bool
}

// All are the peers in the order of tables.
var All = []Peer{
	{Name: "fosite", New: func(alg string, key crypto.Signer) (*Server, error) { return newFosite(alg, key, fastHasher{}) }},
	{Name: "fosite-bcrypt", New: func(alg string, key crypto.Signer) (*Server, error) { return newFosite(alg, key, nil) }},
	{Name: "go-oauth2", New: newGoOAuth2, Concurrent: true},
	{Name: "osin", New: newOsin, Concurrent: true},
}

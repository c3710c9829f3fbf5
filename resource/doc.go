// Package resource protects HTTP handlers with the JWT access tokens of one
// authorization server (RFC 9068, RFC 6750). It is for the resource server, which
// is usually another program than the authorization server and shares nothing with
// it but the server's issuer identifier.
//
//	api := &resource.Verifier{
//		Issuer:   "https://auth.example.com",
//		Audience: "https://api.example.com",
//	}
//	mux.Handle("GET /notes", api.Require("notes:read")(http.HandlerFunc(listNotes)))
//
// In listNotes, [FromContext] returns the [Token]: who it speaks for, which client
// sent it, what it permits, and by [Token.Claims] whatever else the authorization
// server says about the user.
//
// The public keys are found by the issuer's metadata (RFC 8414), cached, and
// fetched again when a token names a key that is not known yet. A program that is
// also the authorization server hands over its key set instead:
//
//	api.Keys = srv.JWKS
//
// The signature of a token is verified once for as long as the issuer keeps the key: see
// [Verifier] for what it remembers.
//
// A token is checked here and nowhere else, so it is good until it expires, even when
// it has been revoked meanwhile. Keep access tokens short-lived; or have revocation
// count at once, by [Verifier.Live] in the program that is also the authorization
// server, and by [Verifier.Introspect] anywhere else. Tokens that are bound to a key
// (cnf) are refused, since a bearer proves nothing.
//
// [Verifier.Metadata] lets clients that know no more than the URL find their way to the
// authorization server (RFC 9728), as those of the Model Context Protocol do:
//
//	api.Metadata = &resource.Metadata{Scopes: []string{"notes:read"}}
//	api.Register(mux)
package resource

// Package authwright builds OAuth 2.0 authorization servers into existing web
// applications.
//
// A [Server] is an [http.Handler]. It speaks the protocol and nothing else: who the
// user is, what the consent page looks like and where grants are kept are the host
// application's business, and the host answers through three small interfaces.
//
//   - [Authenticator] says who is signed in, and sends everybody else to log in.
//   - [ConsentRenderer] asks the user to approve a client's request.
//   - [Storage] looks up clients and keeps grants.
//
// # The flow
//
//	browser   GET /authorize ─▶ CurrentUser ─▶ Login ─▶ RenderConsent ─▶ 303 ?code=…
//	client    POST /token    ─▶ code + verifier ─▶ JWT access token, refresh token
//	resource  verifies the JWT (package resource)
//
// # What is on
//
// Every endpoint that needs nothing from the host is always served. A feature that
// needs a decision or a page from the host is a nil field in [Config], and is off until
// the host fills it. The metadata document lists exactly what is on.
//
// # What is the host's
//
// TLS and its settings, HTTP Strict Transport Security included; the timeouts of the
// [http.Server]; sessions, and their renewal at login; limits on how often somebody may
// ask. Call [Server.Close] before the program ends, and the store's DeleteExpired now and
// then.
//
// # What is promised
//
// A code is redeemed at most once, and a chain of refresh tokens has one head, with any
// number of servers on one storage that keeps the promise of [Storage.SaveGrant]. A
// client that lost an answer, or refreshes in two tabs at once, stays signed in. A
// storage holds hashes only, and neither logs nor events hold any credential. Nothing is
// written for somebody who has not signed in.
package authwright

package authwright

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Errors a [Storage] returns, alone or wrapped.
var (
	// ErrNotFound says that the storage was asked and holds no such record.
	ErrNotFound = errors.New("authwright: not found")

	// ErrConflict says that somebody else was first.
	ErrConflict = errors.New("authwright: conflict")
)

// Storage is what the server remembers between requests. [Memory] is one for
// tests and single processes.
//
// Several servers may share one Storage, and every method must be safe for
// concurrent use. A value that is passed in or returned belongs to the caller,
// who may change it at once: an implementation copies, as a database does. An
// error that wraps neither [ErrNotFound] nor [ErrConflict] means that the
// storage could not answer; the server then replies 503 and nothing is lost. When
// its context is done, a method stores nothing and returns such an error.
//
// IDs, keys, subjects and client IDs are compared byte by byte. They are UTF-8; IDs
// and keys have at most 512 bytes, subjects and client IDs 2,048. A grant that has
// not expired is never forgotten.
//
// Package storagetest checks an implementation against these promises.
type Storage interface {
	// Client returns the client registered as id, or ErrNotFound.
	Client(ctx context.Context, id string) (*Client, error)

	// Grant returns the grant stored as id, or ErrNotFound. It returns what was
	// saved last, by whatever server, and not what a replica still thinks. It
	// may return a grant that has expired: expiry is data, and the server judges
	// it.
	Grant(ctx context.Context, id string) (*Grant, error)

	// SaveGrant stores g if the grant stored as g.ID has version g.Version-1
	// or, when g.Version is 1, if there is none. Otherwise it stores nothing
	// and returns ErrConflict.
	//
	// The comparison and the write must be one atomic step. It is the only
	// thing that keeps an authorization code or a refresh token from being
	// redeemed twice.
	SaveGrant(ctx context.Context, g *Grant) error

	// UseOnce records key until the given time, by the storage's own clock, or
	// returns ErrConflict if key is already recorded. It must be atomic.
	UseOnce(ctx context.Context, key string, until time.Time) error
}

// An Index finds grants by whom they concern: for a page of connected apps, a changed
// password, an application that is withdrawn. All stores of this module are one.
//
// Both methods return at most limit grants, 1,000 if limit is zero, of every stage and
// in no particular order. They may include expired ones. The page is "" at first and
// then what the call before returned as next; next is "" when there is no more. A grant
// that is not saved meanwhile is returned exactly once.
type Index interface {
	GrantsBySubject(ctx context.Context, subject, page string, limit int) (grants []*Grant, next string, err error)
	GrantsByClient(ctx context.Context, clientID, page string, limit int) (grants []*Grant, next string, err error)
}

// A Stage is a step in the life of a [Grant].
type Stage string

// The stages, in the order in which a grant passes through them.
const (
	StageConsent Stage = "consent" // waiting for the user's answer
	StageCode    Stage = "code"    // waiting for the client to redeem its code
	StageActive  Stage = "active"  // redeemed; refreshes from here on
	StageRevoked Stage = "revoked" // dead, and stays so

	// StageRemembered marks the record that a user has consented to a client
	// before. It never yields a token.
	StageRemembered Stage = "remembered"
)

// A Grant is one user's authorization of one client: everything the server
// remembers of it, from the consent page to the last refresh token.
//
// A storage may index ID, ClientID, Subject, Stage, CreatedAt and ExpiresAt. A
// Grant survives [encoding/json] unchanged, so the rest can be kept as one
// document and a new field needs no migration. It holds hashes only: nobody who
// reads a storage can redeem anything.
type Grant struct {
	ID        string    `json:"id"`
	Version   int64     `json:"version"` // counts saves, from 1
	Stage     Stage     `json:"stage"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // of no use afterwards; may be deleted
	EndsAt    time.Time `json:"ends_at,omitzero"`    // no refresh goes past it

	ClientID  string    `json:"client_id"`
	Subject   string    `json:"sub,omitempty"`
	Scopes    []string  `json:"scopes,omitempty"`    // asked for, then granted
	Resources []string  `json:"resources,omitempty"` // RFC 8707; becomes aud
	AuthTime  time.Time `json:"auth_time,omitzero"`  // when the user signed in
	ACR       string    `json:"acr,omitempty"`
	AMR       []string  `json:"amr,omitempty"`
	Session   string    `json:"sid,omitempty"` // the host's, from [User.Session]

	// Online is set when the user declined offline_access: the client gets no
	// refresh token.
	Online bool `json:"online,omitempty"`

	// Claims is the claims parameter of OpenID Connect Core, section 5.5.
	Claims json.RawMessage `json:"claims,omitempty"`

	RedirectURI   string `json:"redirect_uri,omitempty"`
	State         string `json:"state,omitempty"` // until the code is issued
	ResponseMode  string `json:"response_mode,omitempty"`
	Nonce         string `json:"nonce,omitempty"`
	CodeChallenge string `json:"code_challenge,omitempty"`

	// ClientHash is the hash of how a client that introduced itself described
	// itself to the user. If it changes, the user is asked again.
	ClientHash []byte `json:"client_hash,omitempty"`

	// Browser is the hash of the cookie of the browser that asked, while the
	// consent page waits for an answer.
	Browser []byte `json:"browser,omitempty"`

	// Secret is the hash of the one-time secret that moves the grant on: the
	// consent form's, then the code. The code's stays, so that a second
	// redemption is recognised for as long as the grant lives.
	Secret []byte `json:"secret,omitempty"`

	// The refresh chain. Lineage is the hash of what all its tokens share, Turn
	// and Previous of what the live one and the one before it have of their own.
	// Sealed is the live turn, readable only with the one before it.
	Lineage   []byte    `json:"lineage,omitempty"`
	Turn      []byte    `json:"turn,omitempty"`
	Previous  []byte    `json:"previous,omitempty"`
	Sealed    []byte    `json:"sealed,omitempty"`
	RotatedAt time.Time `json:"rotated_at,omitzero"`

	// Token is the hash of the access token that was issued last, by which the server
	// recognises it without verifying its signature.
	Token []byte `json:"token,omitempty"`
}

func (g *Grant) clone() *Grant {
	h := *g
	cloneLists(&h.Scopes, &h.Resources, &h.AMR)
	h.Claims = slices.Clone(g.Claims)
	h.ClientHash = slices.Clone(g.ClientHash)
	h.Browser = slices.Clone(g.Browser)
	h.Secret = slices.Clone(g.Secret)
	h.Lineage = slices.Clone(g.Lineage)
	h.Turn = slices.Clone(g.Turn)
	h.Previous = slices.Clone(g.Previous)
	h.Sealed = slices.Clone(g.Sealed)
	h.Token = slices.Clone(g.Token)
	return &h
}

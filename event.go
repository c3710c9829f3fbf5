package authwright

import (
	"context"
	"time"
)

// An EventType says what happened.
type EventType string

// The events, each reported once it has been stored.
const (
	EventConsentGiven     EventType = "consent_given"
	EventConsentDenied    EventType = "consent_denied"
	EventCodeIssued       EventType = "code_issued"
	EventCodeRedeemed     EventType = "code_redeemed"
	EventCodeReplayed     EventType = "code_replayed"  // proven; the grant is revoked
	EventTokenIssued      EventType = "token_issued"   // to a client that acts for itself
	EventTokenRotated     EventType = "token_rotated"  // a refresh
	EventTokenRetried     EventType = "token_retried"  // the same refresh again, within the grace
	EventTokenReplayed    EventType = "token_replayed" // proven; the grant is revoked
	EventGrantRevoked     EventType = "grant_revoked"
	EventClientRegistered EventType = "client_registered"
	EventClientAuthFailed EventType = "client_auth_failed"
)

// An Event is something that an operator may want to count, store or act on. It
// holds no credential, hashed or not.
type Event struct {
	Type     EventType
	Time     time.Time
	ClientID string // as the client claims, for EventClientAuthFailed; empty if there is no such client
	Subject  string
	GrantID  string // names the authorization; not a secret
	Scopes   []string
	Reason   string // in words, for logs
}

// emit reports an event about g.
func (s *Server) emit(ctx context.Context, t EventType, g *Grant, reason string) {
	if s.cfg.OnEvent == nil {
		return
	}
	s.cfg.OnEvent(ctx, Event{
		Type: t, Time: s.now(), Reason: reason,
		ClientID: g.ClientID, Subject: g.Subject, GrantID: g.ID, Scopes: g.Scopes,
	})
}

// limit bounds what a stranger can make us write into a log or a page.
func limit(s string) string {
	if len(s) > 128 {
		return s[:128]
	}
	return s
}

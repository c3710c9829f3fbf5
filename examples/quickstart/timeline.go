package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/authwright/authwright"
)

// A timeline keeps the latest of what the server reports by Config.OnEvent.
type timeline struct {
	mu     sync.Mutex
	events []authwright.Event
}

const maxEvents = 100

// add is called within requests, so it is quick.
func (t *timeline) add(_ context.Context, e authwright.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.events) == maxEvents {
		t.events = slices.Delete(t.events, 0, 1)
	}
	t.events = append(t.events, e)
}

// since returns the events from begin on, oldest first.
func (t *timeline) since(begin time.Time) []happening {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []happening
	for _, e := range t.events {
		if !e.Time.Before(begin) {
			list = append(list, happening{e})
		}
	}
	return list
}

// A happening is an event in words.
type happening struct{ authwright.Event }

// Alarming reports whether somebody should look at it.
func (h happening) Alarming() bool {
	switch h.Type {
	case authwright.EventCodeReplayed, authwright.EventTokenReplayed, authwright.EventGrantRevoked, authwright.EventClientAuthFailed:
		return true
	}
	return false
}

// Text says what the event means.
func (h happening) Text() string {
	switch h.Type {
	case authwright.EventConsentGiven:
		return h.Subject + " agreed that " + h.ClientID + " may act for them"
	case authwright.EventConsentDenied:
		return h.Subject + " said no to " + h.ClientID
	case authwright.EventCodeIssued:
		return "a one-time code for " + h.ClientID + " is on its way through the browser"
	case authwright.EventCodeRedeemed:
		return h.ClientID + " traded the code for tokens; it is spent"
	case authwright.EventCodeReplayed:
		return "a spent code came again: somebody else has it, too"
	case authwright.EventTokenRotated:
		return h.ClientID + " refreshed; the old refresh token is spent"
	case authwright.EventTokenRetried:
		return h.ClientID + " repeated a refresh and got the same answer"
	case authwright.EventTokenReplayed:
		return "a spent refresh token came again: somebody else has it, too"
	case authwright.EventGrantRevoked:
		return "everything that came of this authorization is dead"
	case authwright.EventClientAuthFailed:
		return "somebody who is not " + h.ClientID + " said they were"
	}
	return h.Reason
}

package resource

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"
	"time"
)

const (
	// seenTokens is how many tokens are remembered at most. Each has a few hundred bytes
	// of claims, so that all of them take some megabytes.
	seenTokens = 8192
	seenWays   = 4       // places that a token can be in
	maxSeen    = 4 << 10 // bytes of a token that is remembered
)

// A seen is a token that was found good.
type seen struct {
	id     [sha256.Size]byte // of its text, which is a secret and not kept
	header header
	key    *publicKey
	token  *Token
}

// A memory holds what was seen lately. Nobody but the issuer makes tokens that get here, so
// strangers cannot fill it. It takes no lock: a place holds one token or another, whole.
type memory struct {
	places [seenTokens]atomic.Pointer[seen]
}

// around returns the places where a token can be.
func (m *memory) around(id *[sha256.Size]byte) []atomic.Pointer[seen] {
	first := binary.LittleEndian.Uint32(id[:]) % (seenTokens / seenWays) * seenWays
	return m.places[first : first+seenWays]
}

// find returns the token id, or nil.
func (m *memory) find(id *[sha256.Size]byte) *seen {
	places := m.around(id)
	for i := range places {
		if s := places[i].Load(); s != nil && s.id == *id {
			return s
		}
	}
	return nil
}

// keep remembers s, instead of the token that is good for the shortest time if need be.
func (m *memory) keep(s *seen) {
	places := m.around(&s.id)
	var place int
	var shortest time.Time
	for i := range places {
		old := places[i].Load()
		if old == nil || old.id == s.id {
			place = i
			break
		}
		if i == 0 || old.token.Expiry.Before(shortest) {
			place, shortest = i, old.token.Expiry
		}
	}
	places[place].Store(s)
}

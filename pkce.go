package authwright

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"time"
)

// PKCE (RFC 7636) is required of every client, and S256 is the only method: plain
// protects nothing once a request leaks, which is the case PKCE is for.

// parseChallenge checks the challenge of an authorization request. A method that is
// not named means plain (section 4.3) and is refused with the others.
func parseChallenge(f form, optional bool) (string, error) {
	challenge, method := f.get("code_challenge"), f.get("code_challenge_method")
	switch {
	case challenge == "" && method == "" && optional:
		return "", nil
	case challenge == "":
		return "", &Error{Code: ErrInvalidRequest, Description: "code_challenge is missing; PKCE is required"}
	case method != "S256":
		return "", &Error{Code: ErrInvalidRequest, Description: "code_challenge_method must be S256"}
	}
	// Strict decoding also refuses a challenge no SHA-256 ends in. It skips line
	// breaks, which the syntax of section 4.2, the verifier's, has no room for.
	if decodeHash(new([sha256.Size]byte), challenge) != nil || !isVerifier(challenge) {
		return "", &Error{Code: ErrInvalidRequest, Description: "code_challenge is not a base64url-encoded SHA-256"}
	}
	return challenge, nil
}

// checkFreshness refuses a challenge or a nonce that the client has used before, if the host
// wants that (RFC 9700, section 2.1.1).
func (s *Server) checkFreshness(ctx context.Context, g *Grant) error {
	if !s.cfg.RefuseReusedChallenges {
		return nil
	}
	for _, value := range []string{g.CodeChallenge, g.Nonce} {
		if value == "" {
			continue
		}
		key := "fresh:" + base64.RawURLEncoding.EncodeToString(hash([]byte(g.ClientID+"\x00"+value)))
		err := s.cfg.Storage.UseOnce(ctx, key, s.now().Add(24*time.Hour))
		if errors.Is(err, ErrConflict) {
			return &Error{Code: ErrInvalidRequest, Description: "code_challenge or nonce was used before"}
		} else if err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// isVerifier reports whether text has the form of a code_verifier (section 4.1).
func isVerifier(text string) bool {
	for i := range len(text) {
		if !isUnreserved(text[i]) {
			return false
		}
	}
	return len(text) >= 43 && len(text) <= 128
}

// verifyPKCE reports whether verifier is the one that challenge was made from. No
// challenge was made from nothing.
func verifyPKCE(challenge, verifier string) bool {
	sum := sha256.Sum256([]byte(verifier))
	var want [43]byte
	base64.RawURLEncoding.Encode(want[:], sum[:])
	return subtle.ConstantTimeCompare(want[:], []byte(challenge)) == 1
}

package authwright

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// A ClientSecret is what a server keeps of a client secret: enough to recognise
// it, too little to use it.
type ClientSecret struct {
	// Hash names its scheme: "sha256:…" or "pbkdf2-sha256:rounds:salt:…".
	Hash string `json:"hash"`

	// ExpiresAt is when the secret stops being accepted. Zero means never.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// NewSecret returns a random client secret and what to store of it. With 256
// random bits, one fast hash protects it as well as any slow one.
func NewSecret() (secret string, stored ClientSecret) {
	b := make([]byte, 32)
	rand.Read(b)
	secret = base64.RawURLEncoding.EncodeToString(b)
	return secret, ClientSecret{Hash: schemeSHA256 + base64.RawURLEncoding.EncodeToString(hash([]byte(secret)))}
}

// ChosenSecret returns what to store of a secret that somebody chose, which can be
// guessed and so is hashed slowly. The first verification in a process takes a
// tenth of a second. Prefer [NewSecret].
func ChosenSecret(secret string) ClientSecret {
	salt := make([]byte, 16)
	rand.Read(salt)
	return ClientSecret{Hash: strings.Join([]string{
		schemePBKDF2 + strconv.Itoa(pbkdf2Rounds),
		base64.RawURLEncoding.EncodeToString(salt),
		base64.RawURLEncoding.EncodeToString(slowHash(secret, salt, pbkdf2Rounds)),
	}, ":")}
}

const (
	schemeSHA256 = "sha256:"
	schemePBKDF2 = "pbkdf2-sha256:"
	pbkdf2Rounds = 600_000
	maxRounds    = 10_000_000
	maxSecret    = 1024 // bytes of a presented secret
)

// A secretHash is a parsed ClientSecret.Hash.
type secretHash struct {
	sum    []byte
	salt   []byte
	rounds int // zero for SHA-256
}

func (s ClientSecret) parse() (h secretHash, err error) {
	malformed := errors.New("a hash is not of the form that NewSecret or ChosenSecret returns")
	if text, ok := strings.CutPrefix(s.Hash, schemeSHA256); ok {
		h.sum, err = strictBase64.DecodeString(text)
	} else if text, ok := strings.CutPrefix(s.Hash, schemePBKDF2); ok {
		parts := strings.Split(text, ":")
		if len(parts) != 3 {
			return h, malformed
		}
		var errs [3]error
		h.rounds, errs[0] = strconv.Atoi(parts[0])
		h.salt, errs[1] = strictBase64.DecodeString(parts[1])
		h.sum, errs[2] = strictBase64.DecodeString(parts[2])
		if err = errors.Join(errs[:]...); h.rounds < 1 || h.rounds > maxRounds {
			return h, malformed
		}
	}
	if err != nil || len(h.sum) != sha256.Size {
		return h, malformed
	}
	return h, nil
}

func (s ClientSecret) validate() error {
	h, err := s.parse()
	if err == nil && subtle.ConstantTimeCompare(h.sum, hash(nil)) == 1 {
		return errors.New("the empty secret is not a secret")
	}
	return err
}

func slowHash(secret string, salt []byte, rounds int) []byte {
	sum, err := pbkdf2.Key(sha256.New, secret, salt, rounds, sha256.Size)
	if err != nil { // only for sizes that are constants here
		return nil
	}
	return sum
}

package authwright

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
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
	sum := slowHash(secret, salt, pbkdf2Rounds)
	return ClientSecret{Hash: strings.Join([]string{
		schemePBKDF2 + strconv.Itoa(pbkdf2Rounds),
		base64.RawURLEncoding.EncodeToString(salt),
		encode(sum[:]),
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
	sum    [sha256.Size]byte
	salt   []byte
	rounds int // zero for SHA-256
}

var errSecretHash = errors.New("a hash is not of the form that NewSecret or ChosenSecret returns")

func (s ClientSecret) parse() (h secretHash, err error) {
	if text, ok := strings.CutPrefix(s.Hash, schemeSHA256); ok {
		return h, decodeHash(&h.sum, text)
	}
	text, ok := strings.CutPrefix(s.Hash, schemePBKDF2)
	parts := strings.Split(text, ":")
	if !ok || len(parts) != 3 {
		return h, errSecretHash
	}
	var errs [3]error
	h.rounds, errs[0] = strconv.Atoi(parts[0])
	h.salt, errs[1] = strictBase64.DecodeString(parts[1])
	errs[2] = decodeHash(&h.sum, parts[2])
	if errors.Join(errs[:]...) != nil || h.rounds < 1 || h.rounds > maxRounds {
		return h, errSecretHash
	}
	return h, nil
}

// decodeHash reads the one spelling of a hash.
func decodeHash(sum *[sha256.Size]byte, text string) error {
	var room [sha256.Size + 1]byte
	b, err := strictBase64.AppendDecode(room[:0], []byte(text))
	if err != nil || len(b) != sha256.Size {
		return errSecretHash
	}
	copy(sum[:], b)
	return nil
}

func (s ClientSecret) validate() error {
	h, err := s.parse()
	if err == nil && h.sum == sha256.Sum256(nil) {
		return errors.New("the empty secret is not a secret")
	}
	return err
}

// slowHash is the hash of a secret that somebody chose. If the platform refuses to make it, it
// is one that no secret has.
func slowHash(secret string, salt []byte, rounds int) (sum [sha256.Size]byte) {
	key, err := pbkdf2.Key(sha256.New, secret, salt, rounds, sha256.Size)
	if err != nil {
		rand.Read(sum[:])
	}
	copy(sum[:], key)
	return sum
}

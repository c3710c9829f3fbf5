package authwright

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A SigningKey signs tokens. Of the keys of one algorithm the one whose NotBefore
// is the latest that has passed signs, the first of them if several are equal; all
// are published, so that a key is known before it is used and for as long as its
// tokens live.
//
// To rotate, add the new key with a NotBefore that is at least ten minutes ahead,
// on every replica, and leave the old one in the list. It disappears from the key
// set when the last token it signed has expired, and can be removed after that.
// Removing it earlier makes its tokens worthless, which is right for a key that has
// leaked.
type SigningKey struct {
	// Signer holds an ECDSA P-256, Ed25519 or RSA key of at least 2048 bits, in
	// memory or behind a KMS or an HSM. It must be safe for concurrent use.
	Signer crypto.Signer

	// Algorithm is a JWS algorithm: ES256, EdDSA, RS256 or PS256. Empty means
	// the key's own, RS256 for RSA.
	Algorithm string

	// NotBefore is when the key begins to sign. Zero means at once.
	NotBefore time.Time
}

// Format implements [fmt.Formatter]. A key in memory would be printed with its private
// half; so no part of it is.
func (k SigningKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "SigningKey(%T)", k.Signer) }

// MarshalText implements [encoding.TextMarshaler], for the same reason: logs call it.
func (k SigningKey) MarshalText() ([]byte, error) { return []byte(fmt.Sprint(k)), nil }

// SetSigningKeys replaces the signing keys of a running server. A key that is new
// to it signs nothing during the first five minutes, in which resource servers
// still have the old key set in their caches, unless no other key can. It
// returns an error and changes nothing if a key is unfit.
func (s *Server) SetSigningKeys(keys ...SigningKey) error {
	if s.cfg.OpenID != nil && !slices.ContainsFunc(keys, signsRS256) {
		return errors.New("authwright: Config.SigningKeys: OpenID needs an RSA key for RS256 (OpenID Connect Discovery, section 3)")
	}
	keep := s.cfg.AccessTokenLifetime
	if s.cfg.OpenID != nil {
		keep = max(keep, s.cfg.OpenID.IDTokenLifetime)
	}
	if err := s.keys.replace(keys, s.now(), keep); err != nil {
		return fmt.Errorf("authwright: Config.SigningKeys%w", err)
	}
	return s.buildMetadata()
}

// JWKS returns the public halves of the signing keys as a JSON Web Key Set
// (RFC 7517, section 5), for a resource server in the same process.
func (s *Server) JWKS(context.Context) ([]byte, error) { return s.keys.at(s.now()).jwks.body, nil }

// ServeJWKS serves the key set.
func (s *Server) ServeJWKS(w http.ResponseWriter, r *http.Request) {
	s.keys.at(s.now()).jwks.serve(w, r)
}

func signsRS256(key SigningKey) bool {
	if key.Signer == nil {
		return false
	}
	alg, err := algorithm(key.Signer.Public(), key.Algorithm)
	return err == nil && alg == jose.RS256
}

const jwksMaxAge = 5 * time.Minute

// A keyring is the keys of a server. What it looks like changes with time, so a
// view of it is kept until the next change.
type keyring struct {
	mu     sync.Mutex // for replacing
	keys   []*signingKey
	keep   time.Duration // how long a token lives at most
	cached atomic.Pointer[keyView]
}

type signingKey struct {
	alg     jose.SignatureAlgorithm
	signer  crypto.Signer
	size    int               // of a signature, in bytes
	headers map[string]string // of its JWTs, by typ
	public  jose.JSONWebKey
	from    time.Time
}

// A keyView is what a keyring looks like until a point in time.
type keyView struct {
	signing map[jose.SignatureAlgorithm]*signingKey
	access  *signingKey // signs access tokens
	byID    map[string]*signingKey
	headers map[string]*signingKey // by the header segment of the access tokens they sign

	algorithms []jose.SignatureAlgorithm // of all keys
	jwks       document
	until      time.Time // zero: for ever
}

func (k *keyring) replace(keys []SigningKey, now time.Time, keep time.Duration) error {
	if len(keys) == 0 {
		return errors.New(" is required")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var next []*signingKey
	for i, key := range keys {
		sk, err := newSigningKey(key)
		if err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
		same := func(old *signingKey) bool { return old.public.KeyID == sk.public.KeyID }
		if slices.ContainsFunc(next, same) {
			return fmt.Errorf("[%d]: the key is there twice", i)
		}
		published := now.Add(jwksMaxAge)
		if k.keys != nil && !slices.ContainsFunc(k.keys, same) && sk.from.Before(published) {
			sk.from = published
		}
		next = append(next, sk)
	}
	view, err := viewKeys(next, now, keep)
	if err != nil {
		return err
	}
	k.keys, k.keep = next, keep
	k.cached.Store(view)
	return nil
}

func (k *keyring) at(now time.Time) *keyView {
	v := k.cached.Load()
	if v.until.IsZero() || now.Before(v.until) {
		return v
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if next, err := viewKeys(k.keys, now, k.keep); err == nil {
		v = next
		k.cached.Store(v)
	}
	return v
}

// viewKeys works out which of keys sign and which are published.
func viewKeys(keys []*signingKey, now time.Time, keep time.Duration) (*keyView, error) {
	v := &keyView{
		signing: make(map[jose.SignatureAlgorithm]*signingKey),
		byID:    make(map[string]*signingKey),
		headers: make(map[string]*signingKey),
	}
	change := func(t time.Time) {
		if t.After(now) && (v.until.IsZero() || t.Before(v.until)) {
			v.until = t
		}
	}
	var set jose.JSONWebKeySet
	for _, k := range keys {
		change(k.from)
		v.byID[k.public.KeyID] = k // for as long as it is there: hints are old ID tokens
		v.headers[k.headers[typeAccessToken]] = k
		if retired := k.retired(keys, keep); !retired.IsZero() {
			change(retired)
			if !now.Before(retired) {
				continue
			}
		}
		set.Keys = append(set.Keys, k.public)
		if !slices.Contains(v.algorithms, k.alg) {
			v.algorithms = append(v.algorithms, k.alg)
		}
		if best := v.signing[k.alg]; best == nil || k.precedes(best, now) {
			v.signing[k.alg] = k
		}
	}
	v.access = v.signing[keys[0].alg]
	body, err := json.Marshal(set)
	if err != nil {
		return nil, err
	}
	v.jwks = newDocument("application/jwk-set+json", fmt.Sprintf("public, max-age=%d", int(jwksMaxAge.Seconds())), body)
	return v, nil
}

// precedes reports whether k rather than other signs at the given time. A key whose
// time has not come is better than none.
func (k *signingKey) precedes(other *signingKey, now time.Time) bool {
	due, otherDue := !k.from.After(now), !other.from.After(now)
	if due != otherDue {
		return due
	}
	if due {
		return k.from.After(other.from)
	}
	return k.from.Before(other.from)
}

// retired is when the last token that k signed has expired, by any clock: a token's
// lifetime after the next key took over. Zero means that no key is due to take over.
func (k *signingKey) retired(keys []*signingKey, keep time.Duration) time.Time {
	var heirs []time.Time
	for _, other := range keys {
		if other.alg == k.alg && other.from.After(k.from) {
			heirs = append(heirs, other.from)
		}
	}
	if heirs == nil {
		return time.Time{}
	}
	return slices.MinFunc(heirs, time.Time.Compare).Add(keep + time.Minute)
}

func newSigningKey(key SigningKey) (*signingKey, error) {
	if key.Signer == nil {
		return nil, errors.New("Signer is required")
	}
	alg, err := algorithm(key.Signer.Public(), key.Algorithm)
	if err != nil {
		return nil, err
	}
	pub := jose.JSONWebKey{Key: key.Signer.Public(), Algorithm: string(alg), Use: "sig"}
	sum, err := pub.Thumbprint(crypto.SHA256) // RFC 7638
	if err != nil {
		return nil, err
	}
	pub.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	sk := &signingKey{alg: alg, signer: key.Signer, size: 64, public: pub, from: key.NotBefore.UTC(), headers: make(map[string]string)}
	if pub, ok := key.Signer.Public().(*rsa.PublicKey); ok {
		sk.size = pub.Size()
	}
	for _, typ := range []string{typeAccessToken, typeIDToken, typeLogoutToken} {
		header := newObject(128).text("alg", string(alg)).text("kid", pub.KeyID).text("typ", typ).json()
		sk.headers[typ] = base64.RawURLEncoding.EncodeToString(header)
	}
	return sk, nil
}

// algorithm returns the JWS algorithm that a key is used with, which is want or, if
// that is empty, the key's own (RFC 7518, section 3).
func algorithm(pub crypto.PublicKey, want string) (jose.SignatureAlgorithm, error) {
	var fit []string
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		if pub.Curve.Params().Name != "P-256" {
			return "", errors.New("an ECDSA key must be on P-256")
		}
		fit = []string{"ES256"}
	case ed25519.PublicKey:
		fit = []string{"EdDSA"}
	case *rsa.PublicKey:
		if pub.N.BitLen() < 2048 {
			return "", errors.New("an RSA key must have at least 2048 bits")
		}
		fit = []string{"RS256", "PS256"}
	default:
		return "", fmt.Errorf("a key of type %T is not supported", pub)
	}
	if !slices.Contains(fit, cmp.Or(want, fit[0])) {
		return "", fmt.Errorf("algorithm %.16q does not fit a key of type %T", want, pub)
	}
	return jose.SignatureAlgorithm(cmp.Or(want, fit[0])), nil
}

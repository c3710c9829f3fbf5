package authwright

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json" // knows one spelling of a name, and refuses it twice
)

// private_key_jwt: a client proves to be itself with a JWT that it signed (RFC 7523).

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// clientAlgorithms are accepted from clients. HMAC is not: with it, a public key could
// be taken for a secret (RFC 8725, section 3.1).
var clientAlgorithms = []jose.SignatureAlgorithm{jose.ES256, jose.PS256, jose.EdDSA, jose.RS256}

const (
	assertionSkew = 10 * time.Second // a client's clock may be this much ahead
	clockMargin   = time.Minute      // and the storage's
	maxAssertion  = 10 * time.Minute // what an assertion may live, at most
	maxKeySet     = 64 << 10         // bytes of a client's key set
	maxKeys       = 100              // keys in it
	maxCandidates = 10               // keys that are tried on one signature
	maxClientRSA  = 8192             // bits; larger ones take long
)

// assertionClaims are those of RFC 7523, section 3. Times are pointers because zero is a
// time, and absence another thing.
type assertionClaims struct {
	Issuer    string   `json:"iss"`
	Subject   string   `json:"sub"`
	Audience  string   `json:"aud"`
	ID        string   `json:"jti"`
	Expires   *float64 `json:"exp"`
	IssuedAt  *float64 `json:"iat"`
	NotBefore *float64 `json:"nbf"`
}

// assertedClient is the client that an assertion is about, according to itself.
func assertedClient(text string) string {
	if !isJWT(text, maxHeader) {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(text, ".")[1])
	if err != nil {
		return ""
	}
	var c assertionClaims
	if json.Unmarshal(payload, &c) != nil {
		return ""
	}
	return c.Subject
}

// verifyAssertion checks that text is an assertion of c, made for this server, and not
// used before. An error that wraps ErrInvalidClient is the client's fault.
func (s *Server) verifyAssertion(ctx context.Context, c *Client, text string) error {
	fail := func(reason string) error { return clientFault(errors.New(reason)) }
	if !isJWT(text, maxHeader) {
		return fail("the assertion is not a JWT")
	}
	algorithms := slices.DeleteFunc(slices.Clone(clientAlgorithms), func(alg jose.SignatureAlgorithm) bool {
		return c.AuthSigningAlg != "" && string(alg) != c.AuthSigningAlg
	})
	jws, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil || isExtended(jws.Signatures[0].Protected) {
		return fail("the assertion is malformed, or its algorithm or an extension not allowed")
	}
	switch jwtType(jws.Signatures[0].Protected) {
	case "", "jwt", "client-authentication+jwt":
	default:
		return fail("the JWT is of a type that is no assertion")
	}
	payload, err := s.verifyByClient(ctx, c, jws)
	if err != nil {
		return err
	}
	var claims assertionClaims
	if err := json.Unmarshal(payload, &claims); err != nil {
		return fail("the assertion's claims are malformed")
	}
	if fault := claims.fault(c.ID, s.cfg.Issuer, s.now()); fault != "" {
		return fail(fault)
	}
	key := "assertion:" + base64.RawURLEncoding.EncodeToString(hash([]byte(c.ID+"\x00"+claims.ID)))
	err = s.cfg.Storage.UseOnce(ctx, key, time.UnixMilli(int64(*claims.Expires*1000)).Add(clockMargin))
	if errors.Is(err, ErrConflict) {
		return fail("the assertion was used before")
	} else if err != nil {
		return unavailable(err)
	}
	return nil
}

// fault is what is wrong with the claims of an assertion, or "".
func (a *assertionClaims) fault(clientID, issuer string, at time.Time) string {
	now := float64(at.UnixMilli()) / 1000
	ahead := func(t *float64) bool { return t != nil && *t > now+assertionSkew.Seconds() }
	switch {
	case a.Issuer != clientID || a.Subject != clientID:
		return "the assertion's iss and sub must be the client_id"
	case a.Audience != issuer:
		// Section 4 of draft-ietf-oauth-rfc7523bis: an assertion made for another
		// server's endpoint must be worth nothing here.
		return "the assertion's aud must be the issuer, alone"
	case a.Expires == nil || *a.Expires <= now:
		return "the assertion has expired"
	case *a.Expires > now+(maxAssertion+assertionSkew).Seconds():
		return "the assertion lives too long"
	case ahead(a.IssuedAt) || ahead(a.NotBefore):
		return "the assertion is from the future"
	case a.ID == "":
		return "the assertion has no jti"
	}
	return ""
}

// verifyByClient returns the payload of a JWT that c signed. Its key may have been added
// since the set was fetched, so before the JWT is refused, a set that is older than a minute
// is fetched once more.
func (s *Server) verifyByClient(ctx context.Context, c *Client, jws *jose.JSONWebSignature) ([]byte, error) {
	for _, since := range []time.Time{{}, s.now().Add(-fetchMinAge)} {
		keys, err := s.clientKeys(ctx, c, since)
		if err != nil {
			return nil, err
		}
		keys = slices.DeleteFunc(keys, func(k jose.JSONWebKey) bool { return !mayHaveSigned(k, jws.Signatures[0].Protected) })
		for _, k := range keys[:min(len(keys), maxCandidates)] {
			if payload, err := jws.Verify(k); err == nil {
				return payload, nil
			}
		}
		if c.JWKSURI == "" {
			break
		}
	}
	return nil, clientFault(errors.New("no key of the client verifies the JWT"))
}

// mayHaveSigned reports whether k is a public key that fits the header h. The algorithm is
// the key's to say, and the header can only agree (RFC 8725, section 3.1).
func mayHaveSigned(k jose.JSONWebKey, h jose.Header) bool {
	if pub, ok := k.Key.(*rsa.PublicKey); ok && pub.N.BitLen() > maxClientRSA {
		return false
	}
	_, err := algorithm(k.Key, h.Algorithm)
	return err == nil && (k.Algorithm == "" || k.Algorithm == h.Algorithm) && (k.Use == "" || k.Use == "sig") &&
		(k.KeyID == "" || h.KeyID == "" || k.KeyID == h.KeyID)
}

// clientKeys is the key set of c, by value or by reference, got no earlier than since. Keys
// that this server cannot use are left out, as RFC 7517, section 5 has it: they are for
// others.
func (s *Server) clientKeys(ctx context.Context, c *Client, since time.Time) ([]jose.JSONWebKey, error) {
	text := []byte(c.JWKS)
	if c.JWKSURI != "" {
		var err error
		if text, err = s.fetch.get(ctx, c.JWKSURI, maxKeySet, since); err != nil {
			return nil, unavailable(err)
		}
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil || len(set.Keys) > maxKeys {
		s.fetch.forget(c.JWKSURI)
		return nil, clientFault(errors.New("the client's key set is none"))
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// clientFault is a failed client authentication whose reason is for the log.
func clientFault(err error) error {
	return &Error{Code: ErrInvalidClient, Description: errClientAuth.Description, Err: err}
}

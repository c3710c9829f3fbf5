package authwright

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// private_key_jwt: a client proves to be itself with a JWT that it signed (RFC 7523).

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// clientAlgorithms are accepted from clients. HMAC is not: with it, a public key could
// be taken for a secret (RFC 8725, section 3.1).
var clientAlgorithms = []jose.SignatureAlgorithm{jose.ES256, jose.PS256, jose.EdDSA, jose.RS256}

const (
	assertionSkew = 10 * time.Second // a client's clock may be this much ahead
	maxAssertion  = 10 * time.Minute // what an assertion may live, at most
	maxKeySet     = 64 << 10         // bytes of a client's key set
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
	parts := strings.Split(limitTo(text, maxJWT), ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
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
	if len(text) > maxJWT || strings.Count(text, ".") != 2 {
		return fail("the assertion is not a JWT")
	}
	algorithms := clientAlgorithms
	if c.AuthSigningAlg != "" {
		algorithms = []jose.SignatureAlgorithm{jose.SignatureAlgorithm(c.AuthSigningAlg)}
	}
	jws, err := jose.ParseSignedCompact(text, algorithms)
	if err != nil {
		return fail("the assertion is malformed, or its algorithm not allowed")
	}
	switch typ, _ := jws.Signatures[0].Protected.ExtraHeaders[jose.HeaderType].(string); strings.ToLower(typ) {
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
	now := float64(s.now().UnixMilli()) / 1000
	ahead := func(t *float64) bool { return t != nil && *t > now+assertionSkew.Seconds() }
	switch {
	case claims.Issuer != c.ID || claims.Subject != c.ID:
		return fail("the assertion's iss and sub must be the client_id")
	case claims.Audience != s.cfg.Issuer:
		// Section 4 of draft-ietf-oauth-rfc7523bis: an assertion made for another
		// server's endpoint must be worth nothing here.
		return fail("the assertion's aud must be the issuer, alone")
	case claims.Expires == nil || *claims.Expires <= now:
		return fail("the assertion has expired")
	case *claims.Expires > now+(maxAssertion+assertionSkew).Seconds():
		return fail("the assertion lives too long")
	case ahead(claims.IssuedAt) || ahead(claims.NotBefore):
		return fail("the assertion is from the future")
	case claims.ID == "":
		return fail("the assertion has no jti")
	}
	key := "assertion:" + base64.RawURLEncoding.EncodeToString(hash([]byte(c.ID+"\x00"+claims.ID)))
	err = s.cfg.Storage.UseOnce(ctx, key, time.UnixMilli(int64(*claims.Expires*1000)).Add(assertionSkew))
	if errors.Is(err, ErrConflict) {
		return fail("the assertion was used before")
	} else if err != nil {
		return unavailable(err)
	}
	return nil
}

// verifyByClient returns the payload of a JWT that c signed. A key that is not in the set
// may have been added since it was fetched, so an unknown key has a set that is older than
// a minute fetched once more.
func (s *Server) verifyByClient(ctx context.Context, c *Client, jws *jose.JSONWebSignature) ([]byte, error) {
	var since time.Time
	for range 2 {
		set, err := s.clientKeys(ctx, c, since)
		if err != nil {
			return nil, err
		}
		for _, k := range candidates(set, jws.Signatures[0].Protected) {
			if payload, err := jws.Verify(k); err == nil {
				return payload, nil
			}
		}
		if c.JWKSURI == "" || len(set.Key(jws.Signatures[0].Protected.KeyID)) > 0 {
			break
		}
		since = s.now().Add(-fetchMinAge)
	}
	return nil, clientFault(errors.New("no key of the client verifies the JWT"))
}

// candidates are the keys of set that may have made a signature with header h.
func candidates(set *jose.JSONWebKeySet, h jose.Header) []jose.JSONWebKey {
	return slices.DeleteFunc(slices.Clone(set.Keys), func(k jose.JSONWebKey) bool {
		return h.KeyID != "" && k.KeyID != h.KeyID || k.Use == "enc" || k.Algorithm != "" && k.Algorithm != h.Algorithm || !k.IsPublic()
	})
}

// clientKeys is the key set of c, by value or by reference.
func (s *Server) clientKeys(ctx context.Context, c *Client, since time.Time) (*jose.JSONWebKeySet, error) {
	text := []byte(c.JWKS)
	if c.JWKSURI != "" {
		var err error
		if text, err = s.fetch.get(ctx, c.JWKSURI, maxKeySet, since); err != nil {
			return nil, unavailable(err)
		}
	}
	set := new(jose.JSONWebKeySet)
	if err := json.Unmarshal(text, set); err != nil {
		if c.JWKSURI != "" {
			s.fetch.forget(c.JWKSURI)
		}
		return nil, clientFault(fmt.Errorf("the client's key set: %w", err))
	}
	return set, nil
}

// clientFault is a failed client authentication whose reason is for the log.
func clientFault(err error) error {
	return &Error{Code: ErrInvalidClient, Description: errClientAuth.Description, Err: err}
}

func limitTo(s string, n int) string { return s[:min(n, len(s))] }

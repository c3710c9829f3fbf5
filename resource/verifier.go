package resource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ErrInvalidToken is wrapped by every error of [Verifier.Verify] that is about the
// token itself: it is not good here, and the client needs another one.
var ErrInvalidToken = errors.New("resource: invalid token")

const (
	maxToken      = 16 << 10 // bytes
	defaultLeeway = 10 * time.Second
	maxLeeway     = time.Minute
)

// A Verifier verifies the JWT access tokens one issuer makes for one audience. Use
// it as a pointer to a literal; Issuer and Audience are required. It is safe for
// concurrent use. After its first use it must neither be changed nor copied.
//
// It starts a goroutine only to fetch keys, and that ends within ten seconds.
type Verifier struct {
	// Issuer is the authorization server's issuer identifier, character for
	// character: the iss of every token. Unless Keys is set it must be an https
	// URL, or an http URL of this machine.
	Issuer string

	// Audience identifies this resource server: it must be in the aud of every
	// token. It is what clients send as resource (RFC 8707).
	Audience string

	// Keys returns the issuer's JSON Web Key Set (RFC 7517, section 5). It is
	// called for the first token, about every five minutes from then on, and
	// whenever a token names a key that is not in the set, so it must be cheap. It
	// is never called twice at a time, and its context ends after ten seconds.
	//
	// If nil, the set is fetched from the jwks_uri in the issuer's metadata
	// (RFC 8414), kept for as long as its Cache-Control says (a minute at least, an
	// hour at most), and fetched at most once in ten seconds for unknown keys.
	//
	// As long as no new set is to be had, the last one serves for up to a day.
	Keys func(ctx context.Context) ([]byte, error)

	// Algorithms are the signature algorithms accepted. Nil means ES256, PS256,
	// RS256 and EdDSA.
	Algorithms []string

	// Client fetches metadata and keys. If nil, one that gives up after five
	// seconds and follows redirects only to where Issuer could be as well.
	Client *http.Client

	// Now tells the time. If nil, time.Now.
	Now func() time.Time

	// Leeway is by how much the clock of the issuer may differ from this one. Zero
	// means ten seconds; more than a minute is an error.
	Leeway time.Duration

	// Logger is told when keys cannot be fetched, and what is wrong with this
	// Verifier. Nothing of a token is ever logged. If nil, slog.Default().
	Logger *slog.Logger

	once       sync.Once
	err        error // what is wrong with the fields above
	algorithms []jose.SignatureAlgorithm
	cache      *keyCache
}

// Verify returns the access token that text is. An error that does not wrap
// [ErrInvalidToken] says nothing about the token: there are no keys to judge it by,
// ctx has ended, or the Verifier lacks something. No error contains any of text.
func (v *Verifier) Verify(ctx context.Context, text string) (*Token, error) {
	if err := v.ready(); err != nil {
		return nil, err
	}
	if len(text) > maxToken {
		return nil, refusedSize
	}
	jws, err := jose.ParseSignedCompact(text, v.algorithms)
	if errors.As(err, new(*jose.ErrUnexpectedSignatureAlgorithm)) {
		return nil, refusedAlgorithm
	} else if err != nil {
		return nil, refusedSyntax // the cause may quote the token
	}
	header := jws.Signatures[0].Protected
	if err := checkHeader(header); err != nil {
		return nil, err
	}
	key, err := v.cache.find(ctx, header.KeyID, jose.SignatureAlgorithm(header.Algorithm))
	if err != nil {
		return nil, err
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return nil, refusedSignature
	}
	return v.read(payload)
}

// checkHeader is about what alg does not say. Keys that come with the token (jwk,
// jku, x5c, x5u) are not looked at (RFC 8725, section 3.10).
func checkHeader(h jose.Header) error {
	// RFC 9068, section 4: "The resource server MUST verify that the "typ" header
	// value is "at+jwt" or "application/at+jwt" and reject tokens carrying any
	// other value." It is what keeps an ID token from passing.
	typ, _ := h.ExtraHeaders[jose.HeaderType].(string)
	if !strings.EqualFold(typ, "at+jwt") && !strings.EqualFold(typ, "application/at+jwt") {
		return refusedType
	}
	// No extension is understood here (RFC 7515, section 4.1.11). b64 is one that
	// go-jose would accept.
	for _, name := range []jose.HeaderKey{"crit", "b64"} {
		if _, ok := h.ExtraHeaders[name]; ok {
			return refusedExtension
		}
	}
	if h.KeyID == "" {
		return refusedKey
	}
	return nil
}

// ready reports what is wrong with the fields of v.
func (v *Verifier) ready() error {
	v.once.Do(func() {
		if v.err = v.setUp(); v.err != nil {
			v.err = fmt.Errorf("resource: Verifier: %w", v.err)
		}
	})
	return v.err
}

func (v *Verifier) setUp() error {
	switch {
	case v.Issuer == "":
		return errors.New("Issuer is empty")
	case v.Audience == "":
		return errors.New("Audience is empty")
	case v.Leeway < 0 || v.Leeway > maxLeeway:
		return errors.New("Leeway is not between zero and a minute")
	}
	for _, name := range v.Algorithms {
		// Whoever can verify a MAC can make one: HS256 is not for tokens that
		// come from elsewhere.
		if !slices.Contains(supported, jose.SignatureAlgorithm(name)) {
			return fmt.Errorf("algorithm %q is not supported", name)
		}
		v.algorithms = append(v.algorithms, jose.SignatureAlgorithm(name))
	}
	if len(v.algorithms) == 0 {
		v.algorithms = []jose.SignatureAlgorithm{jose.ES256, jose.PS256, jose.RS256, jose.EdDSA}
	}
	v.cache = &keyCache{now: v.now, log: v.logger()}
	if v.Keys != nil {
		v.cache.inProcess = true
		v.cache.load = func(ctx context.Context) ([]byte, time.Duration, error) {
			set, err := v.Keys(ctx)
			return set, defaultAge, err
		}
		return nil
	}
	d, err := newDiscovery(v.Issuer, v.Client)
	if err != nil {
		return err
	}
	v.cache.load = d.keys
	return nil
}

func (v *Verifier) now() time.Time {
	if v.Now != nil {
		return v.Now()
	}
	return time.Now()
}

func (v *Verifier) leeway() time.Duration {
	if v.Leeway == 0 {
		return defaultLeeway
	}
	return v.Leeway
}

func (v *Verifier) logger() *slog.Logger {
	if v.Logger != nil {
		return v.Logger
	}
	return slog.Default()
}

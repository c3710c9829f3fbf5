package resource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ErrInvalidToken is wrapped by every error of [Verifier.Verify] that is about the
// token itself: it is not good here, and the client needs another one.
var ErrInvalidToken = errors.New("resource: invalid token")

const (
	maxToken      = 16 << 10 // bytes
	maxHeader     = 4 << 10  // of them
	defaultLeeway = 10 * time.Second
	maxLeeway     = time.Minute
)

// A Verifier verifies the JWT access tokens one issuer makes for one audience. Use
// it as a pointer to a literal; Issuer and Audience are required. It is safe for
// concurrent use. After its first use it must neither be changed nor copied.
//
// It starts a goroutine only to fetch keys, and that ends within ten seconds.
//
// It remembers up to 8,192 of the tokens that it found good, each of 4 KiB at most, so that the
// signature of a token that comes again is not verified again. They are known by the SHA-256
// of their text, which is not kept itself; what is refused is not remembered, so strangers take no
// room; and there is nothing to set. All else counts as if nothing were remembered: with every
// request it is asked whether the issuer still publishes the key, whether the time of the token has
// come and is not over, and Live. With Introspect, MaxAge there says what is remembered instead.
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

	// Introspect, if set, has the issuer judge every token instead, which Keys and
	// Algorithms must leave to it.
	Introspect *Introspection

	// Live, if set, is asked about every good token, with its [Token.GrantID], and
	// says whether it has not been revoked meanwhile. Set it to the GrantActive method
	// of an authorization server in the same program, or of one that shares the
	// storage; revocation then counts at once. A token without a grant is refused; if
	// Live returns an error, the answer is 503.
	Live func(ctx context.Context, grantID string) (bool, error)

	// Metadata, if set, is published (RFC 9728), and challenges say where. Audience
	// must then be an https URL, or an http URL of this machine.
	Metadata *Metadata

	// Client fetches metadata and keys, and asks for introspection. If nil, one that
	// gives up after five seconds and follows redirects only to where Issuer could be
	// as well.
	Client *http.Client

	// Now tells the time. If nil, time.Now.
	Now func() time.Time

	// Leeway is by how much the clock of the issuer may differ from this one. Zero
	// means ten seconds; more than a minute is an error.
	Leeway time.Duration

	// Logger is told why tokens cannot be verified, and what is wrong with this
	// Verifier. Nothing of a token is ever logged. If nil, slog.Default().
	Logger *slog.Logger

	once       sync.Once
	err        error // what is wrong with the fields above
	algorithms []jose.SignatureAlgorithm
	cache      *keyCache // nil with Introspect
	headers    headers
	seen       *memory // nil with Introspect

	introspector *introspector // nil without Introspect
	published    *publication  // nil without Metadata
}

// Verify returns the access token that text is. An error that does not wrap
// [ErrInvalidToken] says nothing about the token: there is nothing to judge it by, ctx
// has ended, or the Verifier lacks something. No error contains any of text.
func (v *Verifier) Verify(ctx context.Context, text string) (*Token, error) {
	if err := v.ready(); err != nil {
		return nil, err
	}
	if len(text) > maxToken {
		return nil, refusedSize
	}
	judge := v.verifyJWT
	if v.Introspect != nil {
		judge = v.introspect
	}
	t, err := judge(ctx, text)
	if err == nil && v.Live != nil {
		err = v.checkLive(ctx, t)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// checkLive refuses a token whose grant is dead.
func (v *Verifier) checkLive(ctx context.Context, t *Token) error {
	if t.GrantID == "" {
		return refusedClaims
	}
	live, err := v.Live(ctx, t.GrantID)
	if err != nil {
		err = fmt.Errorf("resource: Live: %w", err)
		if ctx.Err() == nil {
			v.logger().ErrorContext(ctx, "resource: cannot tell whether a token has been revoked", "error", err)
		}
		return err
	}
	if !live {
		return refusedRevoked
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

func (v *Verifier) setUp() (err error) {
	switch {
	case v.Issuer == "":
		return errors.New("Issuer is empty")
	case v.Audience == "":
		return errors.New("Audience is empty")
	case v.Leeway < 0 || v.Leeway > maxLeeway:
		return errors.New("Leeway is not between zero and a minute")
	}
	if v.Metadata != nil {
		if v.published, err = v.publish(); err != nil {
			return err
		}
	}
	if v.Introspect != nil {
		v.introspector, err = v.newIntrospector()
		return err
	}
	return v.setUpKeys()
}

func (v *Verifier) setUpKeys() error {
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
	v.cache, v.seen = &keyCache{now: v.now, log: v.logger()}, new(memory)
	if v.Keys != nil {
		v.cache.inProcess = true
		v.cache.load = func(ctx context.Context) ([]byte, time.Duration, error) {
			set, err := v.Keys(ctx)
			return set, defaultAge, err
		}
		return nil
	}
	d, err := newDiscovery(v.Issuer, newClient(v.Client))
	if err != nil {
		return err
	}
	v.cache.load = d.keys
	return nil
}

// metadataURL returns where the metadata are, or "".
func (v *Verifier) metadataURL() string {
	if v.published == nil {
		return ""
	}
	return v.published.url
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

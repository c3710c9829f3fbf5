package authwright

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// credentials are what a request says about the client that sent it.
type credentials struct {
	id, secret, assertion string
	method                AuthMethod
}

var errClientAuth = &Error{Code: ErrInvalidClient, Description: "client authentication failed"}

// readCredentials finds the one way in which r authenticates its client
// (RFC 6749, section 2.3).
func readCredentials(r *http.Request, f form) (credentials, error) {
	header := r.Header.Values("Authorization")
	if len(header) > 1 {
		return credentials{}, &Error{Code: ErrInvalidRequest, Description: "more than one Authorization header"}
	}
	if len(header) == 1 {
		// "The client MUST NOT use more than one authentication method in each
		// request."
		if f.has("client_secret") || f.has("client_assertion") {
			return credentials{}, &Error{Code: ErrInvalidRequest, Description: "more than one client authentication method"}
		}
		cred, ok := parseBasic(header[0])
		if !ok {
			return credentials{id: f.get("client_id"), method: AuthSecretBasic}, errClientAuth
		}
		if id := f.get("client_id"); id != "" && id != cred.id {
			return cred, &Error{Code: ErrInvalidRequest, Description: "client_id names another client than the Authorization header"}
		}
		return cred, nil
	}
	if f.has("client_assertion") || f.has("client_assertion_type") {
		return readAssertion(f)
	}
	cred := credentials{id: f.get("client_id"), secret: f.get("client_secret"), method: AuthNone}
	if cred.id == "" {
		return cred, &Error{Code: ErrInvalidClient, Description: "no client authentication and no client_id"}
	}
	if cred.secret != "" {
		cred.method = AuthSecretPost
	}
	return cred, nil
}

// parseBasic reads client_secret_basic. Identifier and secret are form-encoded
// before they are joined and base64-encoded (RFC 6749, section 2.3.1).
func parseBasic(header string) (credentials, bool) {
	scheme, text, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return credentials{}, false
	}
	var room [256]byte
	joined, err := base64.StdEncoding.AppendDecode(room[:0], []byte(strings.TrimSpace(text)))
	if err != nil {
		return credentials{}, false
	}
	id, secret, found := strings.Cut(string(joined), ":")
	id, ok1 := unescape(id)
	secret, ok2 := unescape(secret)
	return credentials{id: id, secret: secret, method: AuthSecretBasic}, found && ok1 && ok2 && id != ""
}

// readAssertion reads private_key_jwt, where client_id is optional and redundant
// (RFC 7521, section 4.2).
func readAssertion(f form) (credentials, error) {
	cred := credentials{id: f.get("client_id"), assertion: f.get("client_assertion"), method: AuthPrivateKeyJWT}
	if f.has("client_secret") {
		return cred, &Error{Code: ErrInvalidRequest, Description: "more than one client authentication method"}
	}
	subject := assertedClient(cred.assertion)
	if f.get("client_assertion_type") != assertionType || subject == "" {
		return cred, errClientAuth
	}
	if cred.id != "" && cred.id != subject {
		return cred, &Error{Code: ErrInvalidRequest, Description: "client_id names another client than the assertion"}
	}
	cred.id = subject
	return cred, nil
}

// authenticateClient identifies the client that sent r and checks its secret. What
// it answers to a stranger does not tell whether the client exists.
func (s *Server) authenticateClient(w http.ResponseWriter, r *http.Request, f form) (*Client, error) {
	cred, err := readCredentials(r, f)
	if err != nil {
		if errors.Is(err, ErrInvalidClient) {
			s.clientAuthFailed(r.Context(), nil, cred)
		}
		return nil, err
	}
	if s.cfg.Limit != nil {
		if wait := s.cfg.Limit(r, cred.id); wait > 0 {
			return nil, &Error{Code: ErrTemporarilyUnavailable, Description: "too many requests", Status: http.StatusTooManyRequests, RetryAfter: wait}
		}
	}
	c, err := s.client(r.Context(), cred.id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, unavailable(err)
	}
	if c != nil {
		c.allowOrigin(w, r)
	}
	ok, err := s.verify(r.Context(), c, cred)
	if errors.Is(err, ErrInvalidClient) {
		s.clientAuthFailed(r.Context(), c, cred)
		return nil, err
	} else if err != nil {
		return nil, unavailable(err)
	}
	if !ok {
		s.clientAuthFailed(r.Context(), c, cred)
		return nil, errClientAuth
	}
	return c, nil
}

// client looks up a client that may exist only in a stranger's imagination.
func (s *Server) client(ctx context.Context, id string) (*Client, error) {
	if len(id) > maxClientID || !isPrintableASCII(id) {
		return nil, ErrNotFound
	}
	c, err := s.storedClient(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return s.documentClient(ctx, id)
	}
	if err == nil && !c.ExpiresAt.IsZero() && !s.now().Before(c.ExpiresAt) {
		return nil, ErrNotFound
	}
	return c, err
}

// clientAuthFailed names a client only if there is one: who mixes up ID and secret must not
// have the secret reported.
func (s *Server) clientAuthFailed(ctx context.Context, c *Client, cred credentials) {
	g := new(Grant)
	if c != nil {
		g.ClientID = limit(c.ID)
	}
	s.emit(ctx, EventClientAuthFailed, g, string(cred.method))
}

// verify reports whether cred proves to be c, which is nil for an unknown client.
func (s *Server) verify(ctx context.Context, c *Client, cred credentials) (bool, error) {
	if c != nil && c.accepts(cred.method) && cred.method == AuthNone {
		return true, nil
	}
	if c != nil && c.accepts(cred.method) && cred.method == AuthPrivateKeyJWT {
		err := s.verifyAssertion(ctx, c, cred.assertion)
		return err == nil, err
	}
	var room [128]byte
	presented, now := sha256.Sum256(append(room[:0], cred.secret...)), s.now()
	var candidates []ClientSecret
	if c != nil && c.accepts(cred.method) && cred.secret != "" && len(cred.secret) <= maxSecret {
		candidates = c.Secrets
	}
	slow := false
	for _, stored := range candidates {
		h, err := stored.parse()
		if err != nil {
			return false, err
		}
		if !stored.ExpiresAt.IsZero() && !now.Before(stored.ExpiresAt) {
			continue
		}
		sum := presented
		if h.rounds > 0 {
			slow = true
			if sum, err = s.slow.hash(ctx, cred.secret, h); err != nil {
				return false, err
			}
		}
		if subtle.ConstantTimeCompare(sum[:], h.sum[:]) == 1 {
			return true, nil
		}
	}
	if !slow && cred.secret != "" && s.slow.seen.Load() {
		// An unknown client takes as long as a known one with a wrong secret. Without a
		// secret, no client takes long.
		_, err := s.slow.hash(ctx, cred.secret, secretHash{rounds: pbkdf2Rounds})
		return false, err
	}
	return false, nil
}

// slowHashes verifies chosen secrets. It runs few of them at a time, so that wrong
// secrets cannot take the whole machine, and remembers which were right under a
// key that lives and dies with the process.
type slowHashes struct {
	seen  atomic.Bool   // whether any client has a chosen secret
	slots chan struct{} // taken while one is computed

	key   [32]byte
	mu    sync.Mutex
	right map[[32]byte]struct{}
}

func newSlowHashes() *slowHashes {
	h := &slowHashes{
		slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)),
		right: make(map[[32]byte]struct{}),
	}
	rand.Read(h.key[:])
	return h
}

const maxRight = 4096

// hash returns what secret hashes to with the salt and the rounds of want.
func (h *slowHashes) hash(ctx context.Context, secret string, want secretHash) ([sha256.Size]byte, error) {
	h.seen.Store(true)
	key := sha256.Sum256(slices.Concat(h.key[:], want.sum[:], want.salt, []byte(secret)))
	h.mu.Lock()
	_, known := h.right[key]
	h.mu.Unlock()
	if known {
		return want.sum, nil
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return want.sum, ctx.Err()
	}
	sum := slowHash(secret, want.salt, want.rounds)
	if same(sum[:], want.sum[:]) {
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.right) >= maxRight {
			clear(h.right)
		}
		h.right[key] = struct{}{}
	}
	return sum, nil
}

// retryAfter is the Retry-After header for d, in whole seconds.
func retryAfter(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

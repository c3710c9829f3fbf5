package authtest

import (
	"context"
	"crypto"
	"io"
	"strings"

	"github.com/authwright/authwright"
)

// Fail begins an outage, or ends it if err is nil. Until then the server's Storage, its
// Index and its signing keys answer err, as a database does that has gone away, and its
// metadata and key set are answered 503. So clients are told to try again, and a
// resource server has to do with the keys it knows.
//
// An err that wraps [authwright.ErrNotFound] or [authwright.ErrConflict] is no outage: it
// means what [authwright.Storage] says it does.
func (s *Server) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

func (s *Server) failing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// isDocument reports whether path is that of what resource servers fetch.
func isDocument(path string) bool {
	return strings.HasSuffix(path, "/jwks") || strings.Contains(path, "/.well-known/")
}

// An index is the host's, and can fail.
type index struct {
	s    *Server
	host authwright.Index
}

func (i index) GrantsBySubject(ctx context.Context, subject, page string, limit int) ([]*authwright.Grant, string, error) {
	if err := i.s.failing(); err != nil {
		return nil, "", err
	}
	return i.host.GrantsBySubject(ctx, subject, page, limit)
}

func (i index) GrantsByClient(ctx context.Context, clientID, page string, limit int) ([]*authwright.Grant, string, error) {
	if err := i.s.failing(); err != nil {
		return nil, "", err
	}
	return i.host.GrantsByClient(ctx, clientID, page, limit)
}

// A signer is the host's, and can fail.
type signer struct {
	crypto.Signer
	s *Server
}

func (k signer) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if err := k.s.failing(); err != nil {
		return nil, err
	}
	return k.Signer.Sign(rand, digest, opts)
}

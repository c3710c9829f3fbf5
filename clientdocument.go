package authwright

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json" // knows one spelling of a name, and refuses it twice
)

// ClientDocuments lets clients introduce themselves: a client_id that is an https URL
// names a document in which the client describes itself (OAuth Client ID Metadata
// Document, draft 02). Nothing is stored for such a client, and whoever can put a document
// on the web is one. A client that the storage knows by such a URL is not fetched.
//
// One source, see [Config.Source], makes the server fetch 60 documents in a minute at most.
type ClientDocuments struct {
	// Scopes such clients may ask for. Nil means all of [Config.Scopes].
	Scopes []string

	// Allow, if set, is asked before a document is fetched, and refuses it by an
	// error. It sees every request, so it must be quick.
	Allow func(ctx context.Context, clientID *url.URL) error
}

const maxClientDocument = 5 << 10 // bytes; section 8.7

// isDocumentURL reports whether id can be the URL of a client document (section 3).
func isDocumentURL(id string) bool {
	if !isHTTPS(id) || strings.ContainsAny(id, `#\`) {
		return false
	}
	u, err := url.Parse(id)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Path == "" {
		return false
	}
	return !slices.ContainsFunc(strings.Split(strings.ToLower(u.EscapedPath()), "/"), func(segment string) bool {
		segment = strings.ReplaceAll(segment, "%2e", ".")
		return segment == "." || segment == ".."
	})
}

// admitDocument returns ErrNotFound unless a client may have its document at id.
func (s *Server) admitDocument(ctx context.Context, id string) error {
	if s.cfg.ClientDocuments == nil || !isDocumentURL(id) {
		return ErrNotFound
	}
	if s.cfg.ClientDocuments.Allow == nil {
		return nil
	}
	u, err := url.Parse(id)
	if err == nil {
		err = s.cfg.ClientDocuments.Allow(ctx, u)
	}
	if err != nil {
		return errors.Join(ErrNotFound, err)
	}
	return nil
}

// documentClient is the client whose document is at id, or ErrNotFound if id is not the
// address of one. Any other error says that it could not be had now.
func (s *Server) documentClient(ctx context.Context, id string) (*Client, error) {
	if err := s.admitDocument(ctx, id); err != nil {
		return nil, err
	}
	body, err := s.fetch.get(ctx, id, maxClientDocument, time.Time{})
	if errors.Is(err, errNoDocument) {
		return nil, errors.Join(ErrNotFound, err)
	} else if err != nil {
		return nil, err
	}
	c, err := s.readDocument(id, body)
	if err != nil {
		s.fetch.forget(id)
		return nil, errors.Join(ErrNotFound, err)
	}
	return c, nil
}

// readDocument is the client that the document at id describes (section 4).
func (s *Server) readDocument(id string, body []byte) (*Client, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
		return nil, errors.New("authwright: the client document is not a JSON object")
	}
	var m clientMetadata
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, errors.New("authwright: the client document is malformed")
	}
	if m.ID != id {
		return nil, errors.New("authwright: the client document is about another client")
	}
	if m.Secret != nil || m.SecretExpires != nil {
		return nil, errors.New("authwright: the client document has a secret in it")
	}
	if m.AuthMethod == "" {
		m.AuthMethod = AuthNone
	}
	if m.AuthMethod != AuthNone && m.AuthMethod != AuthPrivateKeyJWT {
		return nil, errors.New("authwright: the client document names an authentication method that needs a secret")
	}
	// The document is for all servers, and some may take what this one does not.
	m.RedirectURIs = slices.DeleteFunc(m.RedirectURIs, func(uri string) bool { return validateRedirectURI(uri) != nil })
	if len(m.RedirectURIs) == 0 {
		return nil, errors.New("authwright: the client document has no redirect_uris that could be used")
	}
	if s.cfg.Profile == MCP && m.Name == "" {
		return nil, errors.New("authwright: the client document has no client_name")
	}
	if m.GrantTypes == nil {
		// Nobody answers a document, so what it leaves out cannot be told; and
		// clients that leave it out expect to stay signed in.
		m.GrantTypes = []string{"authorization_code", "refresh_token"}
	}
	m, err := m.withDefaults(AuthNone)
	if err != nil {
		return nil, err
	}
	c, err := s.describedClient(m, s.offered(s.cfg.ClientDocuments.Scopes))
	if err != nil {
		return nil, err
	}
	return c, c.usable()
}

// offered are the scopes that clients which introduce themselves may have.
func (s *Server) offered(scopes []string) []string {
	if scopes != nil {
		return scopes
	}
	for _, sc := range s.cfg.Scopes {
		scopes = append(scopes, sc.Name)
	}
	return scopes
}

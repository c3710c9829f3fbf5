package authtest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/authwright/authwright"
)

// The built-in clients. They may have every scope that the server knows and be sent to
// every redirect URI that could be registered; what they ask for counts as registered
// from then on. A test that is about what a client may not have adds one of its own to
// [Server.Store].
const (
	// ConfidentialClient has the secret [Server.Secret], may act for itself
	// (client_credentials), and may introspect the tokens of every resource.
	ConfidentialClient = "confidential"

	// PublicClient has no secret, as an application in a browser or on a device.
	PublicClient = "public"
)

// defaultRedirect is where the built-in clients get codes that this package asks for.
const defaultRedirect = "https://client.example/callback"

// registered is what the built-in clients have asked for so far.
type registered struct{ scopes, redirects, logouts []string }

// learn registers what r asks for. The server reads the body as if nobody had.
func (s *Server) learn(r *http.Request) {
	if !slices.ContainsFunc([]string{"/authorize", "/token", "/logout"}, func(end string) bool { return strings.HasSuffix(r.URL.Path, end) }) {
		return
	}
	params := []url.Values{r.URL.Query()}
	if r.Body != nil && r.Body != http.NoBody {
		start, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10)) // an error is the server's to meet
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(start), r.Body), r.Body}
		form, _ := url.ParseQuery(string(start))
		params = append(params, form)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range params {
		s.granted.scopes = union(s.granted.scopes, strings.Fields(p.Get("scope")))
		s.granted.redirects = union(s.granted.redirects, p["redirect_uri"])
		s.granted.logouts = union(s.granted.logouts, p["post_logout_redirect_uri"])
	}
}

// union is a new slice: the old one may be in use.
func union(a, b []string) []string {
	a = slices.Clip(a)
	for _, text := range b {
		if !slices.Contains(a, text) {
			a = append(a, text)
		}
	}
	return a
}

// builtin returns the built-in client id, or nil.
func (st storage) builtin(id string) *authwright.Client {
	st.s.mu.Lock()
	granted := st.s.granted
	st.s.mu.Unlock()
	c := &authwright.Client{
		ID:                     id,
		RedirectURIs:           append([]string{defaultRedirect}, granted.redirects...),
		PostLogoutRedirectURIs: slices.Clone(granted.logouts),
		Scopes:                 slices.Clone(granted.scopes),
		DefaultScopes:          []string{},
	}
	switch id {
	case ConfidentialClient:
		c.Secrets = []authwright.ClientSecret{st.secret}
		c.GrantTypes = []string{"authorization_code", "refresh_token", "client_credentials"}
		c.Serves = slices.Clone(st.resources)
	case PublicClient:
	default:
		return nil
	}
	return c
}

// A storage is the host's, with the built-in clients, and can fail.
type storage struct {
	s         *Server
	host      authwright.Storage
	secret    authwright.ClientSecret // that of Server.Secret
	resources []string
}

func (st storage) Client(ctx context.Context, id string) (*authwright.Client, error) {
	if err := st.s.failing(); err != nil {
		return nil, err
	}
	return st.find(ctx, id)
}

// find is Client without outages.
func (st storage) find(ctx context.Context, id string) (*authwright.Client, error) {
	c, err := st.host.Client(ctx, id)
	if errors.Is(err, authwright.ErrNotFound) {
		if c = st.builtin(id); c == nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if _, ours := ctx.Value(mintKey{}).(mint); ours && !isPublic(c) {
		// The test asks on behalf of a client whose secret or key it need not know.
		c.Secrets = []authwright.ClientSecret{st.secret}
		c.AuthMethod, c.JWKS, c.JWKSURI = authwright.AuthSecretPost, nil, ""
	}
	return c, nil
}

// isPublic reports whether c authenticates by nothing; see [authwright.Client.AuthMethod].
func isPublic(c *authwright.Client) bool {
	return c.AuthMethod == authwright.AuthNone || c.AuthMethod == "" && len(c.Secrets) == 0 && len(c.JWKS) == 0 && c.JWKSURI == ""
}

func (st storage) Grant(ctx context.Context, id string) (*authwright.Grant, error) {
	if err := st.s.failing(); err != nil {
		return nil, err
	}
	return st.host.Grant(ctx, id)
}

func (st storage) SaveGrant(ctx context.Context, g *authwright.Grant) error {
	if err := st.s.failing(); err != nil {
		return err
	}
	return st.host.SaveGrant(ctx, g)
}

func (st storage) UseOnce(ctx context.Context, key string, until time.Time) error {
	if err := st.s.failing(); err != nil {
		return err
	}
	return st.host.UseOnce(ctx, key, until)
}

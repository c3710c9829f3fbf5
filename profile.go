package authwright

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A Profile settles what the specifications leave open or contradict each other about.
type Profile string

const (
	// OAuth21 is OAuth 2.1 with the security of RFC 9700, and OpenID Connect if
	// [Config.OpenID] is set.
	OAuth21 Profile = ""

	// MCP is what the authorization specification of the Model Context Protocol
	// (2026-07-28) demands:
	//
	//   - [Config.Resources] must name the MCP servers by their URLs.
	//   - Clients may introduce themselves by a URL, even if
	//     [Config.ClientDocuments] is nil, and have to say their name.
	//   - Redirects go to https or to the loopback interface and nowhere else.
	//   - Every client uses PKCE, whatever [Client.InsecureWithoutPKCE] says.
	//   - [Config.AccessTokenLifetime] is an hour at most.
	//   - The scope offline_access is there, for clients that ask for it before they
	//     expect a refresh token. One that may not have it is not refused for asking.
	//
	// [Config.Registration] serves clients of older revisions.
	MCP Profile = "mcp"
)

// maxMCPToken is what "short-lived" (Security Considerations, Token Theft) means here.
const maxMCPToken = time.Hour

const offlineAccess = "offline_access"

// withProfile makes cfg what its profile demands, or names the fields that contradict each
// other.
func (cfg *Config) withProfile() error {
	switch cfg.Profile {
	case OAuth21:
		return nil
	case MCP:
		return cfg.withMCP()
	default:
		return fmt.Errorf("Profile %q is not known", string(cfg.Profile))
	}
}

func (cfg *Config) withMCP() error {
	if len(cfg.Resources) == 0 {
		return errors.New("Resources is required by Profile MCP: name the MCP server's URL")
	}
	for _, r := range cfg.Resources {
		// Canonical Server URI; the scheme and what follows are those of RFC 9728,
		// section 1.2, by which clients find their way from it to here.
		u, err := url.Parse(r.ID)
		if err != nil || u.Hostname() == "" || u.User != nil || !isHTTPS(r.ID) && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
			return fmt.Errorf("Resources: Profile MCP wants the URL of an MCP server, by https, not %q", r.ID)
		}
	}
	if cfg.AccessTokenLifetime > maxMCPToken {
		return fmt.Errorf("AccessTokenLifetime must be at most %v with Profile MCP", maxMCPToken)
	}
	if cfg.ClientDocuments == nil {
		cfg.ClientDocuments = new(ClientDocuments)
	}
	named := func(s Scope) bool { return s.Name == offlineAccess }
	if !slices.ContainsFunc(cfg.Scopes, named) {
		i := slices.IndexFunc(standardScopes, named)
		cfg.Scopes = append(slices.Clone(cfg.Scopes), standardScopes[i])
	}
	return nil
}

// allowsRedirect reports whether the profile lets a code go to uri.
func (p Profile) allowsRedirect(uri string) bool {
	if p != MCP {
		return true
	}
	_, loopback := cutLoopbackPort(uri, true)
	return loopback || isHTTPS(uri)
}

// tolerated is the scope parameter of c without what the profile overlooks. Section Refresh
// Tokens: clients "MAY add offline_access to the scope parameter […] when the Authorization
// Server metadata contains it", whatever scopes they have been registered with.
func (p Profile) tolerated(c *Client, scope string) string {
	if p != MCP || c.mayUse("refresh_token") && slices.Contains(c.Scopes, offlineAccess) {
		return scope
	}
	names := slices.DeleteFunc(strings.Split(scope, " "), func(s string) bool { return s == offlineAccess })
	return strings.Join(names, " ")
}

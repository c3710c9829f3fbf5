package authwright

import (
	"errors"
	"fmt"
)

// A Profile settles what the specifications leave open or contradict each other about.
type Profile string

const (
	// OAuth21 is OAuth 2.1 with the security of RFC 9700, and OpenID Connect if
	// [Config.OpenID] is set.
	OAuth21 Profile = ""

	// MCP is what the authorization specification of the Model Context Protocol
	// demands. Clients may introduce themselves by a URL, even if
	// [Config.ClientDocuments] is nil; redirects go to https or to the loopback
	// interface and nowhere else; and [Config.Resources] must name the MCP servers.
	MCP Profile = "mcp"
)

// withProfile makes cfg what its profile demands, or names the fields that contradict each
// other.
func (cfg *Config) withProfile() error {
	switch cfg.Profile {
	case OAuth21:
	case MCP:
		if len(cfg.Resources) == 0 {
			return errors.New("Resources is required by Profile MCP: name the MCP server's URL")
		}
		if cfg.ClientDocuments == nil {
			cfg.ClientDocuments = new(ClientDocuments)
		}
	default:
		return fmt.Errorf("Profile %q is not known", string(cfg.Profile))
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

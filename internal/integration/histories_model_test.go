package integration_test

import (
	"slices"
	"time"

	"github.com/authwright/authwright"
)

// The lifetimes of the servers that histories are of.
const (
	historyCode    = time.Minute
	historyAccess  = 10 * time.Minute
	historyConsent = 365 * 24 * time.Hour
)

// A modelGrant is what is to be known of a grant. Unlike the library's it keeps every token,
// and knows no hashes.
type modelGrant struct {
	id, client, subject string
	version             int64
	stage               authwright.Stage // "" when it has been forgotten
	asked, scopes       []string
	online              bool // offline_access was declined
	created, expires    time.Time
	ends, rotated       time.Time

	handle, cookie, action string // of the consent page
	code                   string // "" if nobody has seen it
	chain                  []turn // refresh tokens, of which the last is alive
	access                 []modelToken

	redeemed, over bool // what no model is needed to know
}

// A turn is a refresh token. The text is empty while nobody has seen it, be it because the
// storage said that the save had failed when it had not. The client of a lost answer does not
// have it, either, but when it asks again it must get the same.
type turn struct {
	text string
	held bool
}

// A modelToken is an access token.
type modelToken struct {
	text    string
	scopes  []string
	expires int64 // in Unix seconds
}

// A modelClient is what may change of a registration.
type modelClient struct {
	secret, uri string
	disabled    bool
	scopes      []string
}

// lifetimes are those that histories differ in.
type lifetimes struct {
	unused time.Duration // of a refresh token that nobody uses
	end    time.Duration // of a grant
	grace  time.Duration // of a refresh; not positive for none
}

// A model predicts what servers that share a storage answer, and what is stored then.
type model struct {
	lifetimes
	clients    map[string]*modelClient
	grants     []*modelGrant
	remembered map[[2]string]*modelGrant // by client and subject
}

// A tokenRequest presents a secret at the token endpoint.
type tokenRequest struct {
	g           *modelGrant
	client      string
	wrongSecret bool   // of the client
	turn        int    // of the refresh token; theCode or below if it is none
	refused     string // the error that the request has earned by its form alone
	mismatch    bool   // code, verifier or redirect URI are not the grant's
	scope       []string
}

// What it is that a tokenRequest presents, if it is no refresh token that was issued.
const (
	theCode       = -1
	forgedTurn    = -2 // of the right lineage
	forgedLineage = -3
)

// A verdict is how a request must end. Without an error it is granted.
type verdict struct {
	err   string
	after effectOn // what it does to the grant
	token []string // the scopes of the access token
}

type effectOn int

const (
	nothing effectOn = iota
	advances
	revokes
)

// judge says what comes of r at a server whose clock shows now: RFC 6749, sections 4.1.3
// and 6, and RFC 9700, section 4.14.2, with the grace of [authwright.Config.RefreshGrace].
func (m *model) judge(r *tokenRequest, now time.Time) verdict {
	g, c := r.g, m.clients[r.client]
	dead := g.stage == authwright.StageRevoked || !now.Before(g.expires)
	invalid := verdict{err: "invalid_grant"}
	switch {
	case r.wrongSecret:
		return verdict{err: "invalid_client"}
	case c.disabled:
		return invalid
	case r.refused != "":
		return verdict{err: r.refused}
	case g.stage == "", g.client != r.client, r.mismatch, r.turn == forgedLineage, dead:
		return invalid // whoever is not the rightful one changes nothing
	case r.turn == theCode && g.stage == authwright.StageCode, r.turn >= 0 && r.turn == len(g.chain)-1:
		return m.tokens(r, advances)
	case m.grace > 0 && r.turn >= 0 && r.turn == len(g.chain)-2 && now.Before(g.rotated.Add(m.grace)):
		return m.tokens(r, nothing)
	}
	return verdict{err: "invalid_grant", after: revokes}
}

// tokens is a grant of r, unless it asks for what it may not have.
func (m *model) tokens(r *tokenRequest, after effectOn) verdict {
	scopes := r.g.scopes
	if r.scope != nil {
		scopes = r.scope
	}
	if !within(scopes, r.g.scopes) {
		return verdict{err: "invalid_scope"}
	}
	may := m.clients[r.client].scopes
	scopes = slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !slices.Contains(may, s) })
	if len(scopes) == 0 {
		return verdict{err: "invalid_scope"}
	}
	return verdict{after: after, token: scopes}
}

func within(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

// carryOut is what a saved verdict has done to its grant.
func (m *model) carryOut(g *modelGrant, after effectOn, now time.Time) {
	switch after {
	case advances:
		if g.stage == authwright.StageCode {
			g.ends = now.Add(m.end)
		}
		g.version++
		g.stage, g.rotated = authwright.StageActive, now
		g.expires = now.Add(m.unused)
		if g.ends.Before(g.expires) {
			g.expires = g.ends
		}
		g.chain = append(g.chain, turn{})
	case revokes:
		g.over = true
		g.version++
		g.stage, g.expires = authwright.StageRevoked, now.Add(historyAccess+time.Minute)
	}
}

// revoked is what a revocation does to g, which may be none that there is.
func (g *modelGrant) revoked() effectOn {
	if g.stage == "" || g.stage == authwright.StageRevoked {
		return nothing
	}
	return revokes
}

// alive reports whether access tokens of g are good, as far as it is g's business.
func (m *model) alive(g *modelGrant, now time.Time) bool {
	return g.stage == authwright.StageActive && now.Before(g.expires) && !m.clients[g.client].disabled
}

// mustAsk reports whether the user has to be asked for scopes.
func (m *model) mustAsk(client, subject string, scopes []string, now time.Time) bool {
	past := m.remembered[[2]string{client, subject}]
	return past == nil || past.stage != authwright.StageRemembered || !now.Before(past.expires) || !within(scopes, past.scopes)
}

// remember records a consent to g.
func (m *model) remember(g *modelGrant, now time.Time) {
	key := [2]string{g.client, g.subject}
	past := m.remembered[key]
	if past == nil || past.stage != authwright.StageRemembered || !now.Before(past.expires) {
		past = &modelGrant{stage: authwright.StageRemembered}
		m.remembered[key] = past
	}
	for _, s := range g.scopes {
		if !slices.Contains(past.scopes, s) {
			past.scopes = append(past.scopes, s)
		}
	}
	past.expires = now.Add(historyConsent)
}

// judgeRevocation says what comes of a request to the revocation endpoint by client for a
// token of g: RFC 7009, section 2.
func (m *model) judgeRevocation(g *modelGrant, what, client string, wrongSecret, expired bool) verdict {
	switch {
	case wrongSecret:
		return verdict{err: "invalid_client"}
	case what == "garbage", what == "a forged lineage", g.stage == "", expired:
		return verdict{} // as good as revoked
	case what == "the code":
		return verdict{err: "unsupported_token_type"}
	case g.client != client:
		return verdict{err: "unauthorized_client"}
	}
	return verdict{after: g.revoked()}
}

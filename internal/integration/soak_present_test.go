package integration_test

import (
	"fmt"
	"net/url"
	"time"
)

// present presents a refresh token, or the code, and writes that into the history of the
// grant.
func (l *soakLife) present(kind string, server int, token string) answer {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	if token == "" {
		form = url.Values{"grant_type": {"authorization_code"}, "code": {l.code}, "code_verifier": {l.verifier}, "redirect_uri": {proofRedirect}}
	}
	var reply soakReply
	a := l.history.record(presentation{token: token}, func() answer {
		var o outcome
		reply, o = l.post(kind, server, "/token", "web", form)
		return answer{o, reply.Refresh}
	})
	if kind != soakRetry { // which may run beside another
		l.received(reply, a.outcome)
	} else if a.outcome == granted {
		l.verify(reply.Access)
	}
	return a
}

// received takes an access token, which the resource must take as well.
func (l *soakLife) received(reply soakReply, o outcome) {
	if o != granted {
		return
	}
	l.access, l.issued = reply.Access, time.Now()
	l.verify(l.access)
}

// young reports whether the access token has long enough to live for every server to take
// it: that which made it may have had the slowest clock, and another has the fastest.
func (l *soakLife) young() bool { return time.Since(l.issued) < soakAccess-soakSkew-5*time.Second }

// revoke has the grant revoked, by its access token or its refresh token. The former works
// only while it is young: whoever sends an expired token is told that it is worth nothing
// now (RFC 7009, section 2.2), and no more. For the judge it is a second redemption of the
// code.
func (l *soakLife) revoke(client string, byAccess bool) {
	works := true
	l.revoked = l.until(soakRevoke, func(server int) outcome {
		token := l.live
		if byAccess && l.young() || token == "" {
			works, token = l.young(), l.access
		}
		return l.history.record(presentation{}, func() answer {
			_, o := l.post(soakRevoke, server, "/revoke", client, url.Values{"token": {token}})
			if o == granted {
				o = refused
			}
			return answer{outcome: o}
		}).outcome
	}) == refused && works
}

// introspect asks about a token. An access token that is not young any more is left alone.
func (l *soakLife) introspect(client, token string, spent bool) {
	var reply soakReply
	o := l.until(soakIntrospect, func(server int) (o outcome) {
		reply, o = l.post(soakIntrospect, server, "/introspect", client, url.Values{"token": {token}})
		return o
	})
	if o != granted {
		l.fault(fmt.Errorf("introspection was refused"))
		return
	}
	if token == l.access && !l.revoked && !l.young() {
		l.spared.Add(1)
		return
	}
	if err := judgeSoakToken(reply.Active, l.revoked, spent); err != nil {
		l.fault(err)
	}
	if token == l.access && !l.revoked {
		l.verify(token)
	}
}

package authwright

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// vouched reports whether r brings an initial access token. If one is required and r does
// not, that is an error.
func (s *Server) vouched(r *http.Request) (bool, error) {
	tokens := s.cfg.Registration.InitialAccessTokens
	if tokens == nil {
		return false, nil
	}
	token, _ := bearer(r)
	for _, stored := range tokens {
		if stored.is(token) && (stored.ExpiresAt.IsZero() || s.now().Before(stored.ExpiresAt)) {
			return true, nil
		}
	}
	return false, &Error{Code: ErrInvalidToken, Description: "an initial access token is required"}
}

// is reports whether token is the one that NewSecret returned with s.
func (s ClientSecret) is(token string) bool {
	h, err := s.parse()
	return err == nil && h.rounds == 0 && token != "" && same(h.sum[:], hash([]byte(token)))
}

// countRegistration takes one of a source's places, and one of everybody's.
func (s *Server) countRegistration(r *http.Request) error {
	// What a host calls a source can be long, or anything.
	source := base64.RawURLEncoding.EncodeToString(hash([]byte(s.source(r))))
	until := s.now().Add(time.Hour)
	for i := range registrationsSource {
		ok, err := s.takePlace(r.Context(), "register:"+source+":"+strconv.Itoa(i), until)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		for range 8 { // a free one of many is found soon, if there are any to speak of
			n, err := rand.Int(rand.Reader, big.NewInt(registrationsTotal))
			if err != nil {
				return err
			}
			if ok, err := s.takePlace(r.Context(), "register::"+n.String(), until); ok || err != nil {
				return err
			}
		}
		break
	}
	return &Error{Code: ErrTemporarilyUnavailable, Description: "too many registrations", Status: http.StatusTooManyRequests, RetryAfter: time.Hour}
}

func (s *Server) takePlace(ctx context.Context, key string, until time.Time) (bool, error) {
	err := s.cfg.Storage.UseOnce(ctx, key, until)
	if errors.Is(err, ErrConflict) {
		return false, nil
	} else if err != nil {
		return false, unavailable(err)
	}
	return true, nil
}

// sourceKey is under which the context of a request knows where that comes from.
type sourceKey struct{}

// withSource is the context of r, for those who fetch what a stranger names.
func (s *Server) withSource(r *http.Request) context.Context {
	if s.cfg.ClientDocuments == nil {
		return r.Context()
	}
	return context.WithValue(r.Context(), sourceKey{}, func() string { return s.source(r) })
}

// source is where r comes from: if the host does not say, the network that it was sent
// from, which for IPv6 is what one customer has.
func (s *Server) source(r *http.Request) string {
	if s.cfg.Source != nil {
		return s.cfg.Source(r)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return "unknown"
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		if p, err := ip.Prefix(56); err == nil {
			return p.String()
		}
	}
	return ip.String()
}

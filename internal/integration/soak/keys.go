package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"time"

	"github.com/authwright/authwright"
)

// lead is how long before it signs a key is published. [authwright.SigningKey] asks for ten
// minutes. Here it is as little as a server takes without putting the key off, five, and a
// little more for clocks that differ, so that a run of ten minutes sees keys sign that a
// server was given while it ran.
const lead = 6 * time.Minute

// due are the numbers of the first and the last key that a server has at the given time.
// The first one's tokens have expired only just, by any clock.
func (c *config) due(now time.Time) (first, last int) {
	gone := now.Add(-c.Access - 2*time.Minute)
	return max(0, int(gone.Sub(c.Began)/c.Rotation)-1), int(now.Add(lead).Sub(c.Began) / c.Rotation)
}

// keys are those that a server has at the given time. Key i signs from Began + i*Rotation.
func (c *config) keys(now time.Time) (keys []authwright.SigningKey) {
	first, last := c.due(now)
	for i := first; i <= last; i++ {
		keys = append(keys, authwright.SigningKey{Signer: c.signer(i), NotBefore: c.Began.Add(time.Duration(i) * c.Rotation)})
	}
	return keys
}

// signer is key i of all servers of a run. A server that keeps secrets reads its keys from
// where they are kept; this one computes them, so that nothing has to be kept.
func (c *config) signer(i int) *ecdsa.PrivateKey {
	for try := 0; ; try++ {
		scalar := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", c.Issuer, i, try))
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:]); err == nil {
			return key
		}
	}
}

// rotate gives srv the keys that are due, until ctx ends.
func (c *config) rotate(ctx context.Context, log *slog.Logger, srv *authwright.Server) {
	first, last := c.due(c.now())
	every(ctx, time.Second, func() {
		f, l := c.due(c.now())
		if f == first && l == last {
			return
		}
		first, last = f, l
		if err := srv.SetSigningKeys(c.keys(c.now())...); err != nil {
			log.Error("soak: the keys stay", slog.Any("error", err))
		}
	})
}

package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/bench/subject"
)

// storeAlone is how many times a second a grant is read and its next version saved, with
// nothing around it: what a redemption costs a storage. Each caller has grants of its own, so
// that no two meet.
func (o *options) storeAlone(ctx context.Context, storage authwright.Storage) (perSecond float64, err error) {
	callers := make([][]string, min(o.connections, o.grants))
	for i := range o.grants {
		callers[i%len(callers)] = append(callers[i%len(callers)], fmt.Sprintf("%022d", i)) // as long as an ID
	}
	if err := each(callers, func(ids []string) error { return save(ctx, storage, ids) }); err != nil {
		return 0, err
	}
	var done atomic.Int64
	begin := time.Now()
	err = each(callers, func(ids []string) error {
		for i := 0; time.Since(begin) < o.duration; i = (i + 1) % len(ids) {
			g, err := storage.Grant(ctx, ids[i])
			if err != nil {
				return err
			}
			g.Version++
			g.ExpiresAt = g.ExpiresAt.Add(time.Millisecond)
			if err := storage.SaveGrant(ctx, g); err != nil {
				return err
			}
			done.Add(1)
		}
		return nil
	})
	return float64(done.Load()) / time.Since(begin).Seconds(), err
}

// save saves new grants.
func save(ctx context.Context, storage authwright.Storage, ids []string) error {
	for i, id := range ids {
		g := subject.Grant(i)
		g.ID = id
		if err := storage.SaveGrant(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

package authwright

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A clientCache keeps clients of the storage for [Config.ClientMaxAge]. It is bounded: what a
// stranger asks for and nobody has registered is not kept.
type clientCache struct {
	clients sync.Map // of *cachedClient, by ID
	size    atomic.Int64
}

type cachedClient struct {
	client *Client
	until  time.Time
}

const maxCachedClients = 10_000

// storedClient returns the client that the storage has as id, or has had a moment ago.
func (s *Server) storedClient(ctx context.Context, id string) (*Client, error) {
	if s.cfg.ClientMaxAge == 0 {
		return s.cfg.Storage.Client(ctx, id)
	}
	now := s.now() // before it is read, so that it is never older than it seems
	if v, ok := s.clients.clients.Load(id); ok && now.Before(v.(*cachedClient).until) {
		return v.(*cachedClient).client.clone(), nil
	}
	c, err := s.cfg.Storage.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.clients.size.Add(1) > maxCachedClients {
		s.clients.clients.Clear()
		s.clients.size.Store(1)
	}
	s.clients.clients.Store(id, &cachedClient{c.clone(), now.Add(s.cfg.ClientMaxAge)})
	return c, nil
}

// forgetClient is for a client that has changed, or is about to be changed.
func (s *Server) forgetClient(id string) { s.clients.clients.Delete(id) }

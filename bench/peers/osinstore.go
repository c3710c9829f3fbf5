package peers

import (
	"sync"

	"github.com/openshift/osin"
)

// An osinStore is the storage of osin's examples, made safe for concurrent use, silent, and
// without the reference to predecessors of which SaveAccess tells.
type osinStore struct {
	client osin.Client

	mu        sync.RWMutex
	authorize map[string]*osin.AuthorizeData
	access    map[string]*osin.AccessData
	refresh   map[string]string // access token by refresh token
}

func newOsinStore(client osin.Client) *osinStore {
	return &osinStore{
		client: client, authorize: map[string]*osin.AuthorizeData{},
		access: map[string]*osin.AccessData{}, refresh: map[string]string{},
	}
}

func (s *osinStore) Clone() osin.Storage { return s }

func (s *osinStore) Close() {}

func (s *osinStore) GetClient(id string) (osin.Client, error) {
	if id != s.client.GetId() {
		return nil, osin.ErrNotFound
	}
	return s.client, nil
}

func (s *osinStore) SaveAuthorize(data *osin.AuthorizeData) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.authorize[data.Code] = data
	return nil
}

func (s *osinStore) LoadAuthorize(code string) (*osin.AuthorizeData, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if d, ok := s.authorize[code]; ok {
		return d, nil
	}
	return nil, osin.ErrNotFound
}

func (s *osinStore) RemoveAuthorize(code string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.authorize, code)
	return nil
}

// SaveAccess saves data without what came before it. Each refresh makes data that points to
// the data before, so that nothing would ever be freed; LoadAccess and LoadRefresh need not
// return it.
func (s *osinStore) SaveAccess(data *osin.AccessData) error {
	saved := *data
	saved.AuthorizeData, saved.AccessData = nil, nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access[saved.AccessToken] = &saved
	if saved.RefreshToken != "" {
		s.refresh[saved.RefreshToken] = saved.AccessToken
	}
	return nil
}

func (s *osinStore) LoadAccess(token string) (*osin.AccessData, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if d, ok := s.access[token]; ok {
		return d, nil
	}
	return nil, osin.ErrNotFound
}

func (s *osinStore) RemoveAccess(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.access, token)
	return nil
}

func (s *osinStore) LoadRefresh(token string) (*osin.AccessData, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if d, ok := s.access[s.refresh[token]]; ok {
		return d, nil
	}
	return nil, osin.ErrNotFound
}

func (s *osinStore) RemoveRefresh(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.refresh, token)
	return nil
}

package redisstore_test

import (
	"context"
	"log"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
)

// Grants keeps grants in a [redisstore.Store] and has the clients at hand.
type Grants struct {
	*redisstore.Store
	clients *authwright.Memory
}

// Client takes the place of the store's own, and one round trip of three away.
func (g Grants) Client(ctx context.Context, id string) (*authwright.Client, error) {
	return g.clients.Client(ctx, id)
}

// A host whose clients stand in a configuration, the same on all of its servers, does not
// ask Redis for them: a redemption or a refresh is then two round trips, one that reads
// the grant and one that saves it.
func Example_clientsAtHand() {
	var rdb adapter // or a client of go-redis, as it is
	store, err := redisstore.New(rdb, redisstore.Config{})
	if err != nil {
		log.Fatal(err)
	}
	clients, err := authwright.NewMemory(&authwright.Client{
		ID:           "notes",
		Name:         "Notes",
		RedirectURIs: []string{"https://notes.example/callback"},
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = authwright.Config{Storage: Grants{store, clients}, Index: store} // and the rest
}

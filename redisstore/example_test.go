package redisstore_test

import (
	"context"
	"log"

	"github.com/authwright/authwright/redisstore"
)

// A library whose Do is not that of go-redis.
type otherLibrary interface {
	Do(ctx context.Context, command string, args []any) (reply any, err error)
}

type adapter struct{ otherLibrary }

func (a adapter) Do(ctx context.Context, args ...any) result {
	reply, err := a.otherLibrary.Do(ctx, args[0].(string), args[1:])
	return result{reply, err}
}

type result struct {
	reply any
	err   error
}

func (r result) Result() (any, error) { return r.reply, r.err }

func ExampleNew_adapter() {
	var rdb otherLibrary // the host's
	if rdb == nil {
		return
	}
	store, err := redisstore.New(adapter{rdb}, redisstore.Config{Prefix: "myapp:oauth:"})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Check(context.Background()); err != nil {
		log.Fatal(err)
	}
}

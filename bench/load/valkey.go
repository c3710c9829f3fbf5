package main

import (
	"context"

	"github.com/valkey-io/valkey-go"
)

// openValkey opens valkey-go, which sends together what is ready at the same time.
func openValkey(addr string) (client, error) {
	c, err := valkey.NewClient(valkey.ClientOption{InitAddress: []string{addr}, DisableCache: true})
	return client{c}, err
}

// client and reply are the adapter of the documentation of redisstore.Client.
type client struct{ valkey.Client }

type reply struct{ valkey.ValkeyResult }

func (c client) Do(ctx context.Context, args ...any) reply {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = arg.(string)
	}
	cmd, key := c.B().Arbitrary(words[0]), len(words)
	switch words[0] {
	case "EVAL", "EVALSHA":
		key = 3
	case "GET", "SET", "DEL":
		key = 1
	}
	cmd = cmd.Args(words[1:key]...)
	if key < len(words) {
		cmd = cmd.Keys(words[key]).Args(words[key+1:]...)
	}
	return reply{c.Client.Do(ctx, cmd.Build())}
}

func (r reply) Result() (any, error) {
	v, err := r.ToAny()
	if valkey.IsValkeyNil(err) {
		return nil, nil
	}
	return v, err
}

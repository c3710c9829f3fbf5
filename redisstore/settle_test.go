package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
)

// lostReplies are errors after which nobody knows whether a command was carried out.
var lostReplies = []error{
	errors.New("read tcp 127.0.0.1:6379: connection reset by peer"), io.EOF, io.ErrUnexpectedEOF,
	errors.New("LOADING Redis is loading the dataset in memory"),
	errors.New("CLUSTERDOWN The cluster is down"),
}

func rotated() *authwright.Grant {
	g := newGrant()
	g.Version, g.Stage = 2, authwright.StageActive
	return g
}

// A save whose reply is lost is sent again with the same token, by which saveGrant knows
// it (TestRedisStoreSentTwice in internal/integration).
func TestSaveGrantWithoutReply(t *testing.T) {
	t.Parallel()
	for _, lost := range lostReplies {
		for _, g := range []*authwright.Grant{newGrant(), rotated()} {
			for answer, want := range map[int64]error{0: authwright.ErrConflict, 1: nil} {
				t.Run(fmt.Sprint(lost, g.Version, answer), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						var saves [][]string
						s := newStore(t, func(args []string) (any, error) {
							if len(args) < 10 {
								return always(int64(1), nil)(args)
							}
							if saves = append(saves, args); len(saves) <= 3 {
								return nil, lost
							}
							return answer, nil
						})
						require.ErrorIs(t, s.SaveGrant(t.Context(), g), want)
						require.Len(t, saves, 4)
						require.Equal(t, saves[0], saves[3])
					})
				})
			}
		}
	}
}

// Without an answer there is an end to it, and the end of the context comes first.
func TestSaveGrantGivesUp(t *testing.T) {
	t.Parallel()
	for _, deadline := range []time.Duration{time.Hour, 300 * time.Millisecond} {
		for _, lost := range lostReplies {
			t.Run(fmt.Sprint(lost, deadline), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), deadline)
					defer cancel()
					begin, sent := time.Now(), 0
					err := newStore(t, func(args []string) (any, error) {
						sent++
						return always(nil, lost)(args)
					}).SaveGrant(ctx, rotated())
					require.ErrorIs(t, err, lost)
					require.NotErrorIs(t, err, authwright.ErrConflict)
					require.Equal(t, min(deadline, 8*time.Second), time.Since(begin))
					require.LessOrEqual(t, sent, 60)
				})
			})
		}
	}
}

// What Redis refuses is not done, and what too few replicas have is not done again.
func TestSaveGrantIsRefused(t *testing.T) {
	t.Parallel()
	for _, refusal := range []string{"READONLY You can't write against a read only replica.", "OOM command not allowed when used memory > 'maxmemory'.", "shortfall"} {
		t.Run(refusal, func(t *testing.T) {
			t.Parallel()
			var saves int
			s, err := redisstore.NewWaiting(piped{func(args []string) (any, error) {
				switch args[0] {
				case "INFO":
					return goodInfo, nil
				case "SET":
					return "OK", nil
				case "WAIT":
					return int64(0), nil
				}
				if saves++; refusal == "shortfall" {
					return int64(1), nil
				}
				return nil, errors.New(refusal)
			}}, redisstore.Config{WaitReplicas: 1, WaitTimeout: 50 * time.Millisecond})
			require.NoError(t, err)
			require.Error(t, s.SaveGrant(t.Context(), rotated()))
			require.Equal(t, 1, saves)
		})
	}
}

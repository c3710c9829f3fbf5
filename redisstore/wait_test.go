package redisstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/internal/document"
	"github.com/authwright/authwright/redisstore"
)

// piped is a server behind a pipeline.
type piped struct{ server }

func (p piped) Pipeline() *pipeline { return &pipeline{p.server} }

type pipeline struct{ server }

func (*pipeline) Exec(context.Context) ([]any, error) { return nil, nil }

// newRecord is newGrant as it is stored.
func newRecord(t *testing.T) string {
	t.Helper()
	data, err := document.AppendGrant(nil, newGrant())
	require.NoError(t, err)
	return "1 0 places token " + string(data)
}

// In a Cluster a WAIT goes anywhere, whatever the host is willing to lose.
func TestWaitingInCluster(t *testing.T) {
	t.Parallel()
	for _, insecure := range []bool{false, true} {
		s, err := redisstore.NewWaiting(piped{func([]string) (any, error) { return clusterInfo, nil }},
			redisstore.Config{WaitReplicas: 1, WaitTimeout: time.Second, InsecureAcceptDataLoss: insecure})
		require.NoError(t, err)
		require.ErrorContains(t, s.Check(t.Context()), "Cluster")
		require.ErrorContains(t, s.SaveGrant(t.Context(), newGrant()), "Cluster")
	}
}

// What is read may be what another call has written and could not confirm.
func TestWaitingForReplicas(t *testing.T) {
	t.Parallel()
	record, client := newRecord(t), &authwright.Client{ID: "app", RedirectURIs: []string{"https://app.example/cb"}}
	for replicas, want := range map[int64]string{0: "0 of 2 replicas", 1: "1 of 2 replicas", 2: "", 3: ""} {
		var commands []string
		s, err := redisstore.NewWaiting(piped{func(args []string) (any, error) {
			commands = append(commands, args[0])
			switch args[0] {
			case "INFO":
				return goodInfo, nil
			case "GET":
				return map[string]any{"authwright:grant:{g}": record}[args[1]], nil
			case "WAIT":
				require.Equal(t, []string{"WAIT", "2", "50"}, args)
				return replicas, nil
			}
			return nil, nil
		}}, redisstore.Config{WaitReplicas: 2, WaitTimeout: 50 * time.Millisecond})
		require.NoError(t, err)
		_, err = s.Client(t.Context(), "app")
		require.ErrorIs(t, err, authwright.ErrNotFound, "a read of clients does not wait")
		_, readErr := s.Grant(t.Context(), "g")
		_, missErr := s.Grant(t.Context(), "unknown")
		writeErr := s.UpdateClient(t.Context(), client)
		if want == "" {
			require.NoError(t, readErr)
			require.ErrorIs(t, missErr, authwright.ErrNotFound)
			require.ErrorIs(t, writeErr, authwright.ErrNotFound)
		} else {
			for _, err := range []error{readErr, missErr, writeErr} {
				require.ErrorContains(t, err, want)
				require.NotErrorIs(t, err, authwright.ErrNotFound)
			}
		}
		require.Equal(t, []string{"INFO", "GET", "GET", "SET", "WAIT", "GET", "SET", "WAIT", "SET", "SET", "WAIT"}, commands)
	}
}

// WAIT confirms nothing if there was nothing to wait for.
func TestWaitingForNothing(t *testing.T) {
	t.Parallel()
	for _, failing := range []string{"SET", "WAIT"} {
		s, err := redisstore.NewWaiting(piped{func(args []string) (any, error) {
			switch args[0] {
			case failing:
				return nil, errors.New("NOREPLICAS Not enough good replicas to write.")
			case "INFO":
				return goodInfo, nil
			case "WAIT":
				return int64(2), nil
			}
			return newRecord(t), nil
		}}, redisstore.Config{WaitReplicas: 2, WaitTimeout: 50 * time.Millisecond})
		require.NoError(t, err)
		_, err = s.Grant(t.Context(), "g")
		require.ErrorContains(t, err, "wait for replicas: NOREPLICAS")
	}
}

package redisstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright"
	"github.com/authwright/authwright/redisstore"
)

// The store is tested on real servers, see internal/integration. Here is what they
// cannot be made to say.

// A server answers commands by a function.
type server func(args []string) (any, error)

func (s server) Do(_ context.Context, args ...any) result {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = arg.(string) // as is promised to adapters
	}
	reply, err := s(words)
	return result{reply, err}
}

const (
	goodInfo    = "# Server\r\nredis_mode:standalone\r\n# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\n"
	clusterInfo = "redis_mode:cluster\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n"
)

// always is a good server that gives every other command the same answer.
func always(reply any, err error) server {
	return func(args []string) (any, error) {
		if args[0] == "INFO" {
			return goodInfo, nil
		}
		return reply, err
	}
}

func newStore(t testing.TB, s server) *redisstore.Store {
	t.Helper()
	store, err := redisstore.New(s, redisstore.Config{})
	require.NoError(t, err)
	return store
}

func newGrant() *authwright.Grant {
	return &authwright.Grant{ID: "g", Version: 1, Stage: authwright.StageCode, ClientID: "app", Subject: "ada", ExpiresAt: time.Now().Add(time.Minute)}
}

// calls are all methods that talk to the server.
func calls(ctx context.Context, s *redisstore.Store) map[string]error {
	client := &authwright.Client{ID: "app", RedirectURIs: []string{"https://app.example/cb"}}
	active := newGrant()
	active.Version, active.Stage = 2, authwright.StageActive
	_, clientErr := s.Client(ctx, "app")
	_, grantErr := s.Grant(ctx, "g")
	_, _, subjectErr := s.GrantsBySubject(ctx, "ada", "", 0)
	_, _, byClientErr := s.GrantsByClient(ctx, "app", "", 0)
	return map[string]error{
		"Client": clientErr, "Grant": grantErr, "GrantsBySubject": subjectErr, "GrantsByClient": byClientErr,
		"SaveGrant, new": s.SaveGrant(ctx, newGrant()), "SaveGrant": s.SaveGrant(ctx, active),
		"UseOnce":   s.UseOnce(ctx, "key", time.Now().Add(time.Minute)),
		"AddClient": s.AddClient(ctx, client), "UpdateClient": s.UpdateClient(ctx, client), "DeleteClient": s.DeleteClient(ctx, "app"),
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		new  func() (*redisstore.Store, error)
		want string
	}{
		"no client": {func() (*redisstore.Store, error) { return redisstore.New[result](nil, redisstore.Config{}) }, "rdb is nil"},
		"braces in the prefix": {func() (*redisstore.Store, error) {
			return redisstore.New(always(nil, nil), redisstore.Config{Prefix: "{a}"})
		}, "Config.Prefix"},
		"waiting without a pipeline": {func() (*redisstore.Store, error) {
			return redisstore.New(always(nil, nil), redisstore.Config{WaitReplicas: 1})
		}, "NewWaiting"},
		"waiting for nobody": {func() (*redisstore.Store, error) {
			return redisstore.NewWaiting(piped{always(nil, nil)}, redisstore.Config{WaitTimeout: time.Second})
		}, "Config.WaitReplicas"},
		"waiting for ever": {func() (*redisstore.Store, error) {
			return redisstore.NewWaiting(piped{always(nil, nil)}, redisstore.Config{WaitReplicas: 1})
		}, "WaitTimeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tt.new()
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	info := func(aof, limit, policy string) string {
		return "aof_enabled:" + aof + "\r\nmaxmemory:" + limit + "\r\nmaxmemory_policy:" + policy + "\r\n"
	}
	for name, tt := range map[string]struct {
		info any
		err  error
		want string // empty: good
	}{
		"good":                  {info: goodInfo},
		"as bytes":              {info: []byte(goodInfo)},
		"cluster":               {info: clusterInfo},
		"limit, no eviction":    {info: info("1", "1000000", "noeviction")},
		"policy, no limit":      {info: info("1", "0", "allkeys-lru")},
		"no AOF":                {info: info("0", "0", "noeviction"), want: "appendonly yes"},
		"evicts all keys":       {info: info("1", "1000000", "allkeys-lru"), want: "maxmemory-policy noeviction and has allkeys-lru"},
		"evicts expiring keys":  {info: info("1", "1000000", "volatile-ttl"), want: "volatile-ttl"},
		"says nothing of AOF":   {info: "maxmemory:0\r\nmaxmemory_policy:noeviction\r\n", want: "aof_enabled"},
		"says nothing":          {info: "", want: "aof_enabled"},
		"says something else":   {info: []any{"redis_mode"}, want: "unexpected reply"},
		"may not say":           {err: errors.New("NOPERM User default has no permissions to run the 'info' command"), want: "unless Config.InsecureAcceptDataLoss"},
		"does not know INFO":    {err: errors.New("ERR unknown command 'INFO'"), want: "unless Config.InsecureAcceptDataLoss"},
		"cannot be reached":     {err: errors.New("connection refused"), want: "connection refused"},
		"is loading its memory": {err: errors.New("LOADING Redis is loading the dataset in memory"), want: "LOADING"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var commands []string
			s := server(func(args []string) (any, error) {
				commands = append(commands, args[0])
				if args[0] == "INFO" {
					return tt.info, tt.err
				}
				return "OK", nil
			})
			store := newStore(t, s)
			err := store.Check(t.Context())
			use := store.UseOnce(t.Context(), "key", time.Now().Add(time.Minute))
			if tt.want == "" {
				require.NoError(t, err)
				require.NoError(t, use)
				require.Equal(t, []string{"INFO", "SET"}, commands, "a good server is asked once")
				return
			}
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, use, tt.want)
			require.Equal(t, []string{"INFO", "INFO"}, commands, "nothing is written to a server that forgets")

			commands = nil
			store, err = redisstore.New(s, redisstore.Config{InsecureAcceptDataLoss: true})
			require.NoError(t, err)
			require.NoError(t, store.Check(t.Context()))
			require.NoError(t, store.UseOnce(t.Context(), "key", time.Now().Add(time.Minute)))
			require.Equal(t, []string{"SET"}, commands)
		})
	}
}

// An outage, or an answer that makes no sense, says nothing about the record.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	outage := errors.New("connection refused")
	for name, s := range map[string]server{
		"outage":             always(nil, outage),
		"read-only":          always(nil, errors.New("READONLY You can't write against a read only replica.")),
		"float":              always(1.5, nil),
		"unknown number":     always(int64(7), nil),
		"half of an index":   always([]any{"id"}, nil),
		"index of no text":   always([]any{int64(1), int64(2)}, nil),
		"grant in no record": always("", nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got map[string]error
			synctest.Test(t, func(t *testing.T) { got = calls(t.Context(), newStore(t, s)) })
			for method, err := range got {
				if (method == "AddClient" || method == "UpdateClient" || method == "UseOnce") && name != "outage" && name != "read-only" {
					continue // SET says OK or null
				}
				if method == "DeleteClient" && name == "unknown number" {
					continue
				}
				require.ErrorContains(t, err, "redisstore: ", method)
				require.NotErrorIs(t, err, authwright.ErrNotFound, method)
				require.NotErrorIs(t, err, authwright.ErrConflict, method)
				if name == "outage" {
					require.ErrorIs(t, err, outage, method)
				}
			}
		})
	}
}

// Not every client library looks at the context before it sends.
func TestContextDone(t *testing.T) {
	t.Parallel()
	sent := 0
	s := newStore(t, func(args []string) (any, error) {
		sent++
		return always(nil, nil)(args)
	})
	require.NoError(t, s.Check(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for method, err := range calls(ctx, s) {
		require.ErrorIs(t, err, context.Canceled, method)
	}
	require.Equal(t, 1, sent)
}

// Null is an answer, whether it is nil or an error as in go-redis.
func TestNull(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"nil": nil, "go-redis": errors.New("redis: nil")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := calls(t.Context(), newStore(t, always(nil, err)))
			for _, method := range []string{"Client", "Grant", "UpdateClient"} {
				require.ErrorIs(t, got[method], authwright.ErrNotFound, method)
			}
			for _, method := range []string{"AddClient", "UseOnce"} {
				require.ErrorIs(t, got[method], authwright.ErrConflict, method)
			}
		})
	}
}

func TestCorruptRecord(t *testing.T) {
	t.Parallel()
	for _, record := range []string{"x", "1 2 3 4", "1 2 3 4 ", "1 2 3 4 {", `1 2 3 4 {"version":"one"}`} {
		s := newStore(t, always(record, nil))
		_, grantErr := s.Grant(t.Context(), "g")
		_, clientErr := s.Client(t.Context(), "app")
		for _, err := range []error{grantErr, clientErr} {
			require.ErrorContains(t, err, "corrupt", record)
			require.NotErrorIs(t, err, authwright.ErrNotFound)
		}
	}
}

func TestPageOfSomebodyElse(t *testing.T) {
	t.Parallel()
	s := newStore(t, always([]any{}, nil))
	for _, page := range []string{"x", " ", "-inf id", "1.5 id"} {
		_, _, err := s.GrantsBySubject(t.Context(), "ada", page, 0)
		require.ErrorContains(t, err, "page", page)
	}
}

// A hash tag ends at the first closing brace, so there must be one of each.
func TestKeys(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	s := newStore(t, func(args []string) (any, error) {
		if args[0] == "GET" {
			seen[args[1]] = args[1]
		}
		return always(nil, nil)(args)
	})
	ids := []string{"g", "{g}", "{g", "g}", "}{", "{}", "", "%7Bg%7D", "g ", "g+", "g\x00", "g\xff", "g\n", strings.Repeat("{", 3000)}
	for _, id := range ids {
		_, err := s.Grant(t.Context(), id)
		require.ErrorIs(t, err, authwright.ErrNotFound)
		_, err = s.Client(t.Context(), id)
		require.ErrorIs(t, err, authwright.ErrNotFound)
	}
	require.Len(t, seen, 2*len(ids))
	for key := range seen {
		require.True(t, strings.HasPrefix(key, "authwright:grant:{") || strings.HasPrefix(key, "authwright:client:{"), key)
		require.True(t, strings.HasSuffix(key, "}"), key)
		require.Equal(t, 1, strings.Count(key, "{"), key)
		require.Equal(t, 1, strings.Count(key, "}"), key)
	}
}

// A node that does not know the scripts was promoted, or is new, and nobody has checked it.
func TestCheckOfNewNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		info, known, saved := goodInfo, true, 0
		s := newStore(t, func(args []string) (any, error) {
			switch args[0] {
			case "INFO":
				return info, nil
			case "EVALSHA":
				if !known {
					return nil, errors.New("NOSCRIPT No matching script. Please use EVAL.")
				}
			case "EVAL":
				known = true
			}
			saved++
			return int64(1), nil
		})
		require.NoError(t, s.SaveGrant(t.Context(), rotated()))
		info, known, saved = strings.Replace(goodInfo, "aof_enabled:1", "aof_enabled:0", 1), false, 0
		for range 3 {
			begin := time.Now()
			require.ErrorContains(t, s.SaveGrant(t.Context(), rotated()), "appendonly yes")
			require.Zero(t, time.Since(begin), "to wait would not change it")
		}
		require.Zero(t, saved)
		info = goodInfo
		require.NoError(t, s.SaveGrant(t.Context(), rotated()))
		require.Equal(t, 1, saved)
	})
}

package main

import (
	"context"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/authwright/authwright/bench/subject"
)

// connect returns connections to a server in this process, each with two grants.
func connect(t *testing.T) []*conn {
	t.Helper()
	o := &options{server: authwrightName, dsn: "memory"}
	h, err := o.handler()
	require.NoError(t, err)
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	var conns []*conn
	for range 3 {
		c, err := dial(s.Listener.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		conns = append(conns, c)
	}
	require.NoError(t, each(conns, func(c *conn) error { return c.prepareGrants(2) }))
	return conns
}

func TestRequests(t *testing.T) {
	t.Parallel()
	c := connect(t)[0]
	first, second := c.live[0], c.live[1]
	require.NoError(t, c.empty())
	for range 3 {
		require.NoError(t, c.refresh())
	}
	require.NotEqual(t, first, c.live[0])
	require.NotEqual(t, second, c.live[1])

	require.NoError(t, c.prepareCodes(2))
	code := c.codes[0]
	require.NoError(t, c.redeem())
	require.NoError(t, c.redeem())
	require.ErrorIs(t, c.redeem(), errNoCodes)
	c.codes = append(c.codes, code)
	require.ErrorContains(t, c.redeem(), "status 400", "what is refused is no success")
	_, err := c.tokens(subject.RefreshForm, "x")
	require.ErrorContains(t, err, "invalid_grant")
}

func TestClosedLoop(t *testing.T) {
	t.Parallel()
	conns := connect(t)
	o, err := closed(conns, 50*time.Millisecond, (*conn).refresh)
	require.NoError(t, err)
	require.NotEmpty(t, o.latencies)
	require.IsNonDecreasing(t, o.latencies)

	require.NoError(t, each(conns, func(c *conn) error { return c.prepareCodes(4) }))
	o, err = closed(conns, time.Minute, (*conn).redeem)
	require.NoError(t, err, "it ends with the codes")
	require.Len(t, o.latencies, 12)
}

// A server that stalls for a while must not be asked less meanwhile: what was due is late by
// as much as it had to wait.
func TestOpenLoopCountsFromWhenARequestWasDue(t *testing.T) {
	t.Parallel()
	const stall = 100 * time.Millisecond
	conns := connect(t)[:1]
	n := 0
	o, err := open(conns, 200*time.Millisecond, 500, func(c *conn) error {
		if n++; n == 1 {
			time.Sleep(stall)
		}
		return nil
	})
	require.NoError(t, err)
	require.Len(t, o.latencies, 100, "200 ms at 500 per second")
	late := 0
	for _, took := range o.latencies {
		if took > stall/2 {
			late++
		}
	}
	require.GreaterOrEqual(t, late, 20, "half of the 50 that were due during the stall")
}

func TestErrorsEndALoad(t *testing.T) {
	t.Parallel()
	conns := connect(t)
	conns[0].Close()
	_, err := closed(conns, 10*time.Millisecond, (*conn).refresh)
	require.Error(t, err)
	_, err = open(conns, 10*time.Millisecond, 1000, (*conn).refresh)
	require.Error(t, err)
}

// build builds the command and returns how to run it.
func build(t *testing.T) func(args ...string) (string, error) {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "load")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return func(args ...string) (string, error) {
		common := []string{"-duration", "50ms", "-grants", "40", "-connections", "4", "-processes", "2", "-rounds", "1"}
		out, err := exec.CommandContext(ctx, binary, append(common, args...)...).CombinedOutput()
		return string(out), err
	}
}

var (
	loadRow    = regexp.MustCompile(`(?m)^\| (refresh|redemption|empty handler), .* \| \d+ \| \d+ \| \d+ \| \d+ \|$`)
	compareRow = regexp.MustCompile(`(?m)^\| [^|]* \| [1-9]\d* \| \d+\.\d \| (\d+\.\d\d)? \|$`) // but for refreshes, whose client is another
)

func TestCommand(t *testing.T) {
	t.Parallel()
	run := build(t)
	for _, c := range []struct {
		args     []string
		compared int
	}{
		{nil, 0},
		{[]string{"-server", "osin"}, 0},
		{[]string{"-server", "go-oauth2"}, 0},
		{[]string{"-storage", "redis"}, 7},
		{[]string{"-storage", "redis", "-driver", "valkey-go"}, 7},
		{[]string{"-storage", "postgresql"}, 4},
	} {
		out, err := run(c.args...)
		require.NoError(t, err, "%v: %s", c.args, out)
		require.Len(t, loadRow.FindAllString(out, -1), 7, out)
		require.Len(t, compareRow.FindAllString(out, -1), c.compared, out)
	}
}

func TestCommandRefuses(t *testing.T) {
	t.Parallel()
	run := build(t)
	for want, args := range map[string][]string{
		"-storage":                     {"-storage", "paper"},
		"not safe for concurrent use":  {"-server", "fosite"},
		`-server "paper" is not known`: {"-server", "paper"},
		"no other -storage":            {"-server", "osin", "-storage", "redis"},
		"-driver":                      {"-driver", "valkey-go"},
		"-rounds":                      {"-rounds", "0"},
		"as many connections":          {"-connections", "1"},
	} {
		out, err := run(args...)
		require.Error(t, err, args)
		require.True(t, strings.HasPrefix(out, "load: "), out)
		require.Contains(t, out, want)
	}
}

func TestMediansAreOfTurns(t *testing.T) {
	t.Parallel()
	var order string
	named := func(name string, perSecond ...float64) turn {
		return func() (r rate, err error) {
			order += name
			r.perSecond, perSecond = perSecond[0], perSecond[1:]
			return r, nil
		}
	}
	o := options{rounds: 3}
	prepare := func() error {
		order += "."
		return nil
	}
	rates, err := o.medians(prepare, named("a", 3, 900, 1), named("b", 7, 5, 6))
	require.NoError(t, err)
	require.Equal(t, []rate{{perSecond: 3}, {perSecond: 6}}, rates)
	require.Equal(t, ".a.b.a.b.a.b", order)
}

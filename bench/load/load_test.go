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
	storage, err := openStorage("memory", 0)
	require.NoError(t, err)
	h, err := handler(storage)
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

func TestCommand(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "load")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err = exec.CommandContext(ctx, binary, "-duration", "50ms", "-grants", "4", "-connections", "4", "-processes", "2").CombinedOutput()
	require.NoError(t, err, string(out))
	rows := regexp.MustCompile(`(?m)^\| (refresh|redemption|empty handler), .* \| \d+ \| \d+ \| \d+ \| \d+ \|$`).FindAllString(string(out), -1)
	require.Len(t, rows, 7, string(out))
	out, err = exec.CommandContext(ctx, binary, "-storage", "paper").CombinedOutput()
	require.Error(t, err)
	require.True(t, strings.HasPrefix(string(out), "load: -storage"), string(out))
}

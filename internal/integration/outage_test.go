package integration_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// outageAnswer is how long a client waits at most, on a machine that is busy.
const outageAnswer = localDeadline + 2*time.Second

// The network between a server and its database fails in every way that it has. All
// requests are answered in time, by 503, and none leaves a goroutine behind. When it is
// back, so is the server, and no client has lost its tokens.
//
// Other tests have goroutines too, so this one does not run beside them.
func TestOutages(t *testing.T) {
	faults := []struct {
		name        string
		begin, heal func(*toxiproxy)
	}{
		{"latency", func(p *toxiproxy) { p.poison("latency", "downstream", map[string]int{"latency": 10_000}) }, (*toxiproxy).heal},
		{"reset", func(p *toxiproxy) { p.poison("reset_peer", "downstream", map[string]int{"timeout": 0}) }, (*toxiproxy).heal},
		{"requests vanish", func(p *toxiproxy) { p.poison("timeout", "upstream", map[string]int{"timeout": 0}) }, (*toxiproxy).heal},
		{"replies vanish", func(p *toxiproxy) { p.poison("timeout", "downstream", map[string]int{"timeout": 0}) }, (*toxiproxy).heal},
		{"replies stop in the middle", func(p *toxiproxy) { p.poison("limit_data", "downstream", map[string]int{"bytes": 10}) }, (*toxiproxy).heal},
		{"down", func(p *toxiproxy) { p.enable(false) }, func(p *toxiproxy) { p.enable(true) }},
	}
	eachDurableEngine(t, func(t *testing.T, start func(*testing.T) durableEngine) {
		e := start(t)
		proxy := newToxiproxy(t, e.address())
		store := e.store(t, proxy.listen)
		c := newLocalCrowd(t, store, store)
		for _, fault := range faults {
			t.Run(fault.name, func(t *testing.T) {
				proxy.t = t
				o := newOutage(t, c)
				c.http.CloseIdleConnections()
				before := goleak.IgnoreCurrent()
				fault.begin(proxy)
				for range 3 {
					o.endure(t)
				}
				fault.heal(proxy)
				o.recover(t)
				c.http.CloseIdleConnections()
				requireNoLeak(t, before)
			})
		}
		requireLinearizable(t, c.history)
	})
}

// time to notice.
func requireNoLeak(t *testing.T, before goleak.Option) {
	t.Helper()
	var leak error
	for range 5 {
		if leak = goleak.Find(before); leak == nil {
			return
		}
	}
	require.NoError(t, leak)
}

// An outage is what clients hold when it begins.
type outage struct {
	*crowd
	grants []int
	codes  []string
	tokens []string
}

func newOutage(t *testing.T, c *crowd) *outage {
	t.Helper()
	o := &outage{crowd: c}
	for range 4 {
		grant, code, err := c.newGrant()
		require.NoError(t, err)
		a, _, err := c.keepRedeeming(grant, code)
		require.NoError(t, err)
		o.grants, o.tokens = append(o.grants, grant), append(o.tokens, a.token)
		grant, code, err = c.newGrant()
		require.NoError(t, err)
		o.grants, o.codes = append(o.grants, grant), append(o.codes, code)
	}
	return o
}

// endure sends a request to each endpoint that asks the storage, all at once.
func (o *outage) endure(t *testing.T) {
	t.Helper()
	url := o.replicas[0].url
	requests := []func() outcome{
		func() outcome { return o.status("GET", "/authorize?client_id=web", nil) },
		func() outcome { return o.status("POST", "/introspect", map[string][]string{"token": {o.tokens[0]}}) },
		func() outcome { return o.status("POST", "/revoke", map[string][]string{"token": {"unknown"}}) },
	}
	for i := range o.tokens {
		requests = append(requests, func() outcome {
			a, _ := o.refresh(url, o.grants[2*i], o.tokens[i])
			return a.outcome
		}, func() outcome {
			a, _ := o.redeem(url, o.grants[2*i+1], o.codes[i])
			return a.outcome
		})
	}
	outcomes, took := make([]outcome, len(requests)), make([]time.Duration, len(requests))
	var wg sync.WaitGroup
	for i, request := range requests {
		wg.Go(func() {
			begin := time.Now()
			outcomes[i] = request()
			took[i] = time.Since(begin)
		})
	}
	wg.Wait()
	for i := range requests {
		require.Equal(t, unavailable, outcomes[i], "request %d is answered by 503", i)
		require.Less(t, took[i], outageAnswer, "request %d", i)
	}
}

// status sends a request that is no presentation.
func (o *outage) status(method, path string, form url.Values) outcome {
	r, err := http.NewRequest(method, o.replicas[0].url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return notTried
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("web", url.QueryEscape(proofSecret))
	resp, err := o.http.Do(r)
	if err != nil {
		return lost
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return lost
	}
	if resp.StatusCode == http.StatusServiceUnavailable {
		return unavailable
	}
	return granted
}

// recover presents what the clients still hold.
func (o *outage) recover(t *testing.T) {
	t.Helper()
	begin := time.Now()
	for i := range o.tokens {
		a, err := o.keepRefreshing(o.grants[2*i], o.tokens[i])
		require.NoError(t, err)
		require.Equal(t, granted, a.outcome, "a refresh token is lost")
		a, _, err = o.keepRedeeming(o.grants[2*i+1], o.codes[i])
		require.NoError(t, err)
		require.Equal(t, granted, a.outcome, "a code is lost")
	}
	require.Less(t, time.Since(begin), 10*time.Second)
}

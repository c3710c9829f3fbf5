package integration_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// A soakStock is what a server says of itself. The program in soak has the same structure.
type soakStock struct {
	Resident   uint64 `json:"resident"`
	Heap       uint64 `json:"heap"`
	Goroutines int    `json:"goroutines"`
	Incoming   int64  `json:"incoming"`
	Database   int    `json:"database"`
}

// soakSamples are what is measured every second. The first server is never killed, or
// nobody would see it grow; of the others there is the most that they ever took.
type soakSamples struct {
	survivor []*soakSeries // memory, heap, goroutines, connections
	others   []*soakSeries
	rows     *soakSeries
}

func newSoakSamples() *soakSamples {
	series := func() []*soakSeries {
		return []*soakSeries{
			{name: "memory of the process, MB", unit: 1 << 20, slack: 16 << 20},
			{name: "live heap, MB", unit: 1 << 20, slack: 8 << 20},
			{name: "goroutines", unit: 1, slack: 200},
			{name: "connections of clients", unit: 1, slack: 150},
			{name: "connections to the database", unit: 1, slack: 5},
		}
	}
	return &soakSamples{series(), series(), &soakSeries{name: "rows, or keys, in the database", unit: 1, slack: 500}}
}

// all are the series that must not grow.
func (s *soakSamples) all() []*soakSeries {
	return append(s.survivor[:len(s.survivor):len(s.survivor)], s.rows)
}

// take samples every second until ctx ends. What does not answer is not measured.
func (s *soakSamples) take(ctx context.Context, c *soakClient, db *soakDirect) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	client := &http.Client{Timeout: 900 * time.Millisecond}
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for n, server := range c.servers {
			stock, err := askStock(ctx, client, server)
			if err != nil {
				continue
			}
			series := s.others
			if n == 0 {
				series = s.survivor
			}
			for k, v := range []float64{float64(stock.Resident), float64(stock.Heap), float64(stock.Goroutines), float64(stock.Incoming), float64(stock.Database)} {
				series[k].add(c.now(), v)
			}
		}
		if i%3 == 0 {
			counting, cancel := context.WithTimeout(ctx, time.Second)
			if n, err := db.rows(counting); err == nil {
				s.rows.add(c.now(), float64(n))
			}
			cancel()
		}
	}
}

func askStock(ctx context.Context, client *http.Client, server string) (s soakStock, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/soak", nil)
	if err != nil {
		return s, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return s, fmt.Errorf("stock: %s", resp.Status)
	}
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync/atomic"
)

// A stock is what a server takes of its machine. The test has the same structure.
type stock struct {
	Resident   uint64 `json:"resident"` // bytes in memory, of the whole process
	Heap       uint64 `json:"heap"`     // bytes that the last collection has found alive
	Goroutines int    `json:"goroutines"`
	Incoming   int64  `json:"incoming"` // connections of clients
	Database   int    `json:"database"` // connections to the database
}

func takeStock(open *connections, s *storage) stock {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	return stock{resident(), live[0].Value.Uint64(), runtime.NumGoroutine(), open.n.Load(), s.connections()}
}

// resident is from Linux's accounts of this process.
func resident() (bytes uint64) {
	text, _ := os.ReadFile("/proc/self/status")
	_, line, _ := strings.Cut(string(text), "\nVmRSS:")
	if _, err := fmt.Sscan(line, &bytes); err != nil {
		return 0
	}
	return bytes << 10
}

// connections counts those that are open.
type connections struct{ n atomic.Int64 }

func (c *connections) changed(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.n.Add(1)
	case http.StateClosed, http.StateHijacked:
		c.n.Add(-1)
	}
}

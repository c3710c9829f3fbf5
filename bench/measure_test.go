package bench_test

import (
	"runtime"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"
)

// cpu is the processor time that this process has used, on all cores and by the collector
// as well, which runs beside what is measured and would be missing in its wall time.
func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// measure is the loop of every benchmark. What other benchmarks left is collected first.
func measure(b *testing.B, op func()) {
	b.ReportAllocs()
	runtime.GC()
	begin := cpu()
	for b.Loop() {
		op()
	}
	reportCPU(b, begin)
}

// measureParallel is measure on as many goroutines as there are cores; op makes what one
// goroutine repeats.
func measureParallel(b *testing.B, op func() func()) {
	b.ReportAllocs()
	runtime.GC()
	begin := cpu()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		repeated := op()
		for pb.Next() {
			repeated()
		}
	})
	reportCPU(b, begin)
}

// measureCollected is measure where the live heap is large. A collection is then so rare and
// so dear that a second holds none or one; so its cost is shared out over whole cycles, from
// the end of one collection to that of another.
func measureCollected(b *testing.B, op func()) {
	const cycles, batch, atLeast = 2, 100, 10_000
	b.ReportAllocs()
	for b.Loop() {
		op()
	}
	runtime.GC()
	begin, first, n := cpu(), collections(), 0
	for n < atLeast || collections() < first+cycles {
		for range batch {
			op()
		}
		n += batch
	}
	b.ReportMetric(float64((cpu()-begin).Nanoseconds())/float64(n), "cpu-ns/op")
}

// collections is how many the collector has completed.
func collections() uint64 {
	sample := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func reportCPU(b *testing.B, begin time.Duration) {
	b.ReportMetric(float64((cpu()-begin).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// heap is the live heap.
func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers and pools still held
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

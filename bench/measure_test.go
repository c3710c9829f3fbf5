package bench_test

import (
	"runtime"
	"runtime/metrics"
	"sync"
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

// measureAgainst is measure, and compares op with base in turns of some milliseconds, which
// the noise of a shared machine hits alike. The ratio is of all the processor time in the turns.
func measureAgainst(b *testing.B, op, base func()) {
	measure(b, op)
	const turns, turn = 150, 3 * time.Millisecond
	ops, bases := until(turn, op), until(turn, base)
	var spent [2]time.Duration
	for start := time.Now(); time.Since(start) < turns*2*turn; {
		begin := cpu()
		repeat(ops, op)
		between := cpu()
		repeat(bases, base)
		spent[0] += between - begin
		spent[1] += cpu() - between
	}
	b.ReportMetric(float64(spent[0])/float64(spent[1])*float64(bases)/float64(ops), "x-base")
}

// measureScaling compares what two cores do with what one does, in turns. Op makes what one
// goroutine repeats.
func measureScaling(b *testing.B, op func() func()) {
	const turns, turn = 60, 20 * time.Millisecond
	runtime.GC()                    // what other benchmarks left
	ballast := make([]byte, 50<<20) // as of a hundred thousand grants, or the collector would hardly do anything else
	defer runtime.KeepAlive(ballast)
	first, second := op(), op()
	n := until(turn, first)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	var one, two time.Duration
	for b.Loop() {
		for range turns {
			runtime.GOMAXPROCS(1)
			begin := time.Now()
			repeat(n, first)
			one += time.Since(begin)
			runtime.GOMAXPROCS(2)
			begin = time.Now()
			var wg sync.WaitGroup
			wg.Go(func() { repeat(n, first) })
			repeat(n, second)
			wg.Wait()
			two += time.Since(begin)
		}
	}
	b.ReportMetric(2*float64(one)/float64(two), "x-one")
}

// until is how often op can be done in d, more or less.
func until(d time.Duration, op func()) (n int) {
	for begin := time.Now(); time.Since(begin) < d; n++ {
		op()
	}
	return max(n, 1)
}

func repeat(n int, op func()) {
	for range n {
		op()
	}
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

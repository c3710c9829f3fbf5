// Ratio runs the benchmarks and prints what each costs in signatures, as a table in Markdown.
//
//	go run ./ratio
//
// It measures in rounds of everything, so that a machine that becomes slower or faster
// becomes so for all, and compares medians of processor time.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 8, "rounds to measure")
	benchtime := flag.String("benchtime", "1s", "time for each benchmark in each round")
	bench := flag.String("bench", ".", "benchmarks to run; those that they are compared with are needed too")
	raw := flag.String("raw", "", "file to keep the benchmarks' own output in, for benchstat")
	from := flag.String("from", "", "print the table of such a file and measure nothing")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	out, err := output(ctx, *from, *bench, *benchtime, *rounds)
	if err == nil && *raw != "" {
		err = os.WriteFile(*raw, out, 0o644)
	}
	if err != nil {
		log.Fatal("ratio: ", err)
	}
	results, err := parse(out)
	if err != nil {
		log.Fatal("ratio: ", err)
	}
	results.print(os.Stdout)
}

// output is what the benchmarks print, in all rounds.
func output(ctx context.Context, from, bench, benchtime string, rounds int) ([]byte, error) {
	if from != "" {
		return os.ReadFile(from)
	}
	dir, err := os.MkdirTemp("", "ratio")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// One program for all rounds.
	binary := filepath.Join(dir, "bench.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "github.com/authwright/authwright/bench")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("go test -c: %w", err)
	}
	var out bytes.Buffer
	run := func(args ...string) error {
		cmd := exec.CommandContext(ctx, binary, append([]string{"-test.run", "^$", "-test.benchmem", "-test.timeout", "0"}, args...)...)
		cmd.Dir = dir
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, os.Stderr), os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
		}
		return nil
	}
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		if err := run("-test.cpu", "1", "-test.bench", bench, "-test.skip", "^Benchmark(Heap|Scaling)$", "-test.benchtime", benchtime); err != nil {
			return nil, err
		}
		// Three times, because a collection is as long as a turn, and falls on one or the other.
		if err := run("-test.bench", bench, "-test.skip", "^Benchmark([^S]|S[^c])", "-test.benchtime", "3x"); err != nil {
			return nil, err
		}
	}
	// Memory is the same in every round.
	err = run("-test.cpu", "1", "-test.bench", bench, "-test.skip", "^Benchmark[^H]", "-test.benchtime", "1x")
	return out.Bytes(), err
}

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// results are all measurements: by benchmark, and then by unit.
type results struct {
	names   []string // in the order of the benchmarks
	samples map[string]map[string][]float64
}

func parse(out []byte) (*results, error) {
	r := &results{samples: map[string]map[string][]float64{}}
	reader := benchfmt.NewReader(bytes.NewReader(out), "")
	for reader.Scan() {
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue // lines of another kind
		}
		name := string(result.Name.Full())
		if r.samples[name] == nil {
			r.names = append(r.names, name)
			r.samples[name] = map[string][]float64{}
		}
		for _, v := range result.Values {
			unit, value := v.Unit, v.Value
			if v.OrigUnit != "" {
				unit, value = v.OrigUnit, v.OrigValue
			}
			r.samples[name][unit] = append(r.samples[name][unit], value)
		}
	}
	if len(r.names) == 0 {
		return nil, fmt.Errorf("there are no results")
	}
	return r, reader.Err()
}

// summary is the median of a unit with its confidence interval.
func (r *results) summary(name, unit string) (benchmath.Summary, bool) {
	values := slices.Clone(r.samples[name][unit])
	if len(values) == 0 {
		return benchmath.Summary{}, false
	}
	return benchmath.AssumeNothing.Summary(benchmath.NewSample(values, &benchmath.DefaultThresholds), 0.95), true
}

// median is the median of a unit, or zero.
func (r *results) median(name, unit string) float64 {
	s, _ := r.summary(name, unit)
	return s.Center
}

// fields are what the parts of a name of the form key=value say. The rest is the work.
func fields(name string) (work, impl, alg string) {
	var rest []string
	for part := range strings.SplitSeq(name, "/") {
		switch key, value, _ := strings.Cut(part, "="); key {
		case "impl":
			impl = value
		case "alg":
			alg = value
			rest = append(rest, value)
		default:
			rest = append(rest, part)
		}
	}
	return strings.Join(rest, " "), cmp.Or(impl, "–"), cmp.Or(alg, "ES256")
}

func (r *results) print(w io.Writer) {
	fmt.Fprintln(w, "| work | implementation | CPU µs | ± | × signature | allocs/op | B/op | budget | |")
	fmt.Fprintln(w, "|---|---|--:|--:|--:|--:|--:|---|---|")
	for _, name := range r.names {
		s, ok := r.summary(name, cpuUnit)
		if !ok || strings.HasPrefix(name, "Scaling") {
			continue
		}
		work, impl, alg := fields(name)
		ratio := "–"
		if turns := r.median(name, "x-base"); turns > 0 && impl != "–" {
			ratio = fmt.Sprintf("%.2f", turns)
		} else if signature := r.median("Signature/alg="+alg, cpuUnit); signature > 0 {
			ratio = fmt.Sprintf("%.2f", s.Center/signature)
		}
		budget, verdict := r.judge(name)
		fmt.Fprintf(w, "| %s | %s | %.2f | %s | %s | %.0f | %.0f | %s | %s |\n", work, impl, s.Center/1000, s.PctRangeString(),
			ratio, r.median(name, "allocs/op"), r.median(name, "B/op"), budget, verdict)
	}
	r.printScaling(w)
	r.printHeap(w)
}

// printScaling is what two cores do, in times of one.
func (r *results) printScaling(w io.Writer) {
	header := "\n| on two cores | implementation | throughput × | budget | |\n|---|---|--:|---|---|"
	for _, name := range r.names {
		work, found := strings.CutPrefix(name, "Scaling/work=")
		if !found {
			continue
		}
		if header != "" {
			fmt.Fprintln(w, header)
			header = ""
		}
		work, impl, _ := fields(strings.TrimSuffix(work, "-2"))
		times, budget, verdict := r.median(name, "x-one"), "", ""
		if impl == "authwright" {
			budget, verdict = fmt.Sprintf("≥ %.1f", scaling), okay(times >= scaling)
		}
		fmt.Fprintf(w, "| %s | %s | %.2f | %s | %s |\n", work, impl, times, budget, verdict)
	}
}

func (r *results) printHeap(w io.Writer) {
	header := "\n| heap | bytes | budget | |\n|---|--:|---|---|"
	for _, name := range r.names {
		for _, h := range heapBudgets {
			s, ok := r.summary(name, h.unit)
			if !ok {
				continue
			}
			if header != "" {
				fmt.Fprintln(w, header)
				header = ""
			}
			fmt.Fprintf(w, "| %s (%s) | %.1f | ≤ %.0f | %s |\n", h.text, strings.TrimPrefix(name, "Heap/"), s.Center, h.most, okay(s.Center < h.most+1))
		}
	}
}

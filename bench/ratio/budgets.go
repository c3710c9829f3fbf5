package main

import (
	"fmt"
	"strings"
)

const cpuUnit = "cpu-ns/op"

// A budget is what a benchmark may cost: at most ratio times as much as another, and at
// most so many allocations or nanoseconds, where they are not zero.
type budget struct {
	name    string
	against string
	ratio   float64
	allocs  float64
	ns      float64
}

var budgets = []budget{
	{name: "CodeFlow/alg=ES256/impl=authwright", against: "Signature/alg=ES256", ratio: 1.8, allocs: 135},
	{name: "Refresh/alg=ES256/impl=authwright", against: "Signature/alg=ES256", ratio: 1.45, allocs: 105},
	{name: "Refresh/alg=ES256/impl=authwright/grants=100000", against: "Refresh/alg=ES256/impl=authwright/grants=1", ratio: 1.15},
	{name: "Refresh/alg=ES256/impl=authwright/grants=1000000", against: "Refresh/alg=ES256/impl=authwright/grants=1000", ratio: 1.3},
	{name: "Introspect/alg=ES256/impl=authwright", against: "Signature/alg=ES256", ratio: 0.6},
	{name: "IntrospectEarlier", against: "Verification/alg=ES256", ratio: 1.15},
	{name: "Resource/token=new", against: "Verification/alg=ES256", ratio: 1.1},
	{name: "Resource/token=seen", ns: 2000},
	{name: "JWKS/get", against: "EmptyHandler/jwks", ratio: 1.3},
	{name: "Metadata/get", against: "EmptyHandler/metadata", ratio: 1.3},
}

// scaling is how many times as much two cores do as one.
const scaling = 1.8

// heapBudgets are in bytes. What is left behind is a fraction of one, by chance.
var heapBudgets = []struct {
	unit, text string
	most       float64
}{
	{"heap-B/grant", "of a live grant", 700},
	{"heap-B/refresh", "left behind by a refresh", 0},
}

// judge compares a benchmark with its budget: what it is of what it may be.
func (r *results) judge(name string) (text, verdict string) {
	for _, b := range budgets {
		if b.name != name {
			continue
		}
		var parts []string
		within := true
		compare := func(is, most float64, format string, what string) {
			parts = append(parts, fmt.Sprintf(format+" of "+format+" "+what, is, most))
			within = within && is <= most
		}
		if turns := r.median(name, "x-base"); turns > 0 && b.ratio > 0 {
			compare(turns, b.ratio, "%.2f", "× "+b.against)
		} else if base := r.median(b.against, cpuUnit); base > 0 {
			compare(r.median(name, cpuUnit)/base, b.ratio, "%.2f", "× "+b.against)
		} else if b.against != "" {
			return "not measured: " + b.against, ""
		}
		if b.allocs > 0 {
			compare(r.median(name, "allocs/op"), b.allocs, "%.0f", "allocs")
		}
		if b.ns > 0 {
			compare(r.median(name, cpuUnit)/1000, b.ns/1000, "%.2f", "µs")
		}
		return strings.Join(parts, ", "), okay(within)
	}
	return "", ""
}

func okay(within bool) string {
	if within {
		return "OK"
	}
	return "OVER"
}

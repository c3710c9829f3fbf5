package main

import (
	"cmp"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A rate is what a turn has come to.
type rate struct {
	perSecond float64
	cpu       time.Duration // of the client, for each time
}

// A turn measures something for the duration.
type turn func() (rate, error)

// medians has all take turns, so that what slows the machine or has grown in the database is
// shared out, and returns the medians of each.
func (o *options) medians(prepare func() error, turns ...turn) ([]rate, error) {
	rates := make([][]rate, len(turns))
	for range o.rounds {
		for i, t := range turns {
			if err := prepare(); err != nil {
				return nil, err
			}
			r, err := t()
			if err != nil {
				return nil, err
			}
			rates[i] = append(rates[i], r)
		}
	}
	found := make([]rate, len(turns))
	for i, all := range rates {
		slices.SortFunc(all, func(a, b rate) int { return cmp.Compare(a.perSecond, b.perSecond) })
		found[i] = all[len(all)/2]
	}
	return found, nil
}

// heading begins the table of a comparison with a tool.
func (o *options) heading(database, tool string) {
	fmt.Printf("\n| %s, %d connections, median of %d | per second | client CPU µs | of %s |\n|---|--:|--:|--:|\n", database, o.connections, o.rounds, tool)
}

// row prints a row of it: what r is of base, if that is not zero.
func row(name string, r rate, base float64) {
	cpu, share := "", ""
	if r.cpu > 0 {
		cpu = strconv.FormatFloat(float64(r.cpu.Nanoseconds())/1000, 'f', 1, 64)
	}
	if base > 0 {
		share = strconv.FormatFloat(r.perSecond/base, 'f', 2, 64)
	}
	fmt.Printf("| %s | %.0f | %s | %s |\n", name, r.perSecond, cpu, share)
}

// children is a turn of child processes, as many as there are servers otherwise.
func (o *options) children(ctx context.Context, what, driver, dsn string) turn {
	with := *o
	with.driver = driver
	return func() (rate, error) {
		cmds := make([]*exec.Cmd, o.processes)
		for i := range cmds {
			cmd, err := with.childCommand(ctx, what, i, dsn)
			if err != nil {
				return rate{}, err
			}
			cmd.Stdout = new(strings.Builder)
			cmds[i] = cmd
		}
		if err := each(cmds, (*exec.Cmd).Run); err != nil {
			return rate{}, fmt.Errorf("%s process: %w", what, err)
		}
		var perSecond float64
		var spent time.Duration
		for _, cmd := range cmds {
			n, err := strconv.ParseFloat(strings.TrimSpace(fmt.Sprint(cmd.Stdout)), 64)
			if err != nil {
				return rate{}, err
			}
			perSecond += n
			spent += cpu(cmd)
		}
		return newRate(perSecond, spent, o.duration.Seconds()), nil
	}
}

// cpu is the processor time of a process that has ended.
func cpu(cmd *exec.Cmd) time.Duration {
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}

func newRate(perSecond float64, spent time.Duration, seconds float64) rate {
	return rate{perSecond, time.Duration(float64(spent) / (perSecond * seconds))}
}

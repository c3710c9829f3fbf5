package main

import "fmt"

// loads puts all loads on the connections, prints a row for each, and returns the throughput
// of refreshes.
func (o *options) loads(conns []*conn) (perSecond float64, err error) {
	fmt.Println("| load | requests/s | p50 µs | p99 µs | p99.9 µs |\n|---|--:|--:|--:|--:|")
	if _, err = closed(conns, o.duration/5, (*conn).refresh); err != nil { // to warm up
		return 0, err
	}
	empty, err := report("empty handler, closed loop")(closed(conns, o.duration, (*conn).empty))
	if err != nil {
		return 0, err
	}
	refreshes, err := report("refresh, closed loop")(closed(conns, o.duration, (*conn).refresh))
	if err != nil {
		return 0, err
	}
	for _, share := range []float64{0.5, 0.8} {
		if _, err := report(fmt.Sprintf("refresh, at %.0f %%", share*100))(open(conns, o.duration, share*refreshes, (*conn).refresh)); err != nil {
			return 0, err
		}
	}
	if err := o.redemptions(conns, refreshes); err != nil {
		return 0, err
	}
	fmt.Printf("\nrefreshes to empty requests: %.3f", refreshes/empty)
	if o.server == authwrightName {
		fmt.Printf(" (aimed at: 17,500 to 78,000, which is %.3f, in one process on memory)", 17.5/78)
	}
	fmt.Println()
	return refreshes, nil
}

// redemptions has codes made before each measurement, so that it is of redemptions alone.
func (o *options) redemptions(conns []*conn, refreshes float64) error {
	prepare := func(rate float64) error {
		n := int(rate*o.duration.Seconds()/float64(len(conns))*1.3) + 10 // they do not share evenly
		return each(conns, func(c *conn) error { return c.prepareCodes(n) })
	}
	if err := prepare(refreshes); err != nil {
		return err
	}
	redeemed, err := report("redemption, closed loop")(closed(conns, o.duration, (*conn).redeem))
	if err != nil {
		return err
	}
	for _, share := range []float64{0.5, 0.8} {
		if err := prepare(share * redeemed); err != nil {
			return err
		}
		if _, err := report(fmt.Sprintf("redemption, at %.0f %%", share*100))(open(conns, o.duration, share*redeemed, (*conn).redeem)); err != nil {
			return err
		}
	}
	return nil
}

// report prints a row and returns the throughput.
func report(name string) func(*outcome, error) (float64, error) {
	return func(o *outcome, err error) (float64, error) {
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		fmt.Printf("| %s | %.0f | %d | %d | %d |\n", name, o.perSecond,
			o.quantile(0.5).Microseconds(), o.quantile(0.99).Microseconds(), o.quantile(0.999).Microseconds())
		return o.perSecond, nil
	}
}

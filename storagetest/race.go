package storagetest

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/authwright/authwright"
)

// together calls f from n goroutines at once and returns the first error, by i.
func together(n int, f func(i int) error) error {
	var (
		wg    sync.WaitGroup
		start = make(chan struct{})
		errs  = make([]error, n)
	)
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return cmp.Or(errs...)
}

// race calls f from n goroutines at once. One call must succeed, which is the winner,
// and the others must return ErrConflict.
func race(n int, f func(i int) error) (winner int, err error) {
	won := make([]bool, n)
	err = together(n, func(i int) error {
		err := f(i)
		won[i] = err == nil
		if errors.Is(err, authwright.ErrConflict) {
			return nil
		}
		return err
	})
	wins := 0
	for i := range won {
		if won[i] {
			winner = i
			wins++
		}
	}
	if err == nil && wins != 1 {
		err = fmt.Errorf("%d of %d callers succeeded, want 1", wins, n)
	}
	return winner, err
}

// dawdle lets others go first, for a moment of varying length: without it, callers on
// the same machine take turns and never meet.
func dawdle() {
	switch rand.IntN(4) {
	case 0:
	case 1:
		time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
	default:
		runtime.Gosched()
	}
}

package authwright

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A deadline behaves like what context.WithDeadline returns, whether somebody waits or not.
func TestDeadline(t *testing.T) {
	t.Parallel()
	type key struct{}
	cause := errors.New("the client has gone")
	each := func(t *testing.T, f func(t *testing.T, parent context.Context, end context.CancelCauseFunc, d *deadline)) {
		for name, look := range map[string]func(*deadline){"nobody waits": func(*deadline) {}, "somebody waits": func(d *deadline) { d.Done() }} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					parent, end := context.WithCancelCause(context.WithValue(t.Context(), key{}, "value"))
					defer end(nil)
					d := &deadline{Context: parent, at: time.Now().Add(time.Minute)}
					look(d)
					require.NoError(t, d.Err())
					f(t, parent, end, d)
				})
			})
		}
	}
	t.Run("its time comes", func(t *testing.T) {
		each(t, func(t *testing.T, _ context.Context, _ context.CancelCauseFunc, d *deadline) {
			at, ok := d.Deadline()
			require.True(t, ok)
			require.Equal(t, time.Minute, time.Until(at))
			time.Sleep(time.Minute)
			synctest.Wait()
			require.ErrorIs(t, d.Err(), context.DeadlineExceeded)
			<-d.Done()
			require.ErrorIs(t, d.Err(), context.DeadlineExceeded)
			require.ErrorIs(t, context.Cause(d), context.DeadlineExceeded)
			d.stop()
			require.ErrorIs(t, d.Err(), context.DeadlineExceeded)
		})
	})
	t.Run("the request ends", func(t *testing.T) {
		each(t, func(t *testing.T, _ context.Context, end context.CancelCauseFunc, d *deadline) {
			end(cause)
			synctest.Wait()
			require.ErrorIs(t, d.Err(), context.Canceled)
			require.Equal(t, cause, context.Cause(d))
			<-d.Done()
		})
	})
	t.Run("the server has answered", func(t *testing.T) {
		each(t, func(t *testing.T, parent context.Context, _ context.CancelCauseFunc, d *deadline) {
			child, cancel := context.WithCancel(d)
			defer cancel()
			d.stop()
			require.ErrorIs(t, d.Err(), context.Canceled)
			<-d.Done()
			<-child.Done()
			require.NoError(t, parent.Err())
		})
	})
	t.Run("the request's own deadline is sooner", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			d := &deadline{Context: parent, at: time.Now().Add(time.Minute)}
			at, ok := d.Deadline()
			require.True(t, ok)
			require.Equal(t, time.Second, time.Until(at))
			time.Sleep(time.Second)
			synctest.Wait()
			require.ErrorIs(t, d.Err(), context.DeadlineExceeded)
			d.stop()
		})
	})
	t.Run("values and children", func(t *testing.T) {
		each(t, func(t *testing.T, _ context.Context, _ context.CancelCauseFunc, d *deadline) {
			require.Equal(t, "value", d.Value(key{}))
			child, cancel := context.WithTimeout(d, time.Hour)
			defer cancel()
			require.Equal(t, "value", child.Value(key{}))
			time.Sleep(time.Minute)
			<-child.Done()
			require.ErrorIs(t, child.Err(), context.DeadlineExceeded)
			d.stop()
		})
	})
}

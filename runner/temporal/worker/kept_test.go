package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestKept: a thing is opened once for all that use it at once; one that could not be
// opened is opened again; the few that stay are those that were used last.
func TestKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened, closed := map[string]int{}, []string{}
		var mu sync.Mutex
		k := kept[string]{close: func(v string) { closed = append(closed, v) }}
		open := func(key string, err error) func() (string, error) {
			return func() (string, error) {
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				opened[key]++
				return key, err
			}
		}
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				if _, release, err := k.use(t.Context(), "a", open("a", nil)); err != nil {
					t.Error(err)
				} else {
					release()
				}
				if _, _, err := k.use(t.Context(), "broken", open("broken", errors.New("no"))); err == nil {
					t.Error("no error")
				}
			})
		}
		group.Wait()
		want(t, "opened", opened, map[string]int{"a": 1, "broken": 1})
		_, _, err := k.use(t.Context(), "broken", open("broken", errors.New("no")))
		want(t, "error", err != nil, true)
		want(t, "opened again", opened["broken"], 2)

		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, _, err := k.use(short, "slow", open("slow", nil)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		_, release, err := k.use(t.Context(), "slow", open("slow", nil))
		fine(t, err)
		want(t, "slow is opened", opened["slow"], 1)
		for i := range keptIdle + 2 {
			_, release, err := k.use(t.Context(), fmt.Sprint(i), open(fmt.Sprint(i), nil))
			fine(t, err)
			release()
			release() // does no harm
		}
		want(t, "closed", closed, []string{"a", "0", "1"})
		release()
		want(t, "closed", closed, []string{"a", "0", "1", "2"})
		k.clear()
		want(t, "closed", closed, []string{"a", "0", "1", "2", "3", "4", "5", "slow"})
	})
}

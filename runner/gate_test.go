package runner

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

// TestGateAgainstCount drives a gate with random acquires, releases and sizes;
// a plain count says who may come in.
func TestGateAgainstCount(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		size := rapid.IntRange(0, 4).Draw(rt, "size")
		// So many more ask at once, one leaves, or there is another size.
		steps := rapid.SliceOfN(rapid.IntRange(-5, 4), 0, 40).Draw(rt, "steps")
		failure := ""
		synctest.Test(t, func(*testing.T) { failure = gateAgainstCount(size, steps) })
		if failure != "" {
			rt.Fatal(failure)
		}
	})
}

func gateAgainstCount(size int, steps []int) string {
	g := newGate(size)
	ctx, cancel := context.WithCancel(context.Background())
	defer synctest.Wait() // those who still wait go
	defer cancel()
	var in atomic.Int64
	asked, released, out := 0, 0, 0
	for i, step := range steps {
		switch {
		case step > 0:
			asked += step
			for range step {
				go func() {
					if g.acquire(ctx) {
						in.Add(1)
					}
				}()
			}
		case step == 0 && out > 0:
			released++
			out--
			g.release()
		case step < 0:
			size = -step - 1
			g.resize(size)
		}
		before := out
		synctest.Wait()
		out = int(in.Load()) - released
		waiting := asked - int(in.Load())
		switch {
		case out > max(size, before):
			return fmt.Sprintf("step %d: %d permits are out, %d were and there are %d", i, out, before, size)
		case out < size && waiting > 0:
			return fmt.Sprintf("step %d: %d wait although %d of %d permits are out", i, waiting, out, size)
		}
	}
	return ""
}

func TestGateNarrowedWhilePermitsAreOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		g := newGate(3)
		for range 3 {
			g.acquire(ctx)
		}
		g.resize(1)
		in := false
		go func() { in = g.acquire(ctx) }()
		for out := 3; out > 0; out-- {
			synctest.Wait()
			if in {
				t.Fatalf("a permit was given although %d are out and there is 1", out)
			}
			g.release()
		}
		synctest.Wait()
		if !in {
			t.Fatal("the one permit was not given")
		}
		g.resize(2)
		if !g.acquire(ctx) {
			t.Fatal("no second permit in the widened gate")
		}
	})
}

func TestGateHonoursContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		g := newGate(0)
		done := make(chan bool, 1)
		go func() { done <- g.acquire(ctx) }()
		synctest.Wait()
		cancel()
		if <-done {
			t.Error("a permit out of an empty gate")
		}
		g.resize(1)
		if g.acquire(ctx) {
			t.Error("a permit after the context was done")
		}
		if !g.acquire(t.Context()) {
			t.Error("the permit was lost")
		}
	})
}

// TestGateGivingUpPassesTheWakeUpOn cancels the first of two that wait in the
// moment in which a permit comes free: it is the other one's.
func TestGateGivingUpPassesTheWakeUpOn(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			g := newGate(0)
			ctx, cancel := context.WithCancel(t.Context())
			first, second := false, false
			go func() { first = g.acquire(ctx) }()
			synctest.Wait()
			go func() { second = g.acquire(t.Context()) }()
			synctest.Wait()
			g.resize(1)
			cancel()
			synctest.Wait()
			if first == second {
				t.Fatalf("the permit was given: %v and %v", first, second)
			}
		})
	}
}

// TestGateStress lets many hands pass through a gate of changing size, some of
// which give up. A wake-up that is lost leaves the rest waiting for ever, which
// synctest reports.
func TestGateStress(t *testing.T) {
	const hands, rounds, most = 16, 300, 4
	synctest.Test(t, func(t *testing.T) {
		g := newGate(most)
		var in, worst atomic.Int64
		var all sync.WaitGroup
		for hand := range hands {
			all.Go(func() {
				for round := range rounds {
					ctx, cancel := context.WithCancel(t.Context())
					if (hand+round)%3 == 0 {
						go cancel()
					}
					if g.acquire(ctx) {
						now := in.Add(1)
						for old := worst.Load(); now > old && !worst.CompareAndSwap(old, now); old = worst.Load() {
						}
						in.Add(-1)
						g.release()
					}
					cancel()
				}
			})
		}
		all.Go(func() {
			for i := range rounds {
				g.resize(i % (most + 1))
			}
			g.resize(1)
		})
		all.Wait()
		if worst.Load() > most {
			t.Errorf("%d permits were out, there are at most %d", worst.Load(), most)
		}
	})
}

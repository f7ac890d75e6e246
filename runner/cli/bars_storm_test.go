//go:build bench

package cli

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	stormLasts  = 10 * time.Second
	stormAfter  = 5 * time.Second // full speed is back
	stormWindow = 250 * time.Millisecond
)

// storm refuses one call in five for a while, and measures when as many calls are
// answered again as without.
func (b *bench) storm() {
	clean := speeds(b.answered(0, 3500*time.Millisecond), 500*time.Millisecond, time.Second)
	slices.Sort(clean)
	full := clean[len(clean)/2]
	answered := b.answered(stormLasts, stormLasts+stormAfter+3*time.Second/2)
	after := speeds(answered, stormLasts, stormWindow)
	measured, met := "never", false
	if i := fullAgain(after, full); i >= 0 {
		back := time.Duration(i) * stormWindow
		measured, met = fmt.Sprintf("%.2f s", back.Seconds()), back <= stormAfter
	}
	b.Logf("calls answered a second, in windows of %v after the refusals: %.0f; without refusals: %.0f", stormWindow, after, full)
	b.row("a fifth refused for 10 s, Retry-After: 1: full speed after", measured, "<= 5.00 s", met)
	b.row("  calls answered meanwhile, and without refusals", fmt.Sprintf("%.0f/s, %.0f/s", speeds(answered, 0, stormLasts)[0], full), "-", true)
}

// fullAgain finds the first window with full speed that is not so by chance: the
// second that it begins has it too. -1: there is none.
func fullAgain(windows []float64, full float64) int {
	const second = int(time.Second / stormWindow)
	for i := range len(windows) - second + 1 {
		sum := 0.0
		for _, w := range windows[i : i+second] {
			sum += w
		}
		if least := 0.95 * full; windows[i] >= least && sum >= least*float64(second) {
			return i
		}
	}
	return -1
}

// answered runs a batch for a while, of whose calls one in five is refused at
// first, and gives when those came that were answered, from the first call on.
func (b *bench) answered(refused, watched time.Duration) []time.Duration {
	b.Helper()
	var mu sync.Mutex
	var began time.Time
	var came []time.Duration
	chance := rand.New(rand.NewPCG(1, 2))
	s := serveModel(b, modelLatency, func(string, int) int {
		mu.Lock()
		defer mu.Unlock()
		if began.IsZero() {
			began = time.Now()
		}
		at := time.Since(began)
		if chance.IntN(5) == 0 && at < refused {
			return http.StatusTooManyRequests
		}
		came = append(came, at)
		return 0
	})
	n := int((watched+time.Second)/modelLatency) * modelAtOnce // more than there is time for
	p := startProcess(b.T, b.asking(n), "", append(modelAt(s), "GOMAXPROCS=2"), "run", "batch.yaml", "--quiet")
	for {
		select {
		case <-p.ended:
			b.Fatalf("it has ended:\n%s", p.err.String())
		case <-time.After(stormWindow):
		}
		mu.Lock()
		over := !began.IsZero() && time.Since(began) > watched
		mu.Unlock()
		if over {
			p.kill()
			mu.Lock()
			defer mu.Unlock()
			i, _ := slices.BinarySearch(came, watched)
			return came[:i]
		}
	}
}

// speeds counts calls in one window after the other that is whole, a second.
func speeds(came []time.Duration, from, window time.Duration) (perSecond []float64) {
	for came[len(came)-1] >= from+window {
		first, _ := slices.BinarySearch(came, from)
		from += window
		last, _ := slices.BinarySearch(came, from)
		perSecond = append(perSecond, float64(last-first)/window.Seconds())
	}
	return perSecond
}

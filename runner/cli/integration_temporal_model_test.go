//go:build integration

package cli

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// answer is the model of a worker.
func (f *fleet) answer(w *fleetWorker, out http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.asked[string(raw)]++
	f.open++
	w.open++
	gate, takes, refused, denied := f.gate, f.takes, f.refused, f.denied
	holding := f.holds(string(raw))
	if holding {
		f.held++
	}
	f.mu.Unlock()
	left := false
	if holding {
		select {
		case <-gate:
		case <-r.Context().Done():
			left = true
		}
		f.mu.Lock()
		f.held--
		f.mu.Unlock()
	}
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
		left = true
	}
	f.mu.Lock()
	f.open--
	w.open--
	if left {
		f.hungUp++
	}
	f.mu.Unlock()
	if left {
		return
	}
	status := 0
	switch {
	case denied:
		status = http.StatusUnauthorized
	case refused != "" && strings.Contains(string(raw), refused):
		status = http.StatusBadRequest
	}
	model := modelServer{again: "1", refuse: func(string, int) int { return status }, asked: map[string]int{}}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	model.ServeHTTP(out, r)
}

// hold lets calls wait from now on until release: those about items from a number on,
// in each shard but the first 8. So as many are held in the end as may be under way.
func (f *fleet) hold(from int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate, f.heldFrom = make(chan struct{}), from
}

func (f *fleet) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.gate)
	f.gate = nil
}

var rowNumber = regexp.MustCompile(`number (\d+) of`)

// holds tells whether a call waits; the lock is held.
func (f *fleet) holds(prompt string) bool {
	if f.gate == nil {
		return false
	}
	if found := rowNumber.FindStringSubmatch(prompt); found != nil {
		n, _ := strconv.Atoi(found[1])
		return n >= f.heldFrom && n%fleetShard >= 8
	}
	return true
}

// refuse lets calls with these words in them fail from now on.
func (f *fleet) refuse(words string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refused = words
}

// underWay waits until so many calls are held, and no others are open.
func (f *fleet) underWay(calls int) {
	f.t.Helper()
	f.until(fmt.Sprintf("%d calls are held", calls), nil, func() bool { return f.held == calls && f.open == calls })
}

// came waits until so many calls have come, of all that ever came.
func (f *fleet) came(p *process, calls int) {
	f.t.Helper()
	f.until(fmt.Sprintf("%d calls have come", calls), p, func() bool { return f.calls() >= calls })
}

// calls are all that came; the lock is held.
func (f *fleet) calls() (n int) {
	for _, times := range f.asked {
		n += times
	}
	return n
}

// count tells how many calls came since it was last asked.
func (f *fleet) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.calls()
	clear(f.asked)
	return n
}

// repeats is how many calls there were beside the first for each item.
func (f *fleet) repeats() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls() - len(f.asked)
}

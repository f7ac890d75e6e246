package runner

import (
	"math"
	"time"
)

// brake is one limit of a limiter, on calls in flight or calls per second. The
// zero brake limits nothing.
type brake struct {
	full float64 // what there was when the storm began
	low  float64 // what is left before it grows back to full
}

// slow halves the limit, which at first is what there is, where that share of
// calls is refused.
func (b *brake) slow(what, refused, least float64) {
	if b.full == 0 {
		b.full, b.low = what, what
	}
	b.low = min(b.low, max(b.low/2, b.full*(1-refused)/2, least))
}

// limit is what is allowed when a part of the way back, from 0 to 1, is made.
func (b *brake) limit(grown float64) float64 {
	if b.full == 0 {
		return math.Inf(1)
	}
	return b.low + (b.full-b.low)*grown
}

// share is the limit as a part of full speed.
func (b *brake) share(grown float64) float64 {
	if b.full == 0 {
		return 1
	}
	return b.limit(grown) / b.full
}

// hold keeps the limit at what it has grown to.
func (b *brake) hold(grown float64) {
	if b.full > 0 {
		b.low = b.limit(grown)
	}
}

// window holds the last answers.
type window struct {
	refusals [100]bool // the oldest is overwritten
	next     int
	count    int
	refused  int
}

func (w *window) add(refused bool) {
	if w.refusals[w.next] {
		w.refused--
	}
	if w.refusals[w.next] = refused; refused {
		w.refused++
	}
	w.next = (w.next + 1) % len(w.refusals)
	w.count = min(w.count+1, len(w.refusals))
}

// judge gives the share of refusals, and their number above a tenth. Calls in
// flight fill up what there is no answer for yet.
func (w *window) judge(inFlight int) (share, excess float64) {
	known := float64(min(w.count+inFlight, len(w.refusals)))
	return float64(w.refused) / known, float64(w.refused) - known/10
}

// meter counts the calls of the last seconds, by the second since its first.
type meter struct {
	start  time.Time
	second int
	counts [8]int
}

// leastRate is the least that is measured, in calls per second: fewer may have
// none in all of the meter's seconds.
const leastRate = 0.1

func (m *meter) add(now time.Time) {
	if m.start.IsZero() {
		m.start = now
	}
	m.turn(now)
	m.counts[m.second%len(m.counts)]++
}

// turn goes on to a second.
func (m *meter) turn(now time.Time) {
	second := int(now.Sub(m.start) / time.Second)
	for m.second = max(m.second, second-len(m.counts)); m.second < second; {
		m.second++
		m.counts[m.second%len(m.counts)] = 0
	}
}

// rate is in calls per second, from the first of the last seconds that had a
// call, and over one second at least; known is false where that was not so long
// ago. There has been a call.
func (m *meter) rate(now time.Time) (perSecond float64, known bool) {
	m.turn(now)
	calls, first := 0, m.second
	for second := m.second; second > m.second-len(m.counts) && second >= 0; second-- {
		if n := m.counts[second%len(m.counts)]; n > 0 {
			calls, first = calls+n, second
		}
	}
	over := now.Sub(m.start.Add(time.Duration(first) * time.Second))
	return max(float64(calls)/max(over, time.Second).Seconds(), leastRate), over >= time.Second
}

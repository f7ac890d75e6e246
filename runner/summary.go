package runner

import (
	"fmt"
	"strings"
	"time"
)

// Summary sums up a batch for the one who started it.
type Summary struct {
	batch     string
	began     time.Time
	ended     time.Time
	counts    map[State]int
	total     int
	expected  int // items of the plan; -1 where that is not known
	durations histogram
	usage     *Usage
	fromCache int // results that cost nothing, as all answers were kept ones
	outcome   Outcome
}

// Handle counts results.
func (s *Summary) Handle(e Event) {
	switch e.Kind {
	case Planned:
		*s = Summary{batch: e.Batch, began: e.Time, counts: map[State]int{}, expected: e.Plan.Total}
	case Finished:
		s.counts[e.Result.Status]++
		s.total++
		if e.Result.Attempts > 0 {
			s.durations.add(e.Result.Duration)
		}
		if u := e.Result.Usage; u != nil {
			s.usage = s.usage.Add(*u)
			if u.Cached {
				s.fromCache++
			}
		}
	case Ended:
		s.ended, s.outcome = e.Time, *e.Outcome
	}
}

// String is the summary in one line.
func (s *Summary) String() string {
	var b strings.Builder
	count := fmt.Sprintf("%d %s", s.total, plural(s.total, "item", "items"))
	if s.total < s.expected {
		count = fmt.Sprintf("%d of %d items", s.total, s.expected)
	}
	fmt.Fprintf(&b, "%s: %s in %s", s.batch, count, round(s.ended.Sub(s.began)))
	separator := ": "
	for _, state := range []State{Succeeded, Failed, Cancelled, TimedOut} {
		if n := s.counts[state]; n > 0 || state == Succeeded {
			fmt.Fprintf(&b, "%s%d %s", separator, n, strings.ReplaceAll(string(state), "_", " "))
			separator = ", "
		}
	}
	if s.durations.count > 0 {
		fmt.Fprintf(&b, "; p50 %s, p95 %s, max %s", round(s.durations.quantile(0.5)), round(s.durations.quantile(0.95)), round(s.durations.max))
	}
	if s.usage != nil && s.cost() != "" {
		b.WriteString("; " + s.cost())
	}
	switch s.outcome.Stopped {
	case AtDeadline:
		b.WriteString("; stopped at the deadline")
	case Interrupted:
		b.WriteString("; interrupted")
	case ResultsFailed:
		b.WriteString("; stopped as results could not be written")
	case Unreachable, Denied, AllAlike:
		b.WriteString("; stopped as all runs failed alike")
	}
	if n := s.outcome.Interrupted; n > 0 {
		fmt.Fprintf(&b, ", %d %s terminated", n, plural(n, "run", "runs"))
	}
	return b.String()
}

// cost says what the models took.
func (s *Summary) cost() string {
	var parts []string
	if u := s.usage; u.InputTokens+u.OutputTokens > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens in, %d out", u.InputTokens, u.OutputTokens))
		switch {
		case !u.Unpriced:
			parts = append(parts, fmt.Sprintf("%.4f USD", u.USD))
		case u.USD > 0:
			parts = append(parts, fmt.Sprintf("%.4f USD and what has no known price", u.USD))
		}
	}
	if s.fromCache > 0 {
		parts = append(parts, fmt.Sprintf("%d answered from the cache", s.fromCache))
	}
	return strings.Join(parts, ", ")
}

// round keeps three significant digits, and whole seconds.
func round(d time.Duration) time.Duration {
	for unit := time.Duration(1); unit < time.Second; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Second)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

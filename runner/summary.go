package runner

import (
	"fmt"
	"strings"
	"time"
)

// Summary sums up a batch for the one who started it.
type Summary struct {
	All *Tally // of all results of the generation; nil: those that were seen are all there are

	batch    string
	began    time.Time
	ended    time.Time
	seen     *Tally
	expected int // results that there are to be; -1 where that is not known
	outcome  Outcome

	rehearsal bool // there is nothing to go on with
}

// Began tells whether the batch was begun: else there is nothing to say of it.
func (s *Summary) Began() bool { return s.seen != nil }

// Tally adds up the results that String speaks of.
func (s *Summary) Tally() *Tally {
	switch {
	case s.All != nil:
		return s.All
	case s.seen != nil:
		return s.seen
	}
	return &Tally{} // nothing was begun
}

// Took is how long the batch ran.
func (s *Summary) Took() time.Duration { return s.ended.Sub(s.began) }

// Handle counts results.
func (s *Summary) Handle(e Event) {
	switch e.Kind {
	case Planned:
		*s = Summary{batch: e.Batch, began: e.Time, seen: &Tally{}, expected: e.Plan.Total, rehearsal: e.Plan.Rehearsal}
		if before := e.Plan.Before; before != nil && s.expected >= 0 {
			s.expected += before.Items
		}
	case Finished:
		line := e.Result.Line()
		s.seen.Add(&line)
	case Ended:
		s.ended, s.outcome = e.Time, *e.Outcome
	}
}

// String is the summary in one line.
func (s *Summary) String() string {
	var b strings.Builder
	all := s.seen
	if s.All != nil {
		all = s.All
	}
	count := fmt.Sprintf("%d %s", all.Items, plural(all.Items, "item", "items"))
	if all.Items < s.expected {
		count = fmt.Sprintf("%d of %d items", all.Items, s.expected)
	}
	if s.seen.Items != all.Items {
		count += fmt.Sprintf(", %d of them", s.seen.Items)
	}
	fmt.Fprintf(&b, "%s: %s in %s", s.batch, count, round(s.Took()))
	separator := ": "
	for _, state := range []State{Succeeded, Failed, Cancelled, TimedOut} {
		if n := all.Statuses[state]; n > 0 || state == Succeeded {
			fmt.Fprintf(&b, "%s%d %s", separator, n, strings.ReplaceAll(string(state), "_", " "))
			separator = ", "
		}
	}
	if all.Attempts > 0 {
		fmt.Fprintf(&b, "; p50 %s, p95 %s, max %s", round(all.Quantile(0.5)), round(all.Quantile(0.95)), round(all.Max()))
	}
	if cost := all.cost(); cost != "" {
		b.WriteString("; " + cost)
	}
	switch s.outcome.Stopped {
	case AtDeadline:
		b.WriteString("; stopped at the deadline")
	case AtFailures:
		b.WriteString("; stopped, as " + s.outcome.Reason + s.advice("; run again with --retry-failed, or another limit, to go on"))
	case AtBudget:
		b.WriteString("; stopped, as " + s.outcome.Reason + s.advice("; run again with another limit to go on"))
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
	if n := s.outcome.Detached; n > 0 {
		fmt.Fprintf(&b, ", %d %s on", n, plural(n, "run goes", "runs go"))
	}
	if s.outcome.Passes > 0 {
		b.WriteString(", what was handed over goes on")
	}
	return b.String()
}

// advice is what a real run can do next.
func (s *Summary) advice(said string) string {
	if s.rehearsal {
		return ""
	}
	return said
}

// cost says what the models took.
func (t *Tally) cost() string {
	var parts []string
	if t.InputTokens+t.OutputTokens > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens in, %d out", t.InputTokens, t.OutputTokens))
		switch {
		case t.Unpriced == 0:
			parts = append(parts, fmt.Sprintf("%.4f USD", t.USD()))
		case t.NanoUSD > 0:
			parts = append(parts, fmt.Sprintf("%.4f USD and what has no known price", t.USD()))
		}
	}
	if t.FromCache > 0 {
		parts = append(parts, fmt.Sprintf("%d answered from the cache", t.FromCache))
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

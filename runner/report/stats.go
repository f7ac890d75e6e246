package report

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"nightshift/runner"
)

// Stats are what the results of one batch add up to.
type Stats struct {
	Batch      string
	Generation string
	Results    string // path
	Tally      *runner.Tally
}

// MarshalJSON gives them the form of a batch in summary.json.
func (s *Stats) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Batch      string `json:"batch"`
		Results    string `json:"results"`
		Generation string `json:"generation"`
		runner.Figures
	}{s.Batch, s.Results, s.Generation, s.Tally.Figures()})
}

// Sum adds results up, for each of their batches.
func Sum(r *Results) ([]*Stats, error) {
	var all []*Stats
	var s *Stats
	err := r.scan(func(l *runner.ScannedLine, _ place) error {
		if s == nil || s.Batch != l.Line.Batch {
			i := slices.IndexFunc(all, func(s *Stats) bool { return s.Batch == l.Line.Batch })
			if i < 0 {
				i = len(all)
				all = append(all, &Stats{Batch: l.Line.Batch, Results: r.Path, Tally: &runner.Tally{}})
			}
			s = all[i]
		}
		if s.Generation != l.Line.Generation {
			s.Generation = l.Line.Generation
		}
		s.Tally.Add(&l.Line)
		return nil
	})
	return all, err
}

// String is a table for people.
func (s *Stats) String() string {
	var text strings.Builder
	t := s.Tally
	table := tabwriter.NewWriter(&text, 0, 4, 2, ' ', 0)
	row := func(what, format string, args ...any) {
		fmt.Fprintf(table, "  %s\t"+format+"\n", append([]any{what}, args...)...)
	}
	fmt.Fprintf(table, "%s: %s\n", s.Batch, s.Results)
	row("items", "%d", t.Items)
	for _, state := range []runner.State{runner.Succeeded, runner.Failed, runner.Cancelled, runner.TimedOut} {
		if n := t.Statuses[state]; n > 0 || state == runner.Succeeded {
			row(strings.ReplaceAll(string(state), "_", " "), "%d (%s)", n, share(n, t.Items))
		}
	}
	for _, class := range slices.Sorted(maps.Keys(t.Classes)) {
		row("error "+class, "%d (%s)", t.Classes[class], share(t.Classes[class], t.Items))
	}
	if t.Attempts > 0 {
		row("duration", "p50 %v, p95 %v, max %v", about(t.Quantile(0.5)), about(t.Quantile(0.95)), about(t.Max()))
	}
	if t.InputTokens+t.OutputTokens > 0 {
		row("tokens", "%d in, %d out", t.InputTokens, t.OutputTokens)
	}
	if t.Asked > 0 {
		row("cost", "%s", cost(t))
		row("from the cache", "%d", t.FromCache)
	}
	row("retries", "%d", t.Retries)
	if t.PossibleDuplicates > 0 {
		row("possible duplicates", "%d", t.PossibleDuplicates)
	}
	if !t.FirstStart.IsZero() {
		row("first start", "%s", t.FirstStart.UTC().Format(second))
	}
	if !t.LastEnd.IsZero() {
		row("last end", "%s", t.LastEnd.UTC().Format(second))
	}
	_ = table.Flush() // a strings.Builder takes everything
	return text.String()
}

const second = "2006-01-02 15:04:05 MST"

func cost(t *runner.Tally) string {
	usd := fmt.Sprintf("%.4f USD", t.USD())
	switch {
	case t.Unpriced == 0:
		return usd
	case t.NanoUSD == 0:
		return "not known"
	}
	items := "items"
	if t.Unpriced == 1 {
		items = "item"
	}
	return fmt.Sprintf("%s, and that of %d %s whose models have no known price", usd, t.Unpriced, items)
}

// share is a part of a whole, in percent.
func share(part, whole int) string {
	return fmt.Sprintf("%.1f%%", 100*float64(part)/float64(max(whole, 1)))
}

// about keeps what can be told of a duration: percentiles are 1/32 off at the most.
func about(d time.Duration) time.Duration {
	unit := time.Millisecond
	for d >= 1000*unit && unit < time.Second {
		unit *= 10
	}
	return d.Round(unit)
}

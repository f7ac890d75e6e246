package runner

import (
	"maps"
	"time"
)

// Tally is what result lines add up to, in whatever order they are added. As all
// of it is whole numbers, counting while a batch runs and reading its file
// afterwards give the same. The journal and the summary hold it as JSON.
type Tally struct {
	Items              int            `json:"items"`
	Statuses           map[State]int  `json:"statuses"`
	Classes            map[string]int `json:"classes"`  // of errors
	Attempts           int            `json:"attempts"` // starts
	Retries            int            `json:"retries"`  // starts beyond the first of an item
	PossibleDuplicates int            `json:"possible_duplicates"`
	InputTokens        int64          `json:"input_tokens"`
	OutputTokens       int64          `json:"output_tokens"`
	NanoUSD            int64          `json:"nano_usd"`   // billionths of a dollar
	Asked              int            `json:"asked"`      // items whose usage is known
	Unpriced           int            `json:"unpriced"`   // of these, items whose cost is not
	FromCache          int            `json:"from_cache"` // of these, items that cost nothing, as all answers were kept ones
	Durations          histogram      `json:"durations"`  // of the items that were started
	FirstStart         time.Time      `json:"first_start,omitzero"`
	LastEnd            time.Time      `json:"last_end,omitzero"`
}

// Add counts a line.
func (t *Tally) Add(l *Line) {
	if t.Statuses == nil {
		t.Statuses = map[State]int{}
	}
	if t.Classes == nil {
		t.Classes = map[string]int{}
	}
	t.Items++
	t.Statuses[l.Status]++
	if l.Class != "" {
		t.Classes[l.Class]++
	}
	if l.Attempts > 0 {
		t.Attempts += l.Attempts
		t.Retries += l.Attempts - 1
		t.Durations.add(l.Duration)
	}
	if l.PossibleDuplicate {
		t.PossibleDuplicates++
	}
	t.addUsage(l.Usage)
	if s := l.StartedAt; !s.IsZero() && (t.FirstStart.IsZero() || s.Before(t.FirstStart)) {
		t.FirstStart = s
	}
	if l.FinishedAt.After(t.LastEnd) {
		t.LastEnd = l.FinishedAt
	}
}

// addUsage counts what an item took; nil: that is not known.
func (t *Tally) addUsage(u *Usage) {
	if u == nil {
		return
	}
	t.Asked++
	t.InputTokens += u.InputTokens
	t.OutputTokens += u.OutputTokens
	t.NanoUSD += Nano(u.USD)
	if u.Unpriced {
		t.Unpriced++
	}
	if u.Cached {
		t.FromCache++
	}
}

// leaveOut takes an item out of the numbers of items, and of those that succeeded.
// What it took stays.
func (t *Tally) leaveOut(failed bool) {
	if t.Items--; !failed {
		t.Statuses[Succeeded]--
	}
}

// clone is a tally that nothing is shared with.
func (t *Tally) clone() *Tally {
	c := *t
	c.Statuses, c.Classes = maps.Clone(t.Statuses), maps.Clone(t.Classes)
	return &c
}

// NotSucceeded counts the items that ended otherwise.
func (t *Tally) NotSucceeded() int { return t.Items - t.Statuses[Succeeded] }

// USD is what the items cost whose price is known.
func (t *Tally) USD() float64 { return float64(t.NanoUSD) / 1e9 }

// Quantile gives a duration that the share q of the items is not longer than, up
// to 1/32 too long.
func (t *Tally) Quantile(q float64) time.Duration { return t.Durations.quantile(q) }

// Max is the duration of the longest item.
func (t *Tally) Max() time.Duration { return t.Durations.max }

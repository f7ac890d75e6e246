package runner

import "time"

// Figures is a Tally as programs read it: in summary.json, and from the results
// command.
type Figures struct {
	Items              int            `json:"items"`
	Statuses           map[State]int  `json:"statuses"` // all four of them
	Classes            map[string]int `json:"classes"`  // of errors
	DurationsMS        Durations      `json:"durations_ms"`
	Usage              Spent          `json:"usage"`
	Attempts           int            `json:"attempts"`
	Retries            int            `json:"retries"`
	PossibleDuplicates int            `json:"possible_duplicates"`
	StartedAt          *time.Time     `json:"started_at"` // the first run; null if there was none
	FinishedAt         *time.Time     `json:"finished_at"`
}

// Durations of runs, in milliseconds; percentiles are up to 1/32 too long.
type Durations struct {
	P50 int64 `json:"p50"`
	P95 int64 `json:"p95"`
	Max int64 `json:"max"`
}

// Spent is what models took for the items of a batch.
type Spent struct {
	InputTokens  int64   `json:"input_tokens"`
	OutputTokens int64   `json:"output_tokens"`
	USD          float64 `json:"usd"`        // of what has a known price
	Unpriced     int     `json:"unpriced"`   // items of whose cost that is not all
	FromCache    int     `json:"from_cache"` // items that cost nothing, as all answers were kept ones
}

// Figures gives what the results add up to.
func (t *Tally) Figures() Figures {
	statuses := map[State]int{Succeeded: 0, Failed: 0, Cancelled: 0, TimedOut: 0}
	for state := range statuses {
		statuses[state] = t.Statuses[state]
	}
	classes := t.Classes
	if classes == nil {
		classes = map[string]int{}
	}
	return Figures{
		Items: t.Items, Statuses: statuses, Classes: classes,
		DurationsMS: Durations{t.Quantile(0.5).Milliseconds(), t.Quantile(0.95).Milliseconds(), t.Max().Milliseconds()},
		Usage:       Spent{t.InputTokens, t.OutputTokens, t.USD(), t.Unpriced, t.FromCache},
		Attempts:    t.Attempts, Retries: t.Retries, PossibleDuplicates: t.PossibleDuplicates,
		StartedAt: known(t.FirstStart), FinishedAt: known(t.LastEnd),
	}
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

package cli

import (
	"slices"
	"strconv"
	"time"

	"nightshift/runner"
	"nightshift/runner/vectorshift/vectorshifttest"
)

// history is what the platform saw of one item.
type history struct {
	runs     []vectorshifttest.Run
	answered int // starts that were answered with a run
	lost     int // starts of which nobody could know whether there is a run
}

// histories are those of all items, by id.
func (c *hostedCrowd) histories() map[string]*history {
	all := map[string]*history{}
	of := func(inputs any) *history {
		id := inputs.(map[string]any)["in"].(string)
		if all[id] == nil {
			all[id] = &history{}
		}
		return all[id]
	}
	for _, call := range c.server.Calls(vectorshifttest.Start) {
		h := of(call.Body["inputs"])
		switch {
		case call.Answered == 200:
			h.answered++
		case call.Failed && (call.Answered == 0 || call.Answered == 502 || call.Answered == 504):
			h.lost++
		}
	}
	for _, r := range c.server.Runs() {
		h := of(r.Inputs)
		h.runs = append(h.runs, r)
	}
	return all
}

// whole checks what is true of a batch that has come to its end: one line for each
// item, of a run that the platform knows; no start is repeated but of those that were
// in doubt, and exactly the items of these are marked.
func (c *hostedCrowd) whole() (marked int) {
	t := c.t
	t.Helper()
	lines, tally := resultLines(t, c.results())
	if len(lines) != c.rows || tally.NotSucceeded() > 0 {
		t.Errorf("%d items have a line, want %d; %d did not succeed", len(lines), c.rows, tally.NotSucceeded())
	}
	histories, results := c.histories(), c.ended()
	for i := range c.rows {
		id := "row-" + strconv.Itoa(i)
		h, line := histories[id], results[id]
		if h == nil {
			t.Errorf("%s was never started", id)
			continue
		}
		doubts := h.lost + c.doubted[id]
		if h.answered > 1+c.doubted[id] {
			t.Errorf("%s: %d starts were answered, of which a kill was in the way of %d", id, h.answered, c.doubted[id])
		}
		if len(h.runs) > 1+doubts {
			t.Errorf("%s has %d runs, although only %d starts were in doubt", id, len(h.runs), doubts)
		}
		if line.PossibleDuplicate != (doubts > 0) {
			t.Errorf("%s: possible_duplicate is %v, and %d starts were in doubt (%d runs)", id, line.PossibleDuplicate, doubts, len(h.runs))
		}
		if line.PossibleDuplicate {
			marked++
		}
		ours := slices.IndexFunc(h.runs, func(r vectorshifttest.Run) bool { return r.TaskID == line.TaskID })
		if ours < 0 || h.runs[ours].TraceID != line.TraceID || h.runs[ours].State != runner.Succeeded || line.Outputs["out"] != id+": made by llm" {
			t.Errorf("%s: its run %s with trace %s is none of the platform's %v", id, line.TaskID, line.TraceID, h.runs)
		}
	}
	return marked
}

// inFlight checks how many runs there were at once: of those that one process has
// started and knows, no more than the concurrency; beside them there may be as many
// that an earlier process left behind and that are not re-attached yet. Runs of starts
// that were in doubt are nobody's.
func (c *hostedCrowd) inFlight() {
	t := c.t
	t.Helper()
	type known struct {
		from, until time.Time
		process     int
	}
	process := func(at time.Time) int {
		i := slices.IndexFunc(c.processes, at.Before)
		if i < 0 {
			i = len(c.processes)
		}
		return i
	}
	var runs []known
	for _, h := range c.histories() {
		for _, r := range h.runs {
			if !r.Lost && c.doubted[r.Inputs["in"].(string)] == 0 {
				runs = append(runs, known{r.At, r.Until, process(r.At)})
			}
		}
	}
	ofOne, ofAll := 0, 0
	for _, r := range runs {
		one, all := 0, 0
		for _, other := range runs {
			if other.from.After(r.from) || !other.until.After(r.from) {
				continue
			}
			all++
			if other.process == r.process {
				one++
			}
		}
		ofOne, ofAll = max(ofOne, one), max(ofAll, all)
	}
	t.Logf("in flight: %d of one process, %d of all; with lost ones %d", ofOne, ofAll, c.server.Peak())
	if ofOne > hostedConcurrency || ofAll > 2*hostedConcurrency {
		t.Errorf("%d runs of one process were in flight, want at most %d; of all %d", ofOne, hostedConcurrency, ofAll)
	}
}

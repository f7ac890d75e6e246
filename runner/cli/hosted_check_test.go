package cli

import (
	"slices"
	"strconv"
	"time"

	"nightshift/runner"
	"nightshift/runner/vectorshift/vectorshifttest"
)

// fate is what a process can know of a start that it made, as the platform sees it.
type fate string

const (
	fateBegun   fate = "begun"   // it was answered with a run, and the process has asked for that, or could have
	fateEnded   fate = "ended"   // that, and the run was terminated
	fateRefused fate = "refused" // it was answered that there is no run
	fateLost    fate = "lost"    // there is no answer that tells whether there is a run
	fateUnread  fate = "unread"  // it was answered, but the process was killed, perhaps before it knew
)

// history is what the platform saw of one item: the starts in their order, what
// became of each, and the runs that were not terminated.
type history struct {
	starts []vectorshifttest.Call
	fates  []fate
	runs   []vectorshifttest.Run
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
	calls := c.server.Calls()
	asked := map[string][]time.Time{} // by the task
	for _, call := range calls {
		if call.Op == vectorshifttest.Status || call.Op == vectorshifttest.Terminate {
			asked[call.TaskID] = append(asked[call.TaskID], call.At)
		}
	}
	ended := map[string]bool{}
	for _, r := range c.server.Runs() {
		if ended[r.TaskID] = !r.Terminated.IsZero(); !ended[r.TaskID] {
			h := of(r.Inputs)
			h.runs = append(h.runs, r)
		}
	}
	for _, call := range calls {
		if call.Op == vectorshifttest.Start {
			h, f := of(call.Body["inputs"]), c.fate(&call, calls, asked[call.TaskID])
			if ended[call.TaskID] {
				f = fateEnded
			}
			h.starts, h.fates = append(h.starts, call), append(h.fates, f)
		}
	}
	return all
}

// fate tells what became of a start; asked are the times of calls about its run. Of a
// refusal, it is only clear that a process has read it that made many calls since.
func (c *hostedCrowd) fate(start *vectorshifttest.Call, calls []vectorshifttest.Call, asked []time.Time) fate {
	p := c.processes[c.process(start.At)]
	known := p.killed.IsZero()
	switch {
	case start.Lost():
		return fateLost
	case start.Answered == 200:
		known = known || slices.ContainsFunc(asked, p.killed.After)
		if known {
			return fateBegun
		}
		return fateUnread
	}
	later := 0
	for i := len(calls) - 1; i >= 0 && calls[i].At.After(start.AnsweredAt); i-- {
		if calls[i].At.Before(p.killed) {
			later++
		}
	}
	if known || later >= 2*hostedConcurrency {
		return fateRefused
	}
	return fateUnread
}

// whole checks what is true of a batch that has come to its end: one line for each
// item, of a run that the platform knows; no start is repeated but one of which
// nobody could know whether there is a run, or which was refused, or whose run was
// terminated; and exactly the items of the first kind are marked.
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
		must, may := len(h.runs) > 1, c.unsent[id]
		for i, f := range h.fates {
			last := i == len(h.fates)-1
			if f == fateBegun && !last {
				t.Errorf("%s was started again after a start whose run was known: %v", id, h.fates)
			}
			must = must || f == fateLost || f == fateUnread && !last && h.starts[i].Answered == 200
			may = may || f == fateUnread
		}
		if line.PossibleDuplicate != must && (must || !may) {
			t.Errorf("%s: possible_duplicate is %v, and its starts were %v; %d runs", id, line.PossibleDuplicate, h.fates, len(h.runs))
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
// that an earlier process left behind and that are not re-attached yet. Runs that
// nobody has ever asked for are nobody's.
func (c *hostedCrowd) inFlight() {
	t := c.t
	t.Helper()
	asked := map[string]bool{}
	for _, call := range c.server.Calls(vectorshifttest.Status) {
		asked[call.TaskID] = true
	}
	runs := slices.DeleteFunc(c.server.Runs(), func(r vectorshifttest.Run) bool { return !asked[r.TaskID] })
	ofOne, ofAll := 0, 0
	for _, r := range runs {
		one, all := 0, 0
		for _, other := range runs {
			if other.At.After(r.At) || !other.Until.After(r.At) {
				continue
			}
			all++
			if c.process(other.At) == c.process(r.At) {
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

// countFates adds up the fates of all starts.
func countFates(histories map[string]*history) map[fate]int {
	counts := map[fate]int{}
	for _, h := range histories {
		for _, f := range h.fates {
			counts[f]++
		}
	}
	return counts
}

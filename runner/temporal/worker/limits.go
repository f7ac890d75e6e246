package worker

import (
	"maps"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/spec"
)

// amounts are what limits are of: items that did not succeed, billionths of a dollar,
// and tokens.
type amounts [3]int64

func amountsOf(s flow.Sum) amounts {
	return amounts{int64(s.Items - s.Succeeded), s.NanoUSD, s.InputTokens + s.OutputTokens}
}

// limitsOf gives the limits of a batch that are amounts; 0 is none. A share of the items
// is one where it is known how many there are.
func limitsOf(stop spec.Stop, rows int) amounts {
	limits := amounts{int64(stop.FailureCount), runner.Nano(stop.BudgetUSD), stop.BudgetTokens}
	if stop.FailureShare > 0 && rows > 0 {
		most := int64(runner.MoreThan(stop.FailureShare, rows))
		if limits[0] == 0 || most < limits[0] {
			limits[0] = most
		}
	}
	return limits
}

// stop gives a shard its part of what the limits of the batch leave, so that all that
// are under way stay within them together: what is left by its share of the window, but
// no more than others have not been given. Shared: it is less than is left. Where a limit
// is reached, or it is alone, the limits are those of the batch.
//
// What others were given is at most what was left when they were begun, by as many as the
// window is wide now, as that gets no wider. So it is enough to know how many they are,
// and the sum of what was known then.
func (f *openFile) stop(in flow.Shard) (stop spec.Stop, shared bool) {
	stop = f.file.Run.Stop
	before := amountsOf(sumOf(f.before()))
	before[0] -= int64(f.pass.GoneFailed)
	known, told := amountsOf(in.Before), amountsOf(in.Known)
	window, others := int64(max(in.Window, 1)), int64(in.Others)
	limits := limitsOf(stop, f.pass.Rows)
	given := limits
	for i, limit := range limits {
		if limit == 0 {
			continue
		}
		of := limit - before[i]
		left := of - known[i]
		if left <= 0 {
			return f.file.Run.Stop, false
		}
		part := max(1, min(left/window, left-(others*of-told[i])/window))
		given[i] = before[i] + known[i] + part
	}
	if given[0] < limits[0] {
		stop.FailureCount = int(given[0])
		if f.pass.Rows > 0 {
			stop.FailureShare = 0
		}
	}
	if given[1] < limits[1] {
		stop.BudgetUSD = float64(given[1]) / 1e9
	}
	if given[2] < limits[2] {
		stop.BudgetTokens = given[2]
	}
	return stop, given != limits
}

// before is what the results come to that were there before the pass.
func (f *openFile) before() *runner.Tally {
	tally := &runner.Tally{}
	if f.pass.Before != nil {
		*tally = *f.pass.Before
		tally.Statuses = maps.Clone(tally.Statuses)
	}
	if tally.Statuses == nil {
		tally.Statuses = map[runner.State]int{}
	}
	return tally
}

// added adds what shards took to a tally, as far as limits ask for it.
func added(t *runner.Tally, s flow.Sum) *runner.Tally {
	t.Items += s.Items
	t.Statuses[runner.Succeeded] += s.Succeeded
	t.NanoUSD += s.NanoUSD
	t.InputTokens += s.InputTokens
	t.OutputTokens += s.OutputTokens
	t.Unpriced += s.Unpriced
	return t
}

func sumOf(t *runner.Tally) flow.Sum { return flow.Sum(t.Taken()) }

// largest is the larger one of two counts of what runs took. The items are those of the
// first.
func largest(s, other flow.Sum) flow.Sum {
	s.NanoUSD = max(s.NanoUSD, other.NanoUSD)
	s.InputTokens = max(s.InputTokens, other.InputTokens)
	s.OutputTokens = max(s.OutputTokens, other.OutputTokens)
	s.Unpriced = max(s.Unpriced, other.Unpriced)
	return s
}

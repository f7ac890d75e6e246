package runner

import (
	"fmt"
	"math"
	"strconv"
	"sync"

	"nightshift/spec"
)

// shareFrom is how many items must have ended before a share of them says
// anything, where it is not known how many there are.
const shareFrom = 20

// stopRule is a sink that ends a batch early: when too many items have not
// succeeded, or when what may be spent is spent. Its limits are those of the
// generation: results of earlier invocations count, too.
type stopRule struct {
	spec.Stop
	rows int // items of the whole source; less than 1: not known
	stop func(StopReason)

	taken Taken
	gone  int  // items of these that did not succeed, and have no say, as the source no longer has them
	over  bool // it has stopped the batch

	mu  sync.Mutex
	why string
}

// newStopRule makes the rule of a plan. It stops at once where a limit was
// reached before; in any case it stops once only.
func newStopRule(plan *Plan, stop func(StopReason)) *stopRule {
	s := &stopRule{Stop: plan.Stop, rows: plan.Rows, stop: stop}
	if t := plan.Before; t != nil {
		s.taken, s.gone = t.Taken(), plan.GoneFailed
	}
	s.check()
	return s
}

// Handle counts results, and what those that wait have taken.
func (s *stopRule) Handle(e Event) {
	if s.taken.Handle(e) {
		s.check()
	}
}

// reason says in words which limit was reached; "" where none was.
func (s *stopRule) reason() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

func (s *stopRule) check() {
	if s.over {
		return
	}
	reason, why := s.reached()
	if reason == NotStopped {
		return
	}
	s.over = true
	s.mu.Lock()
	s.why = why
	s.mu.Unlock()
	s.stop(reason) // now that whoever hears of it can ask for the reason
}

// reached is the first limit that was reached.
func (s *stopRule) reached() (reason StopReason, why string) {
	failed, tokens := s.taken.Items-s.taken.Succeeded-s.gone, s.taken.InputTokens+s.taken.OutputTokens
	switch of, whole := s.of(); {
	case s.FailureCount > 0 && failed >= s.FailureCount:
		return AtFailures, fmt.Sprintf("%d %s not succeeded, and run.stop.failures is %d", failed, plural(failed, "item has", "items have"), s.FailureCount)
	case s.FailureShare > 0 && of > 0 && failed >= MoreThan(s.FailureShare, of):
		return AtFailures, fmt.Sprintf("%d of %d items%s have not succeeded, and run.stop.failures is %s", failed, of, whole, percent(s.FailureShare))
	case s.BudgetUSD > 0 && s.taken.Unpriced > 0:
		return AtBudget, "what an answer cost is not known, so run.stop.budget.usd cannot be kept; give run.prices"
	case s.BudgetUSD > 0 && s.taken.NanoUSD >= Nano(s.BudgetUSD):
		return AtBudget, fmt.Sprintf("%.4f USD are spent, and run.stop.budget.usd is %v", float64(s.taken.NanoUSD)/1e9, s.BudgetUSD)
	case s.BudgetTokens > 0 && tokens >= s.BudgetTokens:
		return AtBudget, fmt.Sprintf("%d tokens are used, and run.stop.budget.tokens is %d", tokens, s.BudgetTokens)
	}
	return NotStopped, ""
}

// of is how many items the share of failures is one of: all, else those that
// have ended; 0 while that are too few.
func (s *stopRule) of() (items int, which string) {
	switch {
	case s.rows > 0:
		return s.rows, ""
	case s.taken.Items >= shareFrom:
		return s.taken.Items, " that have ended"
	}
	return 0, ""
}

func percent(share float64) string {
	return strconv.FormatFloat(math.Round(share*1e8)/1e6, 'f', -1, 64) + "%"
}

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

	ended, failed int
	nanoUSD       int64 // whole, so that many small sums add up to what they are
	tokens        int64
	unpriced      bool
	over          bool // it has stopped the batch

	mu  sync.Mutex
	why string
}

// newStopRule makes the rule of a plan. It stops at once where a limit was
// reached before; in any case it stops once only.
func newStopRule(plan *Plan, stop func(StopReason)) *stopRule {
	s := &stopRule{Stop: plan.Stop, rows: plan.Rows, stop: stop}
	if t := plan.Before; t != nil {
		s.ended, s.failed = t.Items, t.NotSucceeded()-plan.GoneFailed
		s.nanoUSD, s.tokens, s.unpriced = nano(t.USD()), t.InputTokens+t.OutputTokens, t.Unpriced > 0
	}
	s.check()
	return s
}

// Handle counts results, and what those that wait have taken.
func (s *stopRule) Handle(e Event) {
	switch e.Kind {
	case Parked:
		s.pay(e.Usage, 1)
	case Finished:
		if s.ended++; e.Result.Status != Succeeded {
			s.failed++
		}
		s.pay(e.Result.Usage, 1)
	default:
		return
	}
	s.pay(e.Carried, -1)
	s.check()
}

// pay counts what an item took, so many times.
func (s *stopRule) pay(u *Usage, times int64) {
	if u == nil {
		return
	}
	s.nanoUSD += times * nano(u.USD)
	s.tokens += times * (u.InputTokens + u.OutputTokens)
	s.unpriced = s.unpriced || u.Unpriced
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
	switch of, whole := s.of(); {
	case s.FailureCount > 0 && s.failed >= s.FailureCount:
		return AtFailures, fmt.Sprintf("%s, and run.stop.failures is %d", s.failures(), s.FailureCount)
	case s.FailureShare > 0 && of > 0 && float64(s.failed) > s.FailureShare*float64(of)+1e-9: // 0.29*100 is a little less than 29
		return AtFailures, fmt.Sprintf("%d of %d items%s have not succeeded, and run.stop.failures is %s", s.failed, of, whole, percent(s.FailureShare))
	case s.BudgetUSD > 0 && s.unpriced:
		return AtBudget, "what an answer cost is not known, so run.stop.budget.usd cannot be kept; give run.prices"
	case s.BudgetUSD > 0 && s.nanoUSD >= nano(s.BudgetUSD):
		return AtBudget, fmt.Sprintf("%.4f USD are spent, and run.stop.budget.usd is %v", float64(s.nanoUSD)/1e9, s.BudgetUSD)
	case s.BudgetTokens > 0 && s.tokens >= s.BudgetTokens:
		return AtBudget, fmt.Sprintf("%d tokens are used, and run.stop.budget.tokens is %d", s.tokens, s.BudgetTokens)
	}
	return NotStopped, ""
}

func (s *stopRule) failures() string {
	return fmt.Sprintf("%d %s not succeeded", s.failed, plural(s.failed, "item has", "items have"))
}

// of is how many items the share of failures is one of: all, else those that
// have ended; 0 while that are too few.
func (s *stopRule) of() (items int, which string) {
	switch {
	case s.rows > 0:
		return s.rows, ""
	case s.ended >= shareFrom:
		return s.ended, " that have ended"
	}
	return 0, ""
}

// nano is a sum in billionths of a dollar, as result lines round it.
func nano(usd float64) int64 { return int64(math.Round(usd * 1e9)) }

func percent(share float64) string {
	return strconv.FormatFloat(math.Round(share*1e8)/1e6, 'f', -1, 64) + "%"
}

package runner

import "math"

// Taken is what results, and runs that wait, have come to, as far as limits ask.
type Taken struct {
	Items        int // that have ended
	Succeeded    int
	NanoUSD      int64 // billionths of a dollar: whole, so that many small sums add up to what they are
	InputTokens  int64
	OutputTokens int64
	Unpriced     int // items whose cost is not known
}

// Taken is what limits ask of a tally.
func (t *Tally) Taken() Taken {
	return Taken{t.Items, t.Statuses[Succeeded], t.NanoUSD, t.InputTokens, t.OutputTokens, t.Unpriced}
}

// Handle counts results, and what those that wait have taken. It tells whether the event
// was of that kind.
func (s *Taken) Handle(e Event) bool {
	switch e.Kind {
	case Parked:
		s.pay(e.Usage, 1)
	case Finished:
		if s.Items++; e.Result.Status == Succeeded {
			s.Succeeded++
		}
		s.pay(e.Result.Usage, 1)
	default:
		return false
	}
	s.pay(e.Carried, -1)
	return true
}

// pay counts what an item took, so many times.
func (s *Taken) pay(u *Usage, times int64) {
	if u == nil {
		return
	}
	s.NanoUSD += times * Nano(u.USD)
	s.InputTokens += times * u.InputTokens
	s.OutputTokens += times * u.OutputTokens
	if u.Unpriced {
		s.Unpriced += int(times)
	}
}

// Nano is a sum in billionths of a dollar, as result lines round it.
func Nano(usd float64) int64 { return int64(math.Round(usd * 1e9)) }

// MoreThan is the smallest number that is more than a share of so many items.
func MoreThan(share float64, items int) int {
	return int(math.Floor(share*float64(items)+1e-9)) + 1 // 0.29*100 is a little less than 29
}

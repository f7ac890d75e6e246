package vectorshifttest

import (
	"cmp"
	"time"
)

// Settings say how a platform behaves; the zero Settings are those of a new one.
type Settings struct {
	Takes   func(Run) time.Duration                            // how long a run takes; below 0: until it is terminated or released; nil: no time
	Ends    func(Run) (outputs map[string]any, failure string) // how a run ends: failed, where there is a failure; nil outputs are the echo; nil: with the echo
	Before  func(Call) *Failure                                // is asked about each call, before what Fail and Sometimes say; nil: nothing is wrong
	MaxRuns int                                                // runs in flight, above which a start is refused with 429; 0: any number
	Words   Words                                              // for how runs stand; zero: WireWords
	Results string                                             // the key of the outputs in a status; "": result
	NoTrace bool                                               // answers to starts have no trace id
}

// Set changes how the platform behaves from now on. Takes and Ends must not call
// methods of the server.
func (s *Server) Set(to Settings) {
	if to.Words == (Words{}) {
		to.Words = WireWords
	}
	to.Results = cmp.Or(to.Results, "result")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Settings = to
}

// Words are those of the platform for how runs stand.
type Words struct{ Running, Succeeded, Failed, Cancelled string }

// The two families of words: those seen on the wire, and those of the guide.
var (
	WireWords  = Words{"in_progress", "completed", "failed", "cancelled"}
	GuideWords = Words{"running", "succeeded", "failed", "cancelled"}
)

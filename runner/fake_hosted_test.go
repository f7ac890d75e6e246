package runner

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"time"

	"nightshift/spec"
)

// looksThatFail are errors of a look at a run.
var looksThatFail = map[byte]error{
	'x': errors.New("503 busy"),
	'b': answered(503, "busy"),
	'r': &APIError{StatusCode: 429, Method: "GET", Endpoint: "host.test/runs", Message: "slow down", RetryAfter: 20 * time.Second},
	'c': unanswered(),
	'g': answered(404, "no such run"),
}

// unanswered is the error of a call whose answer was lost.
func unanswered() *ConnectionError {
	return &ConnectionError{Method: "POST", Endpoint: "host.test/run", Err: errors.New("reset by peer")}
}

// hosted is a fake that is polled, and whose runs outlive the process. The first
// words of a script may be about the calls of Start, of which each takes one:
//
//	start=lost lost502        a run is started, but the answer is lost
//	start=gone gone504        the call is lost, and there is no run
//	start=unsent start=503    there is no run
//	start=429 start=429/10s   nor there; with that Retry-After
//	start=slow/3s             a run is started, but the answer takes that long
//	start=slow/3s,429         the answer takes that long, and is that
//	start=ok                  nothing is wrong
//
// words of Find are find=503, find=429, find=401 and find=ok, of Terminate
// term=503, term=429/5s, term=400 (there is no such run, any more) and term=ok.
type hosted struct {
	*fake
	more *hostedMore
}

// findable is a hosted that finds runs by their trace id.
type findable struct{ hosted }

type hostedMore struct {
	mu     sync.Mutex
	used   map[string]int    // words that were taken, by "start a"
	find   map[string]string // of a trace id: its item and script
	starts map[string]int    // runs, by item
}

var (
	_ Detachable = hosted{}
	_ Finder     = findable{}
)

func newHosted(f *fake) hosted {
	return hosted{f, &hostedMore{used: map[string]int{}, find: map[string]string{}, starts: map[string]int{}}}
}

func (hosted) Detachable() {}

// word takes the next word of a kind for an item.
func (m *hostedMore) word(kind, id, script string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	seen := 0
	for word := range strings.FieldsSeq(script) {
		trouble, ok := strings.CutPrefix(word, kind+"=")
		if !ok {
			continue
		}
		if seen == m.used[kind+" "+id] {
			m.used[kind+" "+id]++
			return trouble
		}
		seen++
	}
	return "ok"
}

func (h hosted) Start(ctx context.Context, pipelineID string, in Inputs, opts StartOptions) (Handle, error) {
	id, script := in["id"].(string), in["do"].(string)
	trouble := h.more.word("start", id, script)
	h.more.mu.Lock()
	h.more.find[opts.TraceID] = id + " " + script
	h.more.mu.Unlock()
	if slow, ok := strings.CutPrefix(trouble, "slow/"); ok {
		slow, trouble, _ = strings.Cut(slow, ",")
		if err := Sleep(ctx, duration(slow)); err != nil {
			return Handle{}, err
		}
	}
	err := startTrouble(trouble)
	lost := strings.HasPrefix(trouble, "lost")
	if err != nil && !lost {
		h.called("start", id)
		return Handle{}, err
	}
	var words []string
	for word := range strings.FieldsSeq(script) {
		if !strings.HasPrefix(word, "start=") && !strings.HasPrefix(word, "find=") && !strings.HasPrefix(word, "term=") {
			words = append(words, word)
		}
	}
	if lost {
		words = append(words, "hidden")
	}
	clean := maps.Clone(in)
	clean["do"] = strings.Join(words, " ")
	handle, failed := h.fake.Start(ctx, pipelineID, clean, opts)
	if failed != nil {
		return handle, failed
	}
	h.more.mu.Lock()
	h.more.starts[id]++
	h.more.mu.Unlock()
	if lost {
		return Handle{}, err
	}
	return handle, nil
}

func startTrouble(trouble string) error {
	name, arg, _ := strings.Cut(trouble, "/")
	switch name {
	case "lost", "gone":
		return unanswered()
	case "lost502":
		return answered(502, "bad gateway")
	case "gone504":
		return answered(504, "too late")
	case "unsent":
		err := unanswered()
		err.Unsent = true
		return err
	case "503":
		return answered(503, "busy")
	case "400":
		return answered(400, "the run has ended")
	case "401":
		return answered(401, "no such key")
	case "429":
		refusal := answered(429, "slow down")
		refusal.RetryAfter, _ = time.ParseDuration(arg)
		return refusal
	}
	return nil
}

func (f findable) Find(_ context.Context, traceID string) (Handle, error) {
	f.more.mu.Lock()
	id, script, _ := strings.Cut(f.more.find[traceID], " ")
	f.more.mu.Unlock()
	f.called("find", id)
	if err := startTrouble(f.more.word("find", id, script)); err != nil {
		return Handle{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.runs {
		if r.handle.TraceID == traceID {
			if r.hidden {
				if r.hidden = false; r.status.Suspended == nil && !r.status.State.Ended() {
					f.count(r, 1)
				}
			}
			return r.handle, nil
		}
	}
	return Handle{}, nil
}

func (h hosted) Status(ctx context.Context, handle Handle) (Status, error) {
	h.mu.Lock()
	_, known := h.runs[handle.TaskID]
	h.mu.Unlock()
	if !known {
		return Status{}, answered(404, "no such run")
	}
	return h.fake.Status(ctx, handle)
}

func (h hosted) Terminate(ctx context.Context, handle Handle) error {
	h.more.mu.Lock()
	id, script, _ := strings.Cut(h.more.find[handle.TraceID], " ")
	h.more.mu.Unlock()
	if err := startTrouble(h.more.word("term", id, script)); err != nil {
		h.called("terminate", id)
		return err
	}
	return h.fake.Terminate(ctx, handle)
}

// ledger is a Journal, and the Past of the invocation after it.
type ledger struct {
	mu      sync.Mutex
	lines   []string // "intend a 1", "began a 1", "drop a"
	begun   map[string]Begun
	ended   map[string]bool
	stands  map[string]Standing // of other items
	orphans []Begun
	fail    string // the line at which the disk is full
}

func newLedger() *ledger {
	return &ledger{begun: map[string]Begun{}, ended: map[string]bool{}, stands: map[string]Standing{}}
}

var errDiskFull = &ResultsError{Path: "out.jsonl.journal", Err: errors.New("disk full")}

func (l *ledger) write(line string, change func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if line == l.fail {
		return errDiskFull
	}
	l.lines = append(l.lines, line)
	change()
	return nil
}

func (l *ledger) Intend(b Begun) error {
	if b.Handle.TaskID != "" || b.Handle.TraceID == "" || b.At.IsZero() || b.Digest == "" {
		panic("that is no intent")
	}
	return l.write("intend "+b.ID, func() { l.begun[b.ID] = b })
}

func (l *ledger) Began(b Begun) error {
	what := "began "
	if b.Over {
		what = "over "
	}
	return l.write(what+b.ID, func() { l.begun[b.ID] = b })
}

func (l *ledger) Drop(id string) error { return l.write("drop "+id, func() { delete(l.begun, id) }) }

func (l *ledger) Of(it *spec.Item) Standing {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended[it.ID] {
		return Standing{Skip: true}
	}
	s := l.stands[it.ID]
	if b, ok := l.begun[it.ID]; ok {
		s.Attempts, s.Duplicate = max(s.Attempts, b.Attempt), s.Duplicate || b.Duplicate
		if !b.Over {
			s.Begun = &b
		}
	}
	return s
}

func (l *ledger) Orphans() []Begun { return l.orphans }

// Handle makes a ledger forget what has ended, as a Generation does.
func (l *ledger) Handle(e Event) {
	if e.Kind == Finished {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ended[e.ID] = true
		delete(l.begun, e.ID)
	}
}

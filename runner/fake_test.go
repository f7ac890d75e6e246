package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"nightshift/spec"
)

// fake is a backend whose runs do what their item says: the input "do" is a
// script of words, worked off one after the other, and "id" names the run in
// the log of calls.
//
//	5s               take that long
//	park=10s         be held back for that long, while others get on
//	idle=10s         the same, but nobody gets on
//	down=10s         meet a closed port while the backend is younger than that
//	looks=xx.x       let looks at the run fail where there is an x (see looksThatFail)
//	hang             never end
//	fail node cancel end like that; a script without one of these succeeds
//	refuse misfit stuck denied   at the beginning: start with an error, or never
//	pay=10/5         have paid for so many tokens, in and out
//	at=b             meet what follows at that node; else it is llm
//
// The words of troubles and of refusals suspend or end it; closed+fail503 are met
// side by side, at the nodes llm and llm2. A word with a star is never worked off.
//
// By itself it has to be polled; see waiting, resuming and pollResuming, and hosted.
type fake struct {
	born      time.Time
	slowTerms bool // Terminate returns only when its context is done

	mu      sync.Mutex
	runs    map[string]*fakeRun
	calls   []fakeCall
	options []StartOptions
	ends    []fakeEnd
	working int // runs that are neither suspended nor ended
	most    int
}

// fakeEnd is the end of a run, or of a part of it, that its script has led to.
type fakeEnd struct {
	at     time.Duration
	id     string
	status Status
}

type fakeCall struct {
	at       time.Duration
	what, id string
}

type fakeRun struct {
	id       string
	handle   Handle
	script   []string
	looks    string
	node     string
	progress int  // of which it tells
	hidden   bool // nobody knows of it
	usage    atomic.Pointer[Usage]
	due      time.Time // to be resumed
	status   Status
	settled  chan struct{} // closed when the run has ended or was suspended
	ctx      context.Context
	cancel   context.CancelFunc
}

// waiting tells when a run has ended; resuming can go on with suspended ones
// too. pollResuming does only the latter.
type (
	waiting      struct{ *fake }
	resuming     struct{ waiting }
	pollResuming struct{ *fake }
)

var (
	_ Backend = (*fake)(nil)
	_ Waiter  = waiting{}
	_ Waiter  = resuming{}
	_ Resumer = resuming{}
	_ Resumer = pollResuming{}
)

// newFake makes a backend. Runs that are still going at the end of the test are
// ended then.
func newFake(t testing.TB) *fake {
	f := &fake{born: time.Now(), runs: map[string]*fakeRun{}}
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, r := range f.runs {
			r.cancel()
		}
	})
	return f
}

func (f *fake) Save(context.Context, *spec.Pipeline, SaveOptions) (Saved, error) {
	return Saved{PipelineID: "p", Action: Created}, nil
}

func (f *fake) Start(ctx context.Context, pipelineID string, in Inputs, opts StartOptions) (Handle, error) {
	r := &fakeRun{id: in["id"].(string), script: strings.Fields(in["do"].(string)), node: "llm", status: Status{State: Running}, settled: make(chan struct{})}
	r.script = slices.DeleteFunc(r.script, func(word string) bool {
		looks, found := strings.CutPrefix(word, "looks=")
		if found {
			r.looks = looks
		}
		r.hidden = r.hidden || word == "hidden"
		return found || word == "hidden"
	})
	f.called("start", r.id)
	switch strings.Join(r.script, " ") {
	case "refuse":
		return Handle{}, errors.New("no more runs today")
	case "misfit":
		return Handle{}, fmt.Errorf("start: %w", &InputError{errors.New("that does not fit")})
	case "denied":
		return Handle{}, refusals["deny"]
	case "stuck":
		<-ctx.Done()
		return Handle{}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.options = append(f.options, opts)
	r.handle = Handle{PipelineID: pipelineID, TaskID: fmt.Sprintf("run-%d", len(f.runs)), TraceID: opts.TraceID}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	f.runs[r.handle.TaskID] = r
	f.goOn(r)
	return r.handle, nil
}

// goOn works on a run until it is settled again.
func (f *fake) goOn(r *fakeRun) {
	f.count(r, 1)
	go func() {
		for {
			word := "ok"
			if len(r.script) > 0 {
				var again bool
				word, again = strings.CutSuffix(r.script[0], "*")
				if until, ok := strings.CutPrefix(word, "down="); ok {
					word, again = "0s", time.Since(f.born) < duration(until)
					if again {
						word = "closed"
					}
				}
				if !again {
					r.script = r.script[1:]
				}
			}
			if !r.work(word) {
				continue
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			status := r.after(word)
			if !r.status.State.Ended() {
				f.ends = append(f.ends, fakeEnd{time.Since(f.born), r.id, status})
			}
			f.settle(r, status)
			return
		}
	}()
}

// count counts a run as working, or no longer.
func (f *fake) count(r *fakeRun, one int) {
	if !r.hidden {
		f.working += one
		f.most = max(f.most, f.working)
	}
}

// work does one word, and tells whether the run is settled by it.
func (r *fakeRun) work(word string) bool {
	name, arg, _ := strings.Cut(word, "=")
	pause, err := time.ParseDuration(word)
	switch {
	case name == "at":
		r.node = arg
		return false
	case name == "got":
		r.progress++
		return false
	case name == "pay":
		var took Usage
		if _, err := fmt.Sscanf(arg, "%d/%d", &took.InputTokens, &took.OutputTokens); err != nil {
			panic(err)
		}
		took.USD = float64(took.InputTokens+2*took.OutputTokens) / 1e6
		r.usage.Store(r.usage.Load().Add(took))
		return false
	case word == "hang":
		<-r.ctx.Done()
	case err == nil:
		timer := time.NewTimer(pause)
		defer timer.Stop()
		select {
		case <-timer.C:
			return false
		case <-r.ctx.Done():
		}
	}
	return true
}

// after is the status in which a word leaves the run.
func (r *fakeRun) after(word string) Status {
	if err, ok := refusals[word]; ok {
		return Status{State: Failed, Err: r.met(r.node, err)}
	}
	now := time.Now()
	suspension := &Suspension{At: now}
	r.due = now
	for part := range strings.SplitSeq(word, "+") {
		name, arg, _ := strings.Cut(part, "=")
		err := troubleOf(name, arg)
		if err == nil {
			break
		}
		node := r.node
		if met := len(suspension.Errs); met > 0 {
			node = fmt.Sprint(node, met+1)
		}
		suspension.Errs = append(suspension.Errs, r.met(node, err))
		if api, ok := errors.AsType[*APIError](err); ok {
			r.due = later(r.due, now.Add(min(api.RetryAfter, 5*time.Minute)))
		} // who was held back is held back again
	}
	if suspension.Progress = r.progress; suspension.Errs != nil {
		return Status{State: Running, Suspended: suspension}
	}
	switch word {
	case "fail":
		return Status{State: Failed, Err: errors.New("it failed")}
	case "node":
		return Status{State: Failed, Err: fmt.Errorf("run: %w", &RunError{Node: "llm", Type: "llm", Err: errors.New("no answer")})}
	case "cancel":
		return Status{State: Cancelled}
	case "ok":
		return Status{State: Succeeded, Outputs: map[string]any{"out": r.id}}
	}
	return Status{State: Cancelled} // it was terminated
}

// met is what the run meets at a node.
func (r *fakeRun) met(node string, err error) error {
	return &RunError{Node: node, Type: "llm", Err: err}
}

func duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return d
}

func (f *fake) settle(r *fakeRun, status Status) {
	status.Usage = r.usage.Load()
	if r.status.State.Ended() {
		return
	}
	if r.status.Suspended == nil {
		f.count(r, -1)
		close(r.settled)
	}
	r.status = status
}

func (f *fake) Status(_ context.Context, h Handle) (Status, error) {
	r := f.find(h)
	f.called("look", r.id)
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.looks != "" {
		look := r.looks[0]
		r.looks = r.looks[1:]
		if err := looksThatFail[look]; err != nil {
			return Status{}, err
		}
	}
	return r.status, nil
}

func (f *fake) Terminate(ctx context.Context, h Handle) error {
	r := f.find(h)
	f.called("terminate", r.id)
	if f.slowTerms {
		<-ctx.Done()
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settle(r, Status{State: Cancelled})
	r.cancel()
	return nil
}

func (w waiting) Wait(ctx context.Context, h Handle) (Status, error) {
	r := w.find(h)
	w.mu.Lock()
	settled := r.settled
	w.mu.Unlock()
	select {
	case <-settled:
		w.mu.Lock()
		defer w.mu.Unlock()
		return r.status, nil
	case <-ctx.Done():
		return Status{}, ctx.Err()
	}
}

func (r resuming) Resume(_ context.Context, h Handle) error     { return r.resume(h) }
func (r pollResuming) Resume(_ context.Context, h Handle) error { return r.resume(h) }

func (f *fake) resume(h Handle) error {
	r := f.find(h)
	f.called("resume", r.id)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case r.status.Suspended == nil:
		return errors.New("the run is not suspended")
	case time.Now().Before(r.due):
		return errors.New("the run is resumed too early")
	case len(r.script) > 0 && r.script[0] == "refuse":
		return errors.New("the run is forgotten")
	}
	r.status, r.settled = Status{State: Running}, make(chan struct{})
	f.goOn(r)
	return nil
}

func (f *fake) find(h Handle) *fakeRun {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.runs[h.TaskID]
	if r == nil || r.handle != h {
		panic(fmt.Sprintf("there is no run %+v", h))
	}
	return r
}

func (f *fake) called(what, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fakeCall{time.Since(f.born), what, id})
}

// log lists the calls of these kinds as "5s start a", by time; what happened at
// the same time is sorted by its text.
func (f *fake) log(whats ...string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := slices.DeleteFunc(slices.Clone(f.calls), func(c fakeCall) bool { return !slices.Contains(whats, c.what) })
	slices.SortStableFunc(calls, func(a, b fakeCall) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.what, b.what), cmp.Compare(a.id, b.id))
	})
	lines := []string{}
	for _, c := range calls {
		lines = append(lines, fmt.Sprintf("%v %s %s", c.at, c.what, c.id))
	}
	return lines
}

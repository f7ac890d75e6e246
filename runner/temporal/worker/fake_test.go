package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

// fake is a backend whose runs do what their input "do" says, words after each other:
//
//	5s      take that long
//	hang    until they are terminated
//	fail    end like that; a run without it succeeds
//	closed  fail as nobody answers
//	park=5s be refused for so long, and go on when they are resumed
//	alike   fail as what is asked was not understood
//	unpriced have paid what is not known
//	pay=10  have paid for so many tokens, a dollar each thousand
//	panic   panic when they are waited for
//	denied  (alone) be refused as the key is wrong
//	leak    fail with the value of the variable KEY
type fake struct {
	openErr error
	onOpen  func()      // nil: nothing
	onStart func(n int) // is called before the run of that number; nil: nothing is

	mu      sync.Mutex
	opened  int // times
	open    int // now
	shares  []string
	files   func(string) ([]byte, error)
	starts  map[string]int // by trace id
	started int
	running int
	most    int // runs at once
	runs    map[string]*fakeRun
}

type fakeRun struct {
	ctx    context.Context
	words  []string
	done   chan struct{}
	cancel context.CancelFunc
	status runner.Status
	panics bool
}

func newFake() *fake {
	return &fake{starts: map[string]int{}, runs: map[string]*fakeRun{}}
}

func (f *fake) make(files func(string) ([]byte, error)) (Opened, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.onOpen != nil {
		f.onOpen()
	}
	if f.openErr != nil {
		return Opened{}, f.openErr
	}
	f.opened++
	f.open++
	f.files = files
	return Opened{
		Backend: f,
		Release: func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.open--
		},
		SetShare: func(num, den int) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.shares = append(f.shares, fmt.Sprintf("%d/%d", num, den))
		},
	}, nil
}

func (f *fake) Save(context.Context, *spec.Pipeline, runner.SaveOptions) (runner.Saved, error) {
	return runner.Saved{PipelineID: "p", Action: runner.Created}, nil
}

func (f *fake) Start(_ context.Context, id string, in runner.Inputs, o runner.StartOptions) (runner.Handle, error) {
	script, _ := in["do"].(string)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started++
	if f.onStart != nil {
		f.onStart(f.started)
	}
	if script == "denied" {
		return runner.Handle{}, &runner.APIError{StatusCode: 401, Method: "POST", Endpoint: "models.test/v1", Message: "no such key"}
	}
	f.starts[o.TraceID]++
	r := &fakeRun{words: strings.Fields(script), status: runner.Status{Outputs: map[string]any{"answer": script}}, panics: strings.Contains(script, "panic")}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	task := fmt.Sprint("task", f.started)
	f.runs[task] = r
	f.goOn(r)
	return runner.Handle{PipelineID: id, TaskID: task, TraceID: o.TraceID}, nil
}

// goOn works on a run until it ends or is suspended. The fake is locked.
func (f *fake) goOn(r *fakeRun) {
	f.running++
	f.most = max(f.most, f.running)
	r.done = make(chan struct{})
	r.status.State, r.status.Suspended = runner.Running, nil
	status := r.status
	go func() {
		status := r.perform(status)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.running--
		r.status = status
		close(r.done)
	}()
}

// Resume goes on with a suspended run.
func (f *fake) Resume(_ context.Context, h runner.Handle) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.goOn(f.runs[h.TaskID])
	return nil
}

// perform does what is left of a script.
func (r *fakeRun) perform(status runner.Status) runner.Status {
	end := func(state runner.State, err error) runner.Status {
		return runner.Status{State: state, Err: err, Usage: status.Usage}
	}
	for len(r.words) > 0 {
		word := r.words[0]
		r.words = r.words[1:]
		name, arg, _ := strings.Cut(word, "=")
		pause, err := time.ParseDuration(word)
		if word == "hang" {
			pause, err = 1000*time.Hour, nil
		}
		switch {
		case err == nil:
			if runner.Sleep(r.ctx, pause) != nil {
				return end(runner.Cancelled, nil)
			}
		case word == "fail":
			return end(runner.Failed, &runner.RunError{Node: "answer", Type: "output", Err: errors.New("it failed")})
		case word == "alike":
			return end(runner.Failed, &runner.APIError{StatusCode: 400, Method: "POST", Endpoint: "models.test/v1", Message: "no such field"})
		case word == "unpriced":
			status.Usage = &runner.Usage{Unpriced: true}
		case word == "leak":
			return end(runner.Failed, errors.New("the key sesame-open is wrong"))
		case word == "closed":
			return end(runner.Failed, &runner.ConnectionError{Err: errors.New("connection refused with key sesame-open")})
		case name == "park":
			wait, _ := time.ParseDuration(arg)
			busy := &runner.APIError{StatusCode: 429, Method: "POST", Endpoint: "models.test/v1", Message: "too many", RetryAfter: wait}
			status.State = runner.Running
			status.Suspended = &runner.Suspension{At: time.Now(), Errs: []error{&runner.RunError{Node: "llm", Type: "llm", Err: busy}}}
			return status
		case name == "pay":
			var tokens int64
			_, _ = fmt.Sscan(arg, &tokens)
			status.Usage = &runner.Usage{InputTokens: tokens, USD: float64(tokens) / 1000}
		}
	}
	status.State = runner.Succeeded
	return status
}

var (
	_ runner.Waiter   = (*fake)(nil)
	_ runner.Resumer  = (*fake)(nil)
	_ runner.Streamer = (*fake)(nil)
)

func (f *fake) find(h runner.Handle) *fakeRun {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.runs[h.TaskID]
}

func (f *fake) Status(_ context.Context, h runner.Handle) (runner.Status, error) {
	r := f.find(h)
	f.mu.Lock()
	defer f.mu.Unlock()
	return r.status, nil
}

func (f *fake) Wait(ctx context.Context, h runner.Handle) (runner.Status, error) {
	r := f.find(h)
	if r.panics {
		panic("out of range with sesame-open")
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return runner.Status{State: runner.Running}, ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.status.State.Ended() {
		r.cancel()
		delete(f.runs, h.TaskID)
	}
	return r.status, nil
}

func (f *fake) Terminate(_ context.Context, h runner.Handle) error {
	r := f.find(h)
	r.cancel()
	<-r.done
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.status.Suspended != nil {
		r.status = runner.Status{State: runner.Cancelled}
	}
	return nil
}

// Stream starts a run and waits for it.
func (f *fake) Stream(ctx context.Context, id string, in runner.Inputs, o runner.StartOptions, _ func(runner.Chunk)) (runner.Handle, runner.Status, error) {
	h, err := f.Start(ctx, id, in, o)
	if err != nil {
		return h, runner.Status{}, err
	}
	status, err := f.Wait(ctx, h)
	return h, status, err
}

// idle checks that nothing is left running, nor open.
func (f *fake) idle(t *testing.T) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	suspended := 0
	for _, r := range f.runs {
		if r.status.Suspended != nil {
			suspended++
		}
	}
	want(t, "runs that are left, suspended ones, engines that are open", []int{f.running, suspended, f.open}, []int{0, 0, 0})
}

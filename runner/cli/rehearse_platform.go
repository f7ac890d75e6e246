package cli

import (
	"context"
	"fmt"
	"sync"

	"nightshift/runner"
)

// polled is the engine as a platform that tells when a run has ended only where it is
// looked at: a batch calls it as often as it would call that, and waits for the same
// rate. Runs that were suspended can be resumed.
type polled struct {
	runner.Backend // not all that the engine can do: Wait would be used
	waiter         runner.Waiter
	resumer        runner.Resumer

	mu   sync.Mutex
	runs map[string]*polledRun // by task id, until somebody has seen their end
}

// polledRun is a run that is at work, or how it stands since.
type polledRun struct {
	done   chan struct{} // closed when it has ended, or was suspended
	status runner.Status
	err    error
}

// ended tells whether nothing more comes of a run.
func (r *polledRun) ended() bool {
	select {
	case <-r.done:
		return r.err != nil || r.status.State.Ended()
	default:
		return false
	}
}

// suspended tells whether a run waits to be resumed.
func (r *polledRun) suspended() bool {
	select {
	case <-r.done:
		return r.status.Suspended != nil
	default:
		return false
	}
}

// newPolled makes one of a backend that waits and resumes; any other stays as it is.
func newPolled(backend runner.Backend) runner.Backend {
	waiter, waits := backend.(runner.Waiter)
	resumer, resumes := backend.(runner.Resumer)
	if !waits || !resumes {
		return backend
	}
	return &polled{Backend: backend, waiter: waiter, resumer: resumer, runs: map[string]*polledRun{}}
}

// Start is runner.Backend's.
func (p *polled) Start(ctx context.Context, id string, in runner.Inputs, opts runner.StartOptions) (runner.Handle, error) {
	h, err := p.Backend.Start(ctx, id, in, opts)
	if err == nil {
		p.watch(h)
	}
	return h, err
}

// Resume is runner.Resumer's.
func (p *polled) Resume(ctx context.Context, h runner.Handle) error {
	err := p.resumer.Resume(ctx, h)
	if err == nil {
		p.watch(h)
	}
	return err
}

// watch waits for the end of a run: the engine forgets runs that nobody waits for.
func (p *polled) watch(h runner.Handle) {
	r := &polledRun{done: make(chan struct{})}
	p.mu.Lock()
	p.runs[h.TaskID] = r
	p.mu.Unlock()
	go func() {
		r.status, r.err = p.waiter.Wait(context.Background(), h)
		close(r.done)
	}()
}

// Status is runner.Backend's.
func (p *polled) Status(_ context.Context, h runner.Handle) (runner.Status, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.runs[h.TaskID]
	if r == nil {
		return runner.Status{}, fmt.Errorf("there is no run %q that goes on", h.TaskID)
	}
	select {
	case <-r.done:
	default:
		return runner.Status{State: runner.Running}, nil
	}
	if r.err == nil && r.status.State.Ended() {
		delete(p.runs, h.TaskID)
	}
	return r.status, r.err
}

// Terminate is runner.Backend's.
func (p *polled) Terminate(ctx context.Context, h runner.Handle) error {
	p.mu.Lock()
	r := p.runs[h.TaskID]
	p.mu.Unlock()
	if r == nil || r.ended() {
		return nil
	}
	if err := p.Backend.Terminate(ctx, h); err != nil {
		if r.ended() { // meanwhile
			return nil
		}
		return err
	}
	if r.suspended() { // then nobody looks at it any more
		p.mu.Lock()
		delete(p.runs, h.TaskID)
		p.mu.Unlock()
		return nil
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

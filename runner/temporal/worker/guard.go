package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"nightshift/runner"
	"nightshift/spec"
)

// guard is a backend whose panics end an activity, and not the worker with all others.
type guard struct {
	backend
	heart *heart
	file  *spec.File
}

// backend is what runs on a worker need: it tells when they end, goes on with those that
// are suspended, and streams.
type backend interface {
	runner.Backend
	runner.Waiter
	runner.Resumer
	runner.Streamer
}

// guarded guards the backend of a file for one activity.
func (h *heart) guarded(f *openFile) (*guard, error) {
	able, ok := f.Backend.(backend)
	if !ok {
		return nil, h.refuse(f.file, errors.New("its backend does not wait for runs, resume and stream them"))
	}
	return &guard{able, h, f.file}, nil
}

// panicked is a panic of a backend.
type panicked struct{ text string }

func (p *panicked) Error() string { return "panic: " + p.text }

// panicked makes an error of a panic, and logs where it was. Secrets of the file, which
// may be nil, are hidden.
func (w *work) panicked(file *spec.File, value any) error {
	err := &panicked{fmt.Sprint(value)}
	err.text = hidden(file, errors.New(err.text))
	w.Log.Error("a backend panicked", "panic", err.text, "stack", string(debug.Stack()))
	return err
}

// catch ends the work of the activity where there is a panic, before anybody takes its
// error for that of an item.
func (g *guard) catch(err *error) {
	if p := recover(); p != nil {
		*err = g.heart.panicked(g.file, p)
		g.heart.cancel(*err)
	}
}

// Start is that of the backend.
func (g *guard) Start(ctx context.Context, id string, in runner.Inputs, o runner.StartOptions) (h runner.Handle, err error) {
	defer g.catch(&err)
	return g.backend.Start(ctx, id, in, o)
}

// Status is that of the backend.
func (g *guard) Status(ctx context.Context, h runner.Handle) (s runner.Status, err error) {
	defer g.catch(&err)
	return g.backend.Status(ctx, h)
}

// Terminate is that of the backend.
func (g *guard) Terminate(ctx context.Context, h runner.Handle) (err error) {
	defer g.catch(&err)
	return g.backend.Terminate(ctx, h)
}

// Wait is that of the backend.
func (g *guard) Wait(ctx context.Context, h runner.Handle) (s runner.Status, err error) {
	defer g.catch(&err)
	return g.backend.Wait(ctx, h)
}

// Resume is that of the backend.
func (g *guard) Resume(ctx context.Context, h runner.Handle) (err error) {
	defer g.catch(&err)
	return g.backend.Resume(ctx, h)
}

// Stream is that of the backend.
func (g *guard) Stream(ctx context.Context, id string, in runner.Inputs, o runner.StartOptions, chunk func(runner.Chunk)) (h runner.Handle, s runner.Status, err error) {
	defer g.catch(&err)
	return g.backend.Stream(ctx, id, in, o, chunk)
}

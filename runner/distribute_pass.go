package runner

import (
	"context"
	"errors"
	"fmt"
)

// begun tells whether a pass of an earlier invocation may be under way. One that it
// came to no more than to hand over binds nobody.
func (d *distribution) begun(ctx context.Context, b Begun) (bool, error) {
	if b.Unbegun {
		_, err := d.backend.Status(ctx, b.Handle)
		if _, never := errors.AsType[*NotFoundError](err); never {
			if !d.FollowOnly && (d.Journal == nil || d.noted(d.Journal.Drop(b.ID))) {
				d.forget(ctx, b.Handle)
			}
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// begin begins a pass, if it is not begun yet, and notes it.
func (d *distribution) begin(ctx context.Context, b Begun) error {
	if err := d.backend.Begin(ctx, b.Handle); err != nil {
		return err
	}
	if b.Unbegun && d.Journal != nil {
		b.Unbegun = false
		d.noted(d.Journal.Began(b))
	}
	return nil
}

// follow sees a pass to its end, and writes its results.
func (d *distribution) follow(ctx context.Context, b Begun) error {
	err := d.begin(ctx, b)
	if err == nil {
		ended := make(chan struct{})
		defer close(ended)
		go func() {
			select {
			case <-d.Drain:
				_ = d.backend.Drain(ctx, b.Handle) // where it does not hear, a second signal ends it
			case <-ended:
			}
		}()
		d.end, err = d.backend.Follow(ctx, b.Handle, d.write)
	}
	if ctx.Err() != nil {
		if err = d.interrupted(ctx, b); err != nil {
			return err
		}
	}
	if err != nil {
		d.left.Store(true)
		d.going++
		return err
	}
	if d.end.Left {
		d.left.Store(true)
	}
	if d.asked(ctx) {
		d.drained = true
	}
	return d.over(ctx, b)
}

// write sends a result off.
func (d *distribution) write(r *Result) error {
	if d.isNew(r) {
		d.last = make(chan struct{})
		d.send(Event{Kind: Finished, Time: r.FinishedAt, ID: r.ID, Result: r}, d.last)
	}
	return nil
}

// interrupted ends a pass as its batch is to end, or leaves it going. An error says
// that it goes on.
func (d *distribution) interrupted(ctx context.Context, b Begun) error {
	d.left.Store(true)
	cause := context.Cause(ctx)
	if _, failed := errors.AsType[*unwritten](cause); failed || errors.Is(cause, ErrDetach) {
		d.going++
		return ctx.Err()
	}
	within, release := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer release()
	err := d.backend.Terminate(within, b.Handle)
	if _, never := errors.AsType[*NotFoundError](err); never {
		return ctx.Err() // it is not going, and the next invocation begins it
	}
	if err == nil {
		d.end, err = d.backend.Follow(within, b.Handle, d.write)
	}
	if err != nil {
		d.going++
		return fmt.Errorf("the runs of %s may go on: %w", b.Handle.TaskID, err)
	}
	return nil
}

// over forgets a pass whose results are written.
func (d *distribution) over(ctx context.Context, b Begun) error {
	if d.last != nil {
		<-d.last // with all before it
	}
	if _, failed := errors.AsType[*unwritten](context.Cause(ctx)); failed {
		d.left.Store(true)
		return ctx.Err() // the next invocation has it
	}
	if d.Journal != nil && !d.noted(d.Journal.Drop(b.ID)) {
		return nil
	}
	d.forget(ctx, b.Handle)
	return nil
}

// forget removes what is stored of a pass. What stays costs a little room.
func (d *distribution) forget(ctx context.Context, h Handle) {
	within, release := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer release()
	_ = d.backend.Forget(within, h)
}

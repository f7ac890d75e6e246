package store

import (
	"context"
	"errors"
	"time"
)

// longestWait is how long a store may do nothing when it is asked for something. It
// goes for each step of it: what is large may take longer, as long as it goes on.
const longestWait = time.Minute

// noAnswer is the error of a store that did nothing for so long.
type noAnswer time.Duration

func (e noAnswer) Error() string { return "no answer within " + time.Duration(e).String() }

// patience ends a context where a step takes too long.
type patience struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// patiently calls call, whose first step may take that long. That a step took longer
// is a noAnswer.
func patiently(ctx context.Context, wait time.Duration, call func(ctx context.Context, p *patience) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &patience{cancel: cancel}
	p.step(wait)
	defer p.pause()
	err := call(ctx, p)
	if late, ok := errors.AsType[noAnswer](context.Cause(ctx)); ok && err != nil {
		return late
	}
	return err
}

// step begins the next step.
func (p *patience) step(wait time.Duration) {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = time.AfterFunc(wait, func() { p.cancel(noAnswer(wait)) })
}

// pause ends a step, until the next one.
func (p *patience) pause() { p.timer.Stop() }

// mostCalls is how many calls to the file system may be under way at once. Those that
// hang keep a thread each.
const mostCalls = 256

// calls are calls to a file system that may hang for ever, as one on the network does
// where its server is away. Nobody can end those: they are left behind.
type calls struct {
	wait  time.Duration // for each
	slots chan struct{}
}

func newCalls(wait time.Duration) calls { return calls{wait, make(chan struct{}, mostCalls)} }

// await gives what call gives, or a noAnswer. Whatever call changes is not to be looked
// at after that: it may still be at it.
func await[T any](c calls, call func() (T, error)) (value T, err error) {
	timer := time.NewTimer(c.wait)
	defer timer.Stop()
	select {
	case c.slots <- struct{}{}:
	case <-timer.C:
		return value, noAnswer(c.wait)
	}
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		value, err := call()
		<-c.slots
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-timer.C:
		return value, noAnswer(c.wait)
	}
}

// awaitError is await for calls that give an error only.
func awaitError(c calls, call func() error) error {
	_, err := await(c, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

package temporal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"nightshift/runner"
)

// Pauses between tries while the server is away.
const (
	awayPause    = 250 * time.Millisecond
	maxAwayPause = 5 * time.Second

	// lastMoment is how much earlier than ctx itself a call may see that its time is over.
	lastMoment = 100 * time.Millisecond
)

// defaultPatience is how long a server is waited for where no batch file says it.
const defaultPatience = 15 * time.Minute

// away keeps an eye on a server that may go away and come back: it says so, and knows
// when to give up. It may be used by several goroutines.
type away struct {
	address string
	most    time.Duration // of waiting; 0: for ever
	say     func(string)

	mu    sync.Mutex
	since time.Time // the first call in vain; zero: the server is there
}

func (b *Backend) newAway() *away {
	a := &away{address: b.client.address, most: defaultPatience, say: b.Say}
	if b.File != nil {
		a.most = b.File.Run.Retry.MaxElapsed
	}
	return a
}

// met takes in what a call came to. An error says that it is not to be made again.
func (a *away) met(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil || !isAway(err):
		if !a.since.IsZero() {
			a.say(fmt.Sprintf("nightshift: the Temporal server %s answers again", a.address))
		}
		a.since = time.Time{}
		return err
	case a.since.IsZero():
		a.since = now
		how := "it is waited for"
		if a.most > 0 {
			how = fmt.Sprintf("it is waited for, up to %v", a.most)
		}
		a.say(fmt.Sprintf("nightshift: the Temporal server does not answer (%v): %s", err, how))
	case a.most > 0 && now.Sub(a.since) >= a.most:
		return fmt.Errorf("given up after %v; what was begun goes on: %w", now.Sub(a.since).Round(time.Second), err)
	}
	return nil
}

// patiently makes a call until it is answered, ctx is done, or the server was away for
// too long.
func patiently(ctx context.Context, a *away, call func() error) error {
	for pause := awayPause; ; pause = min(2*pause, maxAwayPause) {
		err := call()
		if deadline, bound := ctx.Deadline(); err != nil && bound && time.Until(deadline) < lastMoment {
			<-ctx.Done() // the call saw its end a moment earlier
		}
		if err == nil || ctx.Err() != nil {
			if err == nil {
				_ = a.met(nil)
			}
			return err
		}
		if giveUp := a.met(err); giveUp != nil {
			return giveUp
		}
		if runner.Sleep(ctx, pause) != nil {
			return err
		}
	}
}

package temporal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"nightshift/runner"
)

// At the end of a pass its results are waited for: a bucket may list late what is in it,
// and a store may be away.
const (
	lackWithin   = time.Minute
	lackPause    = time.Second // then two, four, and so on
	mostLackWait = 15 * time.Second
)

// joinAll gives the results of all shards that were not given yet. It is for when the
// pass has ended, and has told how many results there are, or more: these must be in
// shards that are whole. Of the others what there is is given. Where results lack the
// error says so, and nothing is to be forgotten.
func (f *follower) joinAll(ctx context.Context, known int) error {
	all := func(int) bool { return true }
	until, told := time.Now().Add(lackWithin), false
	for pause := lackPause; ; pause = min(2*pause, mostLackWait) {
		unread, err := f.join(ctx, f.Shards, all, false)
		if err == nil && unread == nil && f.given >= known {
			if unread, err = f.join(ctx, f.Shards, all, true); unread == nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if !told {
			told = true
			f.b.Say(fmt.Sprintf("nightshift: pass %s has ended, and results of it are not in %s yet: they are waited for, up to %v", f.id, f.store, lackWithin))
		}
		if time.Now().Add(pause).After(until) || runner.Sleep(ctx, pause) != nil {
			return f.lack(known, unread)
		}
	}
}

// lack says that results are not there that must be.
func (f *follower) lack(known int, unread error) error {
	if unread != nil {
		return fmt.Errorf("%w; they are kept, and run again joins them", unread)
	}
	return f.lacking(fmt.Sprintf("it has come to more results (%d) than are in %s (%d)", known, f.store, f.given))
}

// lacking says that a pass has come to less than it must.
func (f *follower) lacking(what string) error {
	return errors.New("pass " + f.id + " is not given up: " + what + "; run again looks again, and joins what is there by then. " +
		"Where results are gone for good, make the cluster forget the pass (temporal workflow delete -w " + f.id + "): run again then runs what lacks, and nothing else")
}

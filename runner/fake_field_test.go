package runner

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"time"

	"nightshift/spec"
)

// field is a Distributor whose passes come to what their items say, as the fake does:
// "fail" fails, all else succeeds. What goes wrong is set by tests.
type field struct {
	fake // single runs, which nobody asks for

	mu        sync.Mutex
	passes    map[string]*fieldPass
	handed    []string // ids, in all passes
	forgotten int

	lostBegins  int          // begins whose answer is lost, and that did not happen
	lostAnswers int          // begins whose answer is lost
	handing     func()       // is called when items were handed over
	goes        int          // items that end before the process is cut off or interrupted; -1: all
	cut         func() error // what happens then; an error ends Follow
	holds       bool         // passes go no further than goes allows; else they go on without us
	stops       StopReason   // passes stop for that when goes items have ended
}

type fieldPass struct {
	plan   *Plan
	items  []HandedItem
	lines  [][]byte
	begun  bool
	ended  bool
	drain  bool
	drains chan struct{} // closed when it is to drain
	given  int           // lines, to this process
}

func newField() *field { return &field{passes: map[string]*fieldPass{}, goes: -1} }

func (f *field) Hand(_ context.Context, plan *Plan, items iter.Seq2[HandedItem, error]) (Handle, int, error) {
	p := &fieldPass{plan: plan, drains: make(chan struct{})}
	for it, err := range items {
		if err != nil {
			return Handle{}, 0, err
		}
		p.items = append(p.items, it)
		f.handed = append(f.handed, it.Item.ID)
	}
	if len(p.items) == 0 {
		return Handle{}, 0, nil
	}
	if f.handing != nil {
		f.handing()
	}
	id := fmt.Sprintf("pass-%d", len(f.passes)+1)
	f.passes[id] = p
	return Handle{PipelineID: "p", TaskID: id}, len(p.items), nil
}

func (f *field) Begin(ctx context.Context, h Handle) error {
	if f.lostBegins > 0 {
		f.lostBegins--
		return &ConnectionError{Err: errors.New("hung up")}
	}
	f.pass(h).begun = true
	if f.lostAnswers > 0 {
		f.lostAnswers--
		return &ConnectionError{Err: errors.New("hung up")}
	}
	return ctx.Err()
}

func (f *field) pass(h Handle) *fieldPass {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.passes[h.TaskID]
}

// work ends as many items of a pass as it may.
func (p *fieldPass) work(most int) {
	for len(p.lines) < len(p.items) && (most < 0 || len(p.lines) < most) {
		it := p.items[len(p.lines)]
		r := &Result{ID: it.Item.ID, Index: it.Item.Index, Batch: p.plan.Batch.Name, Generation: p.plan.Generation, Status: Succeeded,
			Inputs: it.Item.Inputs, Digest: it.Item.Digest, Attempts: it.Standing.Attempts + 1, FinishedAt: time.Now(), StartedAt: time.Now()}
		if class, failed := it.Item.Inputs["do"].(string); failed {
			r.Status, r.Error = Failed, &ErrorInfo{Class: class, Message: "no"}
		}
		p.lines = append(p.lines, r.AppendJSON(nil))
	}
}

func (f *field) Follow(ctx context.Context, h Handle, results func(*Result) error) (PassEnd, error) {
	p := f.pass(h)
	if p == nil || !p.begun {
		return PassEnd{}, errors.New("there is no such pass")
	}
	if !p.ended {
		p.work(f.goes)
	}
	for ; p.given < len(p.lines); p.given++ {
		line := p.lines[p.given]
		r, err := ReadResult(line)
		if err != nil {
			return PassEnd{}, err
		}
		if err := results(r); err != nil {
			return PassEnd{}, err
		}
	}
	if f.cut != nil && !p.ended && f.goes >= 0 {
		cut := f.cut
		f.cut = nil
		err := cut()
		if !f.holds {
			p.work(-1)
		}
		if err == nil && ctx.Err() != nil {
			err = ctx.Err()
		}
		if err != nil {
			return PassEnd{}, err
		}
	}
	p.ended = true
	end := PassEnd{Left: len(p.lines) < len(p.items)}
	if end.Left {
		if end.Stopped = f.stops; end.Stopped == NotStopped {
			end.Stopped = Interrupted
		}
	}
	return end, nil
}

func (f *field) Status(_ context.Context, h Handle) (Status, error) {
	if !f.pass(h).begun {
		return Status{}, &APIError{StatusCode: http.StatusNotFound}
	}
	return Status{State: Running}, nil
}

func (f *field) Terminate(_ context.Context, h Handle) error {
	f.pass(h).ended = true
	return nil
}

func (f *field) Drain(_ context.Context, h Handle) error {
	p := f.pass(h)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !p.drain {
		p.drain = true
		close(p.drains)
	}
	return nil
}

func (f *field) Forget(_ context.Context, h Handle) error {
	f.forgotten++
	return nil
}

// anew is the field as the next process meets it.
func (f *field) anew() {
	for _, p := range f.passes {
		p.given = 0
	}
}

// idsHanded are the ids of the items that were handed over so far.
func (f *field) idsHanded() string { return strings.Join(f.handed, " ") }

var _ Distributor = (*field)(nil)

// itemsOf are items as rows of a generation's tests have them, for a plan.
func itemsOf(rows string) func(yield func(spec.Item) bool) error {
	return func(yield func(spec.Item) bool) error {
		index := 0
		for name := range strings.FieldsSeq(rows) {
			r := row(name)
			it := r.item()
			it.Index = index
			if _, class, failed := strings.Cut(name, "!"); failed {
				it.Inputs = map[string]any{"do": class}
			}
			index++
			if !yield(*it) {
				break
			}
		}
		return nil
	}
}

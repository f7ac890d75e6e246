package script

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"nightshift/spec"
)

// Options are what a pool works with.
type Options struct {
	Limits  Limits
	Workers int           // at once; 0: as many as there are processors for this process
	Idle    time.Duration // after which a worker that has nothing to do is ended; 0: 10 s
}

// Pool runs scripts, a few at once. Its workers are started when they are
// needed, used again and again, and end with this process at the latest.
type Pool struct {
	limits Limits
	idle   time.Duration
	slots  chan struct{} // one for each script that runs

	mu      sync.Mutex
	free    []*worker // the longest idle first
	reaper  *time.Timer
	closed  bool
	checked map[string]error // what Check said, by name and code
}

// keptChecks is how many answers of Check are remembered: pipelines are checked
// several times on their way to a run, and a server sees many.
const keptChecks = 256

// NewPool makes a pool that has no workers yet.
func NewPool(o Options) *Pool {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Idle <= 0 {
		o.Idle = 10 * time.Second
	}
	return &Pool{limits: o.Limits.withDefaults(), idle: o.Idle, slots: make(chan struct{}, o.Workers), checked: map[string]error{}}
}

// Run runs a script and gives its outputs. It waits for a worker first, which
// does not count as time of the script. An error of the script tells the place
// and what it threw. When the context ends, so does the script, at once.
func (p *Pool) Run(ctx context.Context, c Call) (map[string]any, error) {
	r, err := c.request()
	if err != nil {
		return nil, err
	}
	answer, err := p.ask(ctx, r, c.Code)
	if err != nil {
		return nil, err
	}
	v, err := spec.ParseJSON(answer.Outputs)
	outputs, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, errors.New("the outputs are not JSON")
	}
	return outputs, nil
}

// Check looks for mistakes that can be seen without running the code: those of
// syntax, which are a *SyntaxError. It asks a worker, as a text can be made so that parsing it takes
// hours, or all memory.
func (p *Pool) Check(ctx context.Context, name, code string) error {
	if err := checkSize(code); err != nil {
		return err
	}
	key := name + "\x00" + code
	p.mu.Lock()
	err, known := p.checked[key]
	p.mu.Unlock()
	if known {
		return err
	}
	_, err = p.ask(ctx, request{Name: name, ParseOnly: true}, code)
	if ctx.Err() == nil && !errors.Is(err, errDied) && !errors.Is(err, errNoWorker) { // which may go otherwise next time
		p.mu.Lock()
		if len(p.checked) >= keptChecks {
			clear(p.checked)
		}
		p.checked[strings.Clone(key)] = err
		p.mu.Unlock()
	}
	return err
}

// ask hands a request to a worker. One that died is no reason to fail, be it while
// it was idle or because the system needed its memory: scripts change nothing, so
// they may be run again. A new worker does that, and if that one dies, too, one more:
// what two new ones died of may well be the script.
func (p *Pool) ask(ctx context.Context, r request, code string) (reply, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
	died, fresh := 0, false
	for {
		w, used, err := p.take(ctx, fresh)
		var answer reply
		if err == nil {
			answer, err = w.ask(ctx, r, code)
			p.put(w)
		}
		if errors.Is(err, errDied) && ctx.Err() == nil {
			if !used {
				died++
			}
			if fresh = true; died < 2 {
				continue
			}
			err = fmt.Errorf("%w; so did the one before it, so the code may be what they died of, or this machine is short of memory", err)
		}
		switch {
		case err != nil:
			return reply{}, err
		case answer.Mistake != nil:
			return reply{}, answer.Mistake
		case answer.Err != "":
			return reply{}, errors.New(answer.Err)
		}
		return answer, nil
	}
}

// take gives a worker that has nothing to do, or a new one, which fresh demands.
func (p *Pool) take(ctx context.Context, fresh bool) (w *worker, used bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil, false, errors.New("the pool of scripts is closed")
	}
	if n := len(p.free); n > 0 && !fresh {
		w, p.free = p.free[n-1], p.free[:n-1]
		p.mu.Unlock()
		return w, true, nil
	}
	p.mu.Unlock()
	w, err = startWorker(ctx, p.limits)
	return w, false, err
}

// put takes a worker back, if it lives.
func (p *Pool) put(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		w.kill()
	}
	if w.dead.Load() {
		w.end()
		return
	}
	w.since = time.Now()
	p.free = append(p.free, w)
	if p.reaper == nil {
		p.reaper = time.AfterFunc(p.idle, p.reap)
	}
}

// reap ends the workers that have been idle for long.
func (p *Pool) reap() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reaper = nil
	n := slices.IndexFunc(p.free, func(w *worker) bool { return time.Since(w.since) < p.idle })
	if n < 0 {
		n = len(p.free)
	}
	p.endFirst(n)
	if len(p.free) > 0 && !p.closed {
		p.reaper = time.AfterFunc(p.idle-time.Since(p.free[0].since), p.reap)
	}
}

// endFirst ends the first idle workers. The pool is locked.
func (p *Pool) endFirst(n int) {
	for _, w := range p.free[:n] {
		w.kill()
		w.end()
	}
	p.free = slices.Delete(p.free, 0, n)
}

// Close ends the workers, those that run something when they are done. It need
// not be called: they end by themselves, a while after the last script or with
// this process.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	if p.reaper != nil {
		p.reaper.Stop()
	}
	p.endFirst(len(p.free))
}

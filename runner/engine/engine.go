// Package engine is the embedded backend: it executes pipelines in this
// process, every node as soon as what it refers to is there.
package engine

import (
	"container/list"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"

	"nightshift/runner"
	"nightshift/runner/engine/llm"
	"nightshift/runner/engine/script"
	"nightshift/spec"
)

// keptRuns is how many ended runs are remembered for Status. A run whose end
// Wait has told is forgotten at once.
const keptRuns = 4096

// Engine is a runner.Backend that tells when runs end, goes on with suspended
// ones, and streams. Nothing of it outlives the process.
type Engine struct {
	http    *http.Client
	models  *llm.Client
	prices  *llm.PriceList
	scripts *script.Pool
	disk    disk
	area    *fileArea
	nonce   string
	log     func(message string)

	mu        sync.Mutex
	pipelines map[string]*saved // by id
	runs      map[string]*run   // by task id
	started   uint64
	ended     list.List // task ids of runs that have ended and were not waited for; the oldest first
}

var (
	_ runner.Backend  = (*Engine)(nil)
	_ runner.Waiter   = (*Engine)(nil)
	_ runner.Resumer  = (*Engine)(nil)
	_ runner.Streamer = (*Engine)(nil)
)

// Options are what an engine works with.
type Options struct {
	Env func(name string) (string, bool) // variables, for keys and addresses of models; nil: the process's
	Dir string                           // folder that paths of files are relative to; "": no files are read
	// ReadFile reads the files that runs are given and that nodes name, by their paths as
	// they are written; nil: they are in Dir. Errors need not name the path.
	ReadFile func(path string) ([]byte, error)

	Cache  *llm.Cache            // answers of models that are kept; nil: none are
	Prices map[string]spec.Price // of models, beside those that are known
	Log    func(message string)  // takes what is worth a line, and the stacks of panics; nil: nobody
	Warn   func(message string)  // takes what will cost something; nil: as Log

	Scripts           *script.Pool   // runs code; nil: one of this engine's own
	Redactor          *spec.Redactor // answers of models that hold what it hides are not kept; nil: all are
	RequestsPerMinute int            // calls of all models together; 0: any number

	Files               string         // folder that files are stored in, and looked up by name; "": there is none
	AllowPrivateNetwork bool           // api and url_loader nodes may call loopback, link-local and private addresses
	PrivateLeave        string         // what is said to allow that; "": --allow-private-network
	Rehearse            *spec.Rehearse // models and addresses are not asked but imitated so; nil: they are asked
}

// New makes an engine without pipelines.
func New(o Options) *Engine {
	var nonce [4]byte
	_, _ = rand.Read(nonce[:]) // never fails
	if o.Log == nil {
		o.Log = func(string) {}
	}
	if o.Scripts == nil {
		o.Scripts = script.NewPool(script.Options{})
	}
	web := newHTTPClient(o)
	var rehearsal *llm.Rehearsal
	if o.Rehearse != nil {
		rehearsal = llm.NewRehearsal(*o.Rehearse)
		web.Transport = imitatedWeb{rehearsal, o.Redactor}
	}
	return &Engine{
		log:       o.Log,
		http:      web,
		models:    llm.New(llm.Options{Env: o.Env, Cache: o.Cache, Log: o.Log, Warn: o.Warn, Redactor: o.Redactor, RequestsPerMinute: o.RequestsPerMinute, Rehearsal: rehearsal}),
		prices:    llm.NewPriceList(o.Prices),
		scripts:   o.Scripts,
		disk:      disk{o.Dir, o.ReadFile},
		area:      newFileArea(o),
		nonce:     hex.EncodeToString(nonce[:]),
		pipelines: map[string]*saved{},
		runs:      map[string]*run{},
	}
}

// SetRequestsPerMinute changes Options.RequestsPerMinute while runs go on; perMinute may
// be a fraction. Calls that wait go on at the new pace. At 0 no call is made until it is
// set again. An engine that was made without a limit keeps none.
func (e *Engine) SetRequestsPerMinute(perMinute float64) { e.models.SetRequestsPerMinute(perMinute) }

// Start begins a run and returns at once.
func (e *Engine) Start(ctx context.Context, pipelineID string, in runner.Inputs, opts runner.StartOptions) (runner.Handle, error) {
	return e.start(ctx, pipelineID, in, opts, nil)
}

func (e *Engine) start(ctx context.Context, pipelineID string, in runner.Inputs, opts runner.StartOptions, chunk func(runner.Chunk)) (runner.Handle, error) {
	program, err := e.program(pipelineID, opts.NodeInputOverrides)
	if err != nil {
		return runner.Handle{}, err
	}
	if in, err = program.withFiles(ctx, in, e.disk); err != nil {
		return runner.Handle{}, &runner.InputError{Err: err}
	}
	r, err := newRun(program, in)
	if err != nil {
		return runner.Handle{}, &runner.InputError{Err: err}
	}
	r.answersSince, r.log = opts.AnswersSince, e.log
	e.mu.Lock()
	defer e.mu.Unlock()
	e.started++
	taskID := fmt.Sprintf("%s%016x", e.nonce, e.started)
	if chunk != nil {
		r.watcher = &watcher{runID: taskID, chunk: chunk, pieces: map[string]bool{}}
	}
	e.runs[taskID] = r
	e.goOn(taskID, r)
	return runner.Handle{PipelineID: pipelineID, TaskID: taskID, TraceID: opts.TraceID}, nil
}

// goOn works on a run until it ends or is suspended. The engine is locked.
func (e *Engine) goOn(taskID string, r *run) {
	p := &phase{done: make(chan struct{})}
	r.phase = p
	go func() {
		p.status = r.execute()
		if p.status.Suspended == nil {
			e.mu.Lock()
			e.remember(taskID)
			e.mu.Unlock()
		}
		close(p.done)
	}()
}

// remember keeps an ended run for Status until many others have ended. The
// engine is locked.
func (e *Engine) remember(taskID string) {
	r := e.runs[taskID]
	if r == nil {
		return
	}
	r.place = e.ended.PushBack(taskID)
	if e.ended.Len() > keptRuns {
		e.forget(e.ended.Front().Value.(string))
	}
}

// forget lets go of a run. The engine is locked.
func (e *Engine) forget(taskID string) {
	if r := e.runs[taskID]; r != nil && r.place != nil {
		e.ended.Remove(r.place)
	}
	delete(e.runs, taskID)
}

// phase gives what a run is at.
func (e *Engine) phase(h runner.Handle) (*run, *phase, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.runs[h.TaskID]
	if r == nil {
		return nil, nil, fmt.Errorf("there is no run %q in this engine", h.TaskID)
	}
	return r, r.phase, nil
}

// Status looks at a run.
func (e *Engine) Status(_ context.Context, h runner.Handle) (runner.Status, error) {
	_, p, err := e.phase(h)
	if err != nil {
		return runner.Status{}, err
	}
	select {
	case <-p.done:
		return p.status, nil
	default:
		return runner.Status{State: runner.Running}, nil
	}
}

// Wait waits until a run ends or is suspended. A run whose end it has told is
// forgotten.
func (e *Engine) Wait(ctx context.Context, h runner.Handle) (runner.Status, error) {
	_, p, err := e.phase(h)
	if err != nil {
		return runner.Status{}, err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		select {
		case <-p.done: // what has ended is told, however late it is asked for
		default:
			return runner.Status{State: runner.Running}, ctx.Err()
		}
	}
	if p.status.State.Ended() {
		e.mu.Lock()
		e.forget(h.TaskID)
		e.mu.Unlock()
	}
	return p.status, nil
}

// Resume goes on with a suspended run at the nodes whose calls were refused.
func (e *Engine) Resume(_ context.Context, h runner.Handle) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.runs[h.TaskID]
	if r == nil {
		return fmt.Errorf("there is no run %q in this engine", h.TaskID)
	}
	if !r.phase.suspended() {
		return fmt.Errorf("run %q is not suspended", h.TaskID)
	}
	e.goOn(h.TaskID, r)
	return nil
}

// Stream starts a run, and returns when it has ended or was suspended.
func (e *Engine) Stream(ctx context.Context, pipelineID string, in runner.Inputs, opts runner.StartOptions, chunk func(runner.Chunk)) (runner.Handle, runner.Status, error) {
	h, err := e.start(ctx, pipelineID, in, opts, chunk)
	if err != nil {
		return h, runner.Status{}, err
	}
	status, err := e.Wait(ctx, h)
	return h, status, err
}

// Terminate ends a run, and returns when it has ended.
func (e *Engine) Terminate(ctx context.Context, h runner.Handle) error {
	r, p, err := e.phase(h)
	if err != nil {
		return err
	}
	r.cancel()
	for {
		select {
		case <-p.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		e.mu.Lock()
		if r.phase == p {
			break
		}
		p = r.phase // it was resumed in between, to hear of its end then
		e.mu.Unlock()
	}
	defer e.mu.Unlock()
	if p.suspended() { // nothing works on it that could hear of the end
		status := runner.Status{State: runner.Cancelled, Usage: p.status.Usage}
		r.phase = &phase{done: p.done, status: status}
		r.forget()
		e.remember(h.TaskID)
	}
	return nil
}

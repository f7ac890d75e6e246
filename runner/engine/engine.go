// Package engine is the embedded backend: it executes pipelines in this
// process, every node as soon as what it refers to is there.
package engine

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"sync"

	"nightshift/runner"
	"nightshift/spec"
)

// keptRuns is how many ended runs are remembered for Status. A run whose end
// Wait has told is forgotten at once.
const keptRuns = 4096

// keptVariants is how many programs with overridden node inputs are kept for a
// pipeline: a server may be sent other ones with every run.
const keptVariants = 64

// Engine is a runner.Backend and a runner.Waiter. Nothing of it outlives the
// process.
type Engine struct {
	http  *http.Client
	nonce string

	mu        sync.Mutex
	pipelines map[string]*saved // by id
	runs      map[string]*run   // by task id
	started   uint64
	ended     [keptRuns]string // a ring of task ids
	endedAt   int
}

type saved struct {
	pipeline *spec.Pipeline
	program  *program
	digest   [sha256.Size]byte
	variants map[string]*program // with node inputs overridden, by the overrides
}

var (
	_ runner.Backend = (*Engine)(nil)
	_ runner.Waiter  = (*Engine)(nil)
)

// New makes an engine without pipelines.
func New() *Engine {
	var nonce [4]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return &Engine{
		http:      newHTTPClient(),
		nonce:     hex.EncodeToString(nonce[:]),
		pipelines: map[string]*saved{},
		runs:      map[string]*run{},
	}
}

// Save keeps the pipeline under its name for this process.
func (e *Engine) Save(_ context.Context, p *spec.Pipeline, _ runner.SaveOptions) (runner.Saved, error) {
	compiled, problems := e.compile(p)
	if len(problems) > 0 {
		return runner.Saved{}, problems
	}
	sum := sha256.Sum256([]byte(p.Name))
	id := hex.EncodeToString(sum[:12])
	digest := sha256.Sum256(canonical(p))

	e.mu.Lock()
	defer e.mu.Unlock()
	action := runner.Created
	if old := e.pipelines[id]; old != nil {
		if old.digest == digest {
			return runner.Saved{PipelineID: id, Action: runner.Unchanged}, nil
		}
		action = runner.Updated
	}
	e.pipelines[id] = &saved{pipeline: p, program: compiled, digest: digest, variants: map[string]*program{}}
	return runner.Saved{PipelineID: id, Action: action}, nil
}

// canonical is the graph as text: equal graphs give equal bytes.
func canonical(p *spec.Pipeline) []byte {
	var nodes []any
	for _, n := range p.Nodes {
		nodes = append(nodes, n.Name, n.Type, n.ExecutionMode, n.Inputs, n.CyclicInputs)
	}
	return spec.AppendJSON(nil, nodes)
}

// Start begins a run and returns at once.
func (e *Engine) Start(_ context.Context, pipelineID string, in runner.Inputs, opts runner.StartOptions) (runner.Handle, error) {
	program, err := e.program(pipelineID, opts.NodeInputOverrides)
	if err != nil {
		return runner.Handle{}, err
	}
	r, err := newRun(program, in)
	if err != nil {
		return runner.Handle{}, &runner.InputError{Err: err}
	}
	e.mu.Lock()
	e.started++
	taskID := fmt.Sprintf("%s%016x", e.nonce, e.started)
	e.runs[taskID] = r
	e.mu.Unlock()
	go func() {
		r.execute()
		e.remember(taskID)
	}()
	return runner.Handle{PipelineID: pipelineID, TaskID: taskID, TraceID: opts.TraceID}, nil
}

// program gives the compiled pipeline, with node inputs overridden where asked for.
func (e *Engine) program(id string, overrides map[string]any) (*program, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.pipelines[id]
	if s == nil {
		return nil, fmt.Errorf("there is no pipeline %q in this engine", id)
	}
	if len(overrides) == 0 {
		return s.program, nil
	}
	key := string(spec.AppendJSON(nil, overrides))
	if variant := s.variants[key]; variant != nil {
		return variant, nil
	}
	variant, err := e.override(s.pipeline, overrides)
	if err != nil {
		return nil, &runner.InputError{Err: err}
	}
	if len(s.variants) >= keptVariants {
		clear(s.variants)
	}
	s.variants[key] = variant
	return variant, nil
}

// remember keeps an ended run for Status until many others have ended.
func (e *Engine) remember(taskID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.runs, e.ended[e.endedAt])
	e.ended[e.endedAt] = taskID
	e.endedAt = (e.endedAt + 1) % keptRuns
}

func (e *Engine) run(h runner.Handle) (*run, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.runs[h.TaskID]
	if r == nil {
		return nil, fmt.Errorf("there is no run %q in this engine", h.TaskID)
	}
	return r, nil
}

// Status looks at a run.
func (e *Engine) Status(_ context.Context, h runner.Handle) (runner.Status, error) {
	r, err := e.run(h)
	if err != nil {
		return runner.Status{}, err
	}
	select {
	case <-r.done:
		return r.status, nil
	default:
		return runner.Status{State: runner.Running}, nil
	}
}

// Wait waits for the end of a run, and then forgets it.
func (e *Engine) Wait(ctx context.Context, h runner.Handle) (runner.Status, error) {
	r, err := e.run(h)
	if err != nil {
		return runner.Status{}, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		select {
		case <-r.done: // what has ended is told, however late it is asked for
		default:
			return runner.Status{State: runner.Running}, ctx.Err()
		}
	}
	e.mu.Lock()
	delete(e.runs, h.TaskID)
	e.mu.Unlock()
	return r.status, nil
}

// Terminate ends a run, and returns when it has ended.
func (e *Engine) Terminate(ctx context.Context, h runner.Handle) error {
	r, err := e.run(h)
	if err != nil {
		return err
	}
	r.cancel()
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

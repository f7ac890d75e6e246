package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"nightshift/runner/engine"
	"nightshift/runner/engine/llm"
	"nightshift/runner/engine/script"
	"nightshift/runner/temporal/worker"
	"nightshift/schema"
	"nightshift/spec"
)

// host makes the engines of a worker: one for each batch file that it serves at a time.
// What they need of this machine, they share.
type host struct {
	env     spec.Environment
	dir     string // working folder
	served  *served
	say     func(string)
	private bool   // nodes may call private addresses
	cache   string // path of kept answers; "": none are kept
	scripts *script.Pool
	late    atomic.Bool // runs were given enough time to end

	mu     sync.Mutex
	caches map[time.Duration]*sharedCache // by how old answers may be
}

// host makes that of the worker. The keys of models in its environment are hidden from
// here on.
func (o *workerOptions) host(env spec.Environment, served *served, std streams) (*host, error) {
	std.err.redact = std.err.redact.WithKeys(llm.New(llm.Options{Env: env}).Keys())
	dir, err := os.Getwd()
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("the working folder cannot be found: %w", err)}
	}
	h := &host{
		env: env, dir: dir, served: served, say: func(message string) { o.say(std, message) },
		private: o.privateNetwork, scripts: script.NewPool(script.Options{}), caches: map[time.Duration]*sharedCache{},
	}
	switch state, _ := env("NIGHTSHIFT_STATE"); {
	case o.noCache:
	case o.cache != "":
		h.cache = o.cache
	case state != "":
		h.cache = filepath.Join(state, "answers.db")
	default:
		h.cache = filepath.Join(dir, ".nightshift", "answers.db")
	}
	return h, nil
}

// open makes the engine for a batch file; files gives those that the client has sent
// along. An error says what this worker lacks.
func (h *host) open(ctx context.Context, file *spec.File, files func(path string) ([]byte, error)) (worker.Opened, error) {
	options := engine.Options{
		Env: h.env, Dir: h.dir, Files: h.area(),
		Prices: file.Run.Prices, RequestsPerMinute: file.Run.Rate.RequestsPerMinute,
		AllowPrivateNetwork: h.private, Scripts: h.scripts,
		Log: h.say, Warn: h.say,
		ReadFile: func(path string) ([]byte, error) {
			data, err := files(path)
			if errors.Is(err, fs.ErrNotExist) {
				return h.ownFile(path)
			}
			return data, err
		},
		PrivateLeave: "--allow-private-network of nightshift worker",
	}
	needs, err := h.needs(engine.New(options), file)
	if err != nil {
		return worker.Opened{}, err
	}
	file.Redactor = file.Redactor.WithKeys(needs.Keys)
	options.Redactor = file.Redactor
	if needs.Stores {
		if err := engine.TryFiles(ctx, options.Files); err != nil {
			return worker.Opened{}, err
		}
	}
	closeCache := func() {}
	if cached := file.Run.Cache; needs.Models && cached.Enabled && h.cache != "" {
		if options.Cache, closeCache, err = h.answers(cached.TTL); err != nil {
			return worker.Opened{}, fmt.Errorf("%w; or give the worker --cache or --no-cache", err)
		}
	}
	backend := engine.New(options)
	shown := h.served.add(file.Redactor)
	opened := worker.Opened{Backend: backend, Release: func() {
		shown()
		closeCache()
	}}
	if perMinute := float64(options.RequestsPerMinute); perMinute > 0 {
		opened.SetShare = func(num, den int) { backend.SetRequestsPerMinute(perMinute * float64(num) / float64(den)) }
	}
	return opened, nil
}

// needs adds up what the batches of a file need. It is an error if this machine lacks
// something for each of them.
func (h *host) needs(backend *engine.Engine, file *spec.File) (all engine.Needs, err error) {
	if problems := backend.Check(file.Pipeline); len(problems) > 0 {
		return all, inShort(problems)
	}
	var missing schema.Problems
	able := false
	for _, v := range variants(file, file.Batches) {
		needs := backend.Needs(v.pipeline)
		if able = able || len(needs.Missing) == 0; !able {
			missing = append(missing, v.where(needs.Missing)...)
		}
		all.Keys = append(all.Keys, needs.Keys...)
		all.Models, all.Stores = all.Models || needs.Models, all.Stores || needs.Stores
	}
	if !able {
		return all, fmt.Errorf("%w; it is this worker that needs it, in its environment or as its flag", inShort(missing))
	}
	return all, nil
}

// inShort is what problems say, without the lines of a file that others have.
func inShort(problems schema.Problems) error {
	var said []string
	for _, p := range problems {
		said = append(said, p.Message)
	}
	return errors.New(strings.Join(said, "; "))
}

// area is the folder of stored files.
func (h *host) area() string {
	if dir, _ := h.env("NIGHTSHIFT_FILES"); dir != "" {
		return dir
	}
	return filepath.Join(h.dir, "files")
}

// close closes what was opened. Nothing runs any more.
func (h *host) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, cache := range h.caches {
		h.closed(cache.Close())
	}
	clear(h.caches)
}

// endDrain terminates runs that take too long to end once nothing more is taken.
func (h *host) endDrain(signals *signals, within time.Duration) {
	select {
	case <-signals.drain:
	case <-signals.ctx.Done():
		return
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-timer.C:
		h.late.Store(true)
		h.say(fmt.Sprintf("nightshift: runs have not ended within %v: terminating them; other workers begin them again", within))
		signals.cancel(nil)
	case <-signals.ctx.Done():
	}
}

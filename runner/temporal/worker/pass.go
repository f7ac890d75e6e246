package worker

import (
	"context"
	"fmt"
	"time"

	"nightshift/runner"
	"nightshift/runner/temporal/flow"
	"nightshift/runner/temporal/store"
	"nightshift/spec"
)

// openWithin bounds the reading of a batch file and of what belongs to it, and the
// opening of its backend.
const openWithin = time.Minute

// openFile is a batch file with its backend, which the shards of a pass share that this
// worker has, or single runs.
type openFile struct {
	Opened
	file       *spec.File
	pipelineID string
	leave      func() // its store, from which it reads what items name

	// Of a pass.
	pass   *store.Pass
	batch  *spec.Batch
	window int // shards under way on all workers
}

// share gives the shards that are here their part of the rate, each as much as any
// other shard that is under way.
func (f *openFile) share(shards int) {
	if f.pass != nil && f.SetShare != nil {
		f.SetShare(shards, max(f.window, shards))
	}
}

func (w *work) closeFile(f *openFile) {
	if f.Release != nil {
		f.Release()
	}
	f.leave()
}

// store gives the store that an activity is to work with.
func (w *work) store(ctx context.Context, url string) (s *store.Store, release func(), err error) {
	if w.Store != "" {
		url = w.Store
	}
	return w.stores.use(ctx, url, func() (*store.Store, error) { return store.Open(w.ctx, url) })
}

// passFile gives the batch file of a pass. Its shards share it, and so one limit of what
// is asked of models.
func (w *work) passFile(ctx context.Context, s *store.Store, in flow.Shard) (f *openFile, release func(), err error) {
	return w.openFile(ctx, s.String()+" "+in.Pass, in.Store, func(ctx context.Context, s *store.Store) (*openFile, error) {
		pass, err := s.Pass(ctx, in.Pass)
		if err != nil {
			return nil, err
		}
		f, err := w.open(ctx, s, pass.Bundle, func(path string) ([]byte, error) { return w.fileOf(s, in.Pass, path) })
		if err != nil {
			return f, err
		}
		f.pass = pass
		f.window = max(in.Window, pass.Window)
		if f.batch = f.file.Batch(pass.Batch); f.batch == nil {
			return f, w.refuse(f.file, fmt.Errorf("batch file %s has no batch %s any more", f.file.Path, pass.Batch))
		}
		return f, w.check(f, f.batch, pass.Pipeline)
	})
}

// openFile gives the batch file of that key, which open opens if it is not there. It
// keeps its store open. What open gives together with an error is closed.
func (w *work) openFile(ctx context.Context, key, url string, open func(context.Context, *store.Store) (*openFile, error)) (*openFile, func(), error) {
	return w.files.use(ctx, key, func() (*openFile, error) {
		ctx, cancel := context.WithTimeout(w.ctx, openWithin)
		defer cancel()
		s, leave, err := w.store(ctx, url)
		if err != nil {
			return nil, err
		}
		f, err := open(ctx, s)
		if f == nil {
			leave()
			return nil, err
		}
		if f.leave = leave; err != nil {
			w.closeFile(f)
		}
		return f, err
	})
}

// open makes a backend for the batch file that a bundle is of.
func (w *work) open(ctx context.Context, s *store.Store, bundle string, files func(string) ([]byte, error)) (f *openFile, err error) {
	b, err := s.Bundle(ctx, bundle)
	if err != nil {
		return nil, err
	}
	var file *spec.File
	defer func() {
		if p := recover(); p != nil {
			f, err = nil, w.panicked(file, p)
		}
	}()
	file, problems := b.Load(w.Env)
	if wrong, _ := problems.Split(); len(wrong) > 0 {
		return nil, w.refuse(file, fmt.Errorf("cannot use batch file %s: %w", b.Path, wrong))
	}
	opened, err := w.Open(ctx, file, files)
	if err != nil {
		return nil, w.refuse(file, fmt.Errorf("cannot run what is in %s: %w", b.Path, err))
	}
	f = &openFile{Opened: opened, file: file}
	saved, err := f.Backend.Save(ctx, file.Pipeline, runner.SaveOptions{})
	if err != nil {
		return f, w.refuse(file, fmt.Errorf("cannot run pipeline %s of %s: %w", file.Pipeline.Name, b.Path, err))
	}
	f.pipelineID = saved.PipelineID
	return f, nil
}

// check refuses a pipeline that this worker reads otherwise than the client.
func (w *work) check(f *openFile, batch *spec.Batch, digest string) error {
	if own := f.file.Digest(batch, f.file.Redactor); own != digest {
		return w.refuse(f.file, fmt.Errorf("reads the pipeline of %s otherwise than the client (%s, not %s); run the same version of nightshift, with the same variables, on both", f.file.Path, own, digest))
	}
	return nil
}

// fileOf reads a file that items name.
func (w *work) fileOf(s *store.Store, key, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(w.ctx, openWithin)
	defer cancel()
	return s.File(ctx, key, path)
}

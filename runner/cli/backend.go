package cli

import (
	"fmt"

	"nightshift/runner/engine"
	"nightshift/runner/engine/llm"
	"nightshift/spec"
)

// ready tells whether the pipeline can be run here and now: on its backend, and
// with the keys that are there. From here on the keys are hidden.
func (o *fileOptions) ready(file *spec.File, std streams) error {
	if file.Run.Backend != "local" {
		return &exitError{exitUsage, fmt.Errorf("backend %s is not in this version of nightshift; backend local is", file.Run.Backend)}
	}
	backend := engine.New(o.engine(file))
	if lacks := backend.Lacks(file.Pipeline); len(lacks) > 0 {
		return &exitError{exitUsage, lacks}
	}
	keys, _ := backend.Keys(file.Pipeline)
	file.Redactor = file.Redactor.WithKeys(keys)
	std.err.redact = file.Redactor
	return nil
}

// backend makes the engine, with the kept answers of models where the pipeline
// asks any; release closes them.
func (o *fileOptions) backend(file *spec.File, say func(string)) (backend *engine.Engine, release func(), err error) {
	options := o.engine(file)
	options.Log = say
	release = func() {}
	if _, asks := engine.New(options).Keys(file.Pipeline); asks && file.Run.Cache.Enabled {
		cache, err := llm.OpenCache(file.CachePath(o.env), file.Run.Cache.TTL)
		if err != nil {
			return nil, nil, &exitError{exitUsage, err}
		}
		options.Cache = cache
		release = func() {
			if err := cache.Close(); err != nil {
				say(err.Error())
			}
		}
	}
	return engine.New(options), release, nil
}

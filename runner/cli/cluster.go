package cli

import (
	"context"

	"nightshift/runner/temporal"
)

// openCluster connects to the Temporal cluster that the file is run on. release ends
// that.
func (t *target) openCluster(ctx context.Context, say func(string)) (backend *temporal.Backend, release func(), err error) {
	client, err := t.connection.dial(ctx, t.env, t.log, say, t.std)
	if err != nil {
		return nil, nil, err
	}
	backend = client.Backend(temporal.BackendOptions{
		File:      t.file,
		Store:     t.file.StorePath(t.env),
		TaskQueue: t.file.Run.Temporal.TaskQueue,
		Say:       say,
	})
	return backend, func() {
		_ = backend.Close() // what was to be written is written: each call waits for that
		client.Close()
	}, nil
}

package store

import (
	"context"
	"crypto/rand"

	"nightshift/runner"
)

// probeSize is what results may take at least, so that a full disk is found out.
const probeSize = 4 << 10

// Probe tells whether results of a shard can be written: it is for before anything is
// paid for. It writes a small object where they go, and removes it. An error is a
// *runner.ResultsError, as that of a result that cannot be written.
func (s *Store) Probe(ctx context.Context, pass string, shard int) error {
	folder := resultsFolder(pass, shard)
	key := folder + "probe-" + rand.Text() // it ends like no results
	if err := s.put(ctx, key, make([]byte, probeSize)); err != nil {
		return &runner.ResultsError{Path: folder, Err: err}
	}
	_ = s.objects.remove(ctx, key) // where that is not allowed it stays, and does no harm
	return nil
}

package temporal

import (
	"context"
	"time"

	"nightshift/runner"
	"nightshift/runner/temporal/store"
)

// clearWithin bounds what is done about uploads that were cut off.
const clearWithin = 30 * time.Second

// forgetUploads removes passes over a batch that were not begun, and never will be: who
// hands over holds the lock of the results, and has followed what the journal knows of.
// So they are uploads that were cut off. One that the cluster knows stays, whatever has
// become of it. What cannot be removed costs a little room.
func (b *Backend) forgetUploads(ctx context.Context, s *store.Store, plan *runner.Plan) {
	ctx, cancel := context.WithTimeout(ctx, clearWithin)
	defer cancel()
	keys, err := s.Passes(ctx, plan.Generation, plan.Batch.Name)
	if err != nil {
		return
	}
	for _, key := range keys {
		if _, err := b.describe(ctx, "look", passID(key)); isMissing(err) {
			_ = s.Forget(ctx, key)
		} else if isAway(err) {
			return
		}
	}
}

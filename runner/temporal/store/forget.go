package store

import (
	"context"
	"fmt"
	"strings"
)

// Forget removes all that is below the key of a pass or a run, what killed processes
// left of it included. What others use too, such as batch files, stays.
func (s *Store) Forget(ctx context.Context, prefix string) error {
	depth := strings.Count(prefix, "/")
	if s.check(prefix) != nil || (!strings.HasPrefix(prefix, PassesFolder) || depth != 3) && (!strings.HasPrefix(prefix, runsFolder) || depth != 1) {
		return fmt.Errorf("store %s: %q is not the key of a pass or a run", s.name, prefix)
	}
	return s.fail("remove", prefix, s.objects.removeAll(ctx, prefix+"/"))
}

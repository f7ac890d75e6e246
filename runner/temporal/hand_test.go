package temporal

import (
	"net/http"
	"testing"

	"nightshift/runner"
	"nightshift/runner/temporal/store"
	"nightshift/spec"
)

// TestElsewhere: that a cluster does not know a pass is no reason to forget it, or to
// begin it again, where it was handed over to another one.
func TestElsewhere(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir)
	fine(t, err)
	defer s.Close()
	there := &Client{address: "a:7233", namespace: "night"}
	id, key := newPass("g", "b")
	w := s.PassWriter(t.Context(), key, 10)
	fine(t, w.Add(t.Context(), store.ItemOf(spec.Item{ID: "x"}, runner.Standing{})))
	fine(t, w.Close(t.Context(), store.Pass{Cluster: there.where()}))
	unknown := error(&runner.APIError{StatusCode: http.StatusNotFound})
	for where, c := range map[string]struct {
		client *Client
		id     string
		other  bool
	}{
		"another address":   {&Client{address: "b:7233", namespace: "night"}, id, true},
		"another namespace": {&Client{address: "a:7233", namespace: "day"}, id, true},
		"the same":          {there, id, false},
		"another pass":      {&Client{address: "b:7233"}, id + "x", false},
		"a single run":      {&Client{address: "b:7233"}, "run-1", false},
	} {
		b := c.client.Backend(BackendOptions{Store: dir})
		err := b.elsewhere(t.Context(), c.id, unknown)
		want(t, where+": it may be elsewhere", !isMissing(err), c.other)
		if c.other {
			says(t, where, err, "was handed over to namespace night at a:7233")
		}
		b.Close()
	}
}

package cli

import (
	"strings"
	"testing"

	"nightshift/runner"
	"nightshift/spec"
)

// TestUnkeptResultsAreWarnedOf: only where nobody would have them.
func TestUnkeptResultsAreWarnedOf(t *testing.T) {
	batch := &spec.Batch{Name: "facts"}
	for name, test := range map[string]struct {
		job  *job
		want string
	}{
		"kept":      {&job{batch: batch, generation: &runner.Generation{}}, ""},
		"rehearsal": {&job{batch: batch, rehearsal: &runner.RehearsalFile{}}, ""},
		"streamed":  {&job{batch: batch, path: "-"}, "facts: results go to - and are not kept: if this command is killed, what was handed over goes on"},
	} {
		said := ""
		new(runOptions).warnUnkept([]*job{test.job}, func(m string) { said += m })
		if test.want == "" && said != "" || !strings.HasPrefix(said, test.want) {
			t.Errorf("%s: it said %q", name, said)
		}
	}
}

package cli

import (
	"fmt"
	"io"
	"strings"

	"nightshift/runner"
)

// failures keeps the first items that did not succeed, for the end of the run.
type failures struct {
	first []*runner.Result
	count int
}

const shownFailures = 5

// maxSaid is the most that is said of one error, in characters: the platform, a model
// or a file may have given the words of it.
const maxSaid = 1000

// oneLine makes of an error what a terminal may be shown.
func oneLine(message string) string { return runner.OneLine(message, maxSaid) }

func (f *failures) Handle(e runner.Event) {
	if e.Kind != runner.Finished || e.Result.Error == nil {
		return
	}
	if f.count++; f.count <= shownFailures {
		f.first = append(f.first, e.Result)
	}
}

func (f *failures) print(w io.Writer, j *job) {
	for _, r := range f.first {
		fmt.Fprintf(w, "%s: item %s %s: %s\n", r.Batch, oneLine(r.ID), strings.ReplaceAll(string(r.Status), "_", " "), oneLine(r.Error.Message))
	}
	if more := f.count - len(f.first); more > 0 {
		where := "; see " + j.path
		if j.path == "-" {
			where = ""
		}
		fmt.Fprintf(w, "%s: %d more did not succeed%s\n", j.plan.Batch.Name, more, where)
	}
}

package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nightshift/runner"
)

// What others have written is said on one line of a terminal, and does nothing to it.
func TestFailuresAreOneLine(t *testing.T) {
	const nasty = "\x1b[2Jrun t failed:\n\tnightshift: all is well\r\u202e" // and then much
	var f failures
	for _, message := range []string{nasty, strings.Repeat("long ", 10_000)} {
		f.Handle(runner.Event{Kind: runner.Finished, Result: &runner.Result{
			Batch: "b", ID: "one\x1b]0;x\a", Status: runner.TimedOut, Error: &runner.ErrorInfo{Message: message},
		}})
	}
	var said bytes.Buffer
	f.print(&said, nil)
	long := strings.TrimSpace(strings.Repeat("long ", 200)) + " …"
	wanted := "b: item one ]0;x timed out: [2Jrun t failed: nightshift: all is well\nb: item one ]0;x timed out: " + long + "\n"
	if diff := cmp.Diff(wanted, said.String()); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	var said bytes.Buffer
	code := execute(t.Context(), []string{"validate", "--\x1b[31mno such\n\tnightshift: flag"}, streams{strings.NewReader(""), &said, &console{w: &said}})
	if code != exitUsage || strings.ContainsAny(said.String(), "\x1b\t") || strings.Count(said.String(), "\n") != 1 {
		t.Errorf("exit code %d: %q", code, said.String())
	}
}

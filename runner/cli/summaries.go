package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"nightshift/runner"
	"nightshift/spec"
)

// summaries writes summary.json: what the results of each batch hold, and how this
// invocation ended.
type summaries struct {
	path    string                  // --summary; "": beside the results
	written map[string]*summaryFile // by path
}

// summaryFile is one summary.json.
type summaryFile struct {
	ExitCode  int            `json:"exit_code"`
	Reason    string         `json:"exit_reason"`
	Rehearsal bool           `json:"rehearsal,omitzero"` // nothing was asked of anybody
	Batches   []batchSummary `json:"batches"`
}

// batchSummary is about one batch. The figures are those of all of its results,
// also of earlier invocations.
type batchSummary struct {
	Batch      string `json:"batch"`
	Results    string `json:"results"` // relative to the summary
	Generation string `json:"generation"`
	Complete   bool   `json:"complete"` // every item has ended
	ExitCode   int    `json:"exit_code"`
	Reason     string `json:"exit_reason"`
	runner.Figures
}

// summaryPath is where the summary of a batch goes: given is that of --summary,
// in which the date is that of the batch. "": nowhere.
func (j *job) summaryPath(given string) string {
	switch {
	case given != "":
		return spec.FillResultsPath(given, j.date, j.batch.Name)
	case j.path == "-" || isDevice(j.path):
		return ""
	}
	name := "summary.json"
	if j.rehearsed {
		name = rehearsalPath(name)
	}
	return filepath.Join(filepath.Dir(j.path), name)
}

// add writes a batch into the summary that it belongs to.
func (r *summaries) add(j *job, figures runner.Figures, complete bool, code int, reason string) error {
	path := j.summaryPath(r.path)
	if path == "" {
		return nil
	}
	if r.written == nil {
		r.written = map[string]*summaryFile{}
	}
	s := r.written[path]
	if s == nil {
		s = &summaryFile{Rehearsal: j.rehearsed}
		r.written[path] = s
	}
	hide := j.plan.Redactor
	results := j.path
	if relative, err := filepath.Rel(filepath.Dir(path), results); err == nil && results != "-" {
		results = filepath.ToSlash(relative)
	}
	entry := batchSummary{
		Batch: j.plan.Batch.Name, Results: hide.Text(results), Generation: j.plan.Generation, Complete: complete,
		ExitCode: code, Reason: hide.Message(reason), Figures: figures,
	}
	s.Batches = append(s.Batches, entry)
	if s.ExitCode = gravest(s.ExitCode, code); s.ExitCode == code {
		s.Reason = entry.Reason
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("the summary of batch %s: %w", j.plan.Batch.Name, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return &runner.ResultsError{Path: path, Err: err}
	}
	return replaceShared(path, append(text, '\n'))
}

// replaceShared writes a file that others may be writing too, under no lock, and removes
// what they may have left of it as they were killed. One of them may do so meanwhile.
func replaceShared(path string, text []byte) (err error) {
	for range 20 {
		err = runner.ReplaceFile(path, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err == nil {
		runner.RemoveLeftovers(path)
	}
	return err
}

// reasonOf says why a batch ended with its exit code.
func reasonOf(outcome runner.Outcome, goneFailed, code int, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case outcome.Cause != nil:
		return "all runs failed alike: " + outcome.Cause.Error()
	case outcome.Reason != "":
		return outcome.Reason
	case outcome.Stopped != runner.NotStopped:
		return "stopped: " + string(outcome.Stopped)
	case code == exitItems:
		return "some items did not succeed"
	case goneFailed > 0:
		return fmt.Sprintf("all items succeeded; %d %s that did not %s of rows that are gone", goneFailed, plural(goneFailed, "result", "results"), plural(goneFailed, "is", "are"))
	}
	return "all items succeeded"
}

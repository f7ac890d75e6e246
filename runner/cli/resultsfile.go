package cli

import (
	"errors"
	"fmt"
	"os"
	"time"

	"nightshift/runner"
	"nightshift/spec"
)

func (o *runOptions) resultsPath(file *spec.File, b *spec.Batch, now time.Time) string {
	date := now.Format("2006-01-02")
	if o.output != "" {
		return spec.FillResultsPath(o.output, date, b.Name)
	}
	return file.ResultsPath(date, b.Name)
}

// isDevice tells whether a path is there and is no file, such as /dev/null.
func isDevice(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular()
}

// checkResults refuses a results path before anything is run: one that is a
// file which the batch reads, and one with results from before.
func (o *runOptions) checkResults(file *spec.File, path string) error {
	info, err := os.Stat(path)
	if there := err == nil; path == "-" || !there {
		return nil
	}
	for _, read := range append(file.Reads(), o.envFiles...) {
		if other, err := os.Stat(read); err == nil && os.SameFile(info, other) {
			return fmt.Errorf("results would be written over %s, which the batch reads; choose another results path", read)
		}
	}
	if !o.fresh && !o.planning && runner.ResultsExist(path) {
		return fmt.Errorf("%s: %w; %s", path, runner.ErrResultsExist, whatWithResults)
	}
	return nil
}

const whatWithResults = "give --fresh to move them aside and run everything again, models being asked and paid anew, or --output for another file, where kept answers serve"

func (o *runOptions) openResults(j job, std streams) (*runner.ResultsFile, error) {
	if j.path == "-" {
		return runner.StreamResults("standard output", std.out), nil
	}
	results, moved, err := runner.CreateResults(j.path, o.fresh)
	if errors.Is(err, runner.ErrResultsExist) {
		return nil, fmt.Errorf("%w; %s", err, whatWithResults)
	}
	if moved != "" {
		o.notice(std, fmt.Sprintf("%s: earlier results are now in %s", j.plan.Batch.Name, moved))
	}
	return results, err
}

package cli

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/spec"
)

// passFlags are those of commands about what was handed over.
func (o *runOptions) passFlags(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&o.batches, "batch", nil, "only the batch of this `name` (may be repeated)")
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "the results, and so the journal, are at this `path`")
	o.connection.connectionFlags(cmd)
	o.connection.queueFlag(cmd)
	o.connection.storeFlag(cmd)
	o.logFlags(cmd)
}

// underWay finds what of a batch was handed over and has no known end. Whoever follows it
// at the moment is not disturbed.
func (o *runOptions) underWay(file *spec.File, batch *spec.Batch, began time.Time) (j *job, passes []runner.Begun, err error) {
	if j, err = o.placeCurrent(file, batch, began); err != nil {
		return nil, nil, err
	}
	if j.path == "-" || isDevice(j.path) {
		return j, nil, nil
	}
	begun, err := unended(file, j)
	if err != nil {
		return nil, nil, exitFor(err)
	}
	for _, b := range begun {
		if b.Pass {
			passes = append(passes, b)
		}
	}
	return j, passes, nil
}

// lookAt opens the generation at the place of a batch to look at it.
func lookAt(file *spec.File, j *job) (*runner.Generation, error) {
	return runner.OpenGeneration(runner.GenerationOptions{
		Path: j.path, Batch: j.batch.Name, Date: j.date, Pipeline: file.Digest(j.batch, file.Redactor), Source: j.batch.Fingerprint(),
		Outlive: true, LookOnly: true, Redactor: file.Redactor,
	})
}

// unended are the starts at the place of a batch whose end is not known.
func unended(file *spec.File, j *job) ([]runner.Begun, error) {
	g, err := lookAt(file, j)
	if err != nil {
		return nil, err
	}
	defer g.Close(false) // it was only looked at
	return g.Unended(), nil
}

// placeCurrent is the place of the results that a batch is at.
func (o *runOptions) placeCurrent(file *spec.File, batch *spec.Batch, began time.Time) (*job, error) {
	j := o.placeAt(file, batch, began.Format(dateForm))
	if !j.dated {
		return j, nil
	}
	current, err := runner.ReadCurrent(file.StateDir(o.env), batch.Name, j.pattern)
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	if current != nil {
		j.path, j.date = current.Results, current.Date
	}
	return j, nil
}

// nameBatches lists batches.
func nameBatches(list []*spec.Batch) string {
	var names []string
	for _, b := range list {
		names = append(names, b.Name)
	}
	return strings.Join(names, ", ")
}

package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/runner/report"
	"nightshift/schema"
)

type resultsOptions struct {
	fileOptions
	batches []string
	json    bool
	format  string
	order   string
	output  string
}

// What the results command can be asked for; the first is what it does unasked.
var resultsViews = []string{"stats", "failed", "export"}

func newResults(std streams) *cobra.Command {
	var o resultsOptions
	cmd := &cobra.Command{
		Use:   "results FILE [stats|failed|export]",
		Short: "look at results: what they add up to, what failed, or in another form",
		Long: `Results reads the results file that is given or, where FILE is a batch file
(.yaml, .yml), the one of each of its batches.

  stats   what the results add up to: how items ended, durations, tokens, cost
  failed  what went wrong, by class of error: how often, the share of all that
          did not succeed, and an example
  export  the results of one batch, as a CSV table or as the output file of
          OpenAI's Batch API

Exit codes: 0 also where items failed · 2 wrong usage, or there are no results ·
6 the output cannot be written.`,
		Example: `  nightshift results batch.yaml
  nightshift results batch.yaml failed
  nightshift results results/facts.jsonl export --format csv --order input -o facts.csv`,
		Args: o.args,
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return resultsViews, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"yaml", "yml", "jsonl"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			path, view, err := fileAndView(args)
			if err != nil {
				return err
			}
			if err := o.validate(cmd, path, view); err != nil {
				return err
			}
			return o.show(path, view, std)
		},
	}
	o.flags(cmd)
	cmd.Flags().StringArrayVar(&o.batches, "batch", nil, "only the batch of this `name` (may be repeated)")
	cmd.Flags().BoolVar(&o.json, "json", false, "stats, failed: print one JSON object a batch")
	cmd.Flags().StringVar(&o.format, "format", report.CSV, "export: the `form`, csv or openai-batch")
	cmd.Flags().StringVar(&o.order, "order", "end", "export: in which `order`: end, as the items ended, or input, as they stand in the batch")
	cmd.Flags().StringVarP(&o.output, "output", "o", "-", "export: write to this `path`, - for standard output")
	return cmd
}

func (o *resultsOptions) args(cmd *cobra.Command, args []string) error {
	if len(args) == 1 && slices.Contains(resultsViews, args[0]) {
		args = nil
	}
	if len(args) == 2 {
		return nil
	}
	return oneFile(cmd, args)
}

// fileAndView tells the arguments apart: as in "results FILE stats", or as in
// "results stats FILE".
func fileAndView(args []string) (path, view string, err error) {
	if len(args) == 1 {
		return args[0], resultsViews[0], nil
	}
	for i, arg := range slices.Backward(args) {
		if slices.Contains(resultsViews, arg) {
			return args[1-i], arg, nil
		}
	}
	word := args[1]
	if filepath.Ext(word) != "" && filepath.Ext(args[0]) == "" {
		word = args[0]
	}
	return "", "", fmt.Errorf("results can show stats or failed, or export; not %q%s", word, schema.DidYouMean(word, resultsViews))
}

// validate holds the rules between flags.
func (o *resultsOptions) validate(cmd *cobra.Command, path, view string) error {
	for _, flag := range []string{"format", "order", "output"} {
		if cmd.Flags().Changed(flag) && view != "export" {
			return fmt.Errorf("--%s is for export, not for %s", flag, view)
		}
	}
	for _, flag := range []string{"set", "env-file"} {
		if cmd.Flags().Changed(flag) && !isBatchFile(path) {
			return fmt.Errorf("--%s is for batch files, and %s is a file of results", flag, path)
		}
	}
	orders := []string{"end", "input"}
	switch {
	case o.json && view == "export":
		return errors.New("--json is for stats and failed; export has --format")
	case !slices.Contains(report.Formats(), o.format):
		return fmt.Errorf("--format is csv or openai-batch, not %q%s", o.format, schema.DidYouMean(o.format, report.Formats()))
	case !slices.Contains(orders, o.order):
		return fmt.Errorf("--order is end or input, not %q%s", o.order, schema.DidYouMean(o.order, orders))
	case o.output == "":
		return errors.New("--output must name a file, or be - for standard output")
	}
	return nil
}

func isBatchFile(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".yaml" || ext == ".yml"
}

func (o *resultsOptions) show(path, view string, std streams) error {
	sources, err := o.sources(path, view, std)
	if err != nil {
		return err
	}
	s := resultsShower{resultsOptions: o, view: view, std: std}
	var missing []error
	for _, source := range sources {
		there, err := s.show(source)
		if _, unwritten := errors.AsType[*runner.ResultsError](err); unwritten {
			return &exitError{exitResults, err}
		}
		if err != nil {
			return err
		}
		if !there {
			missing = append(missing, source.missing(path))
		}
	}
	if len(missing) > 0 && len(missing) == len(sources) {
		return missing[0]
	}
	for _, err := range missing {
		fmt.Fprintln(std.err, err)
	}
	if len(s.classes) > 0 {
		fmt.Fprintln(std.err, "to run them again: "+o.again(path, s.classes))
	}
	return nil
}

// again is the command that runs items again which failed.
func (o *resultsOptions) again(file string, classes []string) string {
	if !isBatchFile(file) {
		file = "FILE" // that of the batch, which a results file does not name
	}
	words := []string{"nightshift run", file}
	for _, name := range o.batches {
		words = append(words, "--batch", name)
	}
	words = append(words, "--retry-failed="+strings.Join(classes, ","))
	return strings.Join(words, " ")
}

// resultsSource is a results file that is asked for.
type resultsSource struct {
	path  string
	batch string   // of the batch file; "" where the results file itself was named
	only  []string // batches; none: all
}

// sources are the results that FILE means: one file, or one of each batch.
func (o *resultsOptions) sources(path, view string, std streams) ([]resultsSource, error) {
	if !isBatchFile(path) {
		if view == "export" && len(o.batches) > 1 {
			return nil, errOneBatch
		}
		return []resultsSource{{path: path, only: o.batches}}, nil
	}
	file, problems, err := o.read(path, std)
	if err != nil {
		return nil, err
	}
	if errs, _ := problems.Split(); len(errs) > 0 {
		return nil, errs
	}
	picked, err := batches(file, o.batches)
	if err != nil {
		return nil, err
	}
	if view == "export" && len(picked) > 1 {
		return nil, errOneBatch
	}
	var sources []resultsSource
	for _, b := range picked {
		results, err := currentResults(&o.fileOptions, file, b)
		if err != nil {
			return nil, err
		}
		sources = append(sources, resultsSource{path: results, batch: b.Name})
	}
	return sources, nil
}

var errOneBatch = errors.New("the results of one batch are exported at a time; choose it with --batch")

func (s resultsSource) missing(file string) error {
	switch {
	case s.path == "-":
		return fmt.Errorf("batch %s has its results on standard output; name the file that they went to", s.batch)
	case s.batch == "":
		return fmt.Errorf("there are no results at %s; nightshift run makes them", s.path)
	}
	return fmt.Errorf("there are no results at %s yet; nightshift run %s makes them", s.path, file)
}

package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"nightshift/schema"
)

func newValidate(std streams) *cobra.Command {
	var o fileOptions
	var quiet bool
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "find everything that is wrong with batch files, and run nothing",
		Long: `Validate checks batch files as run does, and reads all of their rows as well:
bad rows, keys that occur twice, and empty sources are errors here. It says all
that it finds, as file:line:col: message. With --backend local it says what of a
file that was written for elsewhere this machine cannot run.`,
		Args:              atLeastOne("FILE"),
		ValidArgsFunction: batchFileArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			failed := false
			for _, path := range args {
				err := o.validate(path, std, quiet)
				if problems, ok := errors.AsType[schema.Problems](err); ok {
					fmt.Fprintln(std.err, problems.Error())
					failed = true
				} else if err != nil {
					return err
				}
			}
			if failed {
				return &exitError{code: exitUsage}
			}
			return nil
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "say nothing but errors")
	return cmd
}

func (o *fileOptions) validate(path string, std streams, quiet bool) error {
	warn := std.err.warn
	if quiet {
		warn = func(schema.Problems) {}
	}
	file, err := o.load(path, std, warn)
	if err != nil {
		return err
	}
	var problems schema.Problems
	items, more := 0, ""
	for _, b := range file.Batches {
		if !b.Source.Rereadable() {
			more = ", and those that can be read once only"
			continue
		}
		s := b.Scan(nil)
		problems = append(problems, s.Problems...)
		items += s.Rows
	}
	if len(problems) > 0 {
		return problems
	}
	if !quiet {
		fmt.Fprintf(std.err, "%s: valid: %d %s, %d %s%s\n", path, len(file.Batches), plural(len(file.Batches), "batch", "batches"), items, plural(items, "item", "items"), more)
	}
	return nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// atLeastOne is cobra.MinimumNArgs(1) with such a message.
func atLeastOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return fmt.Errorf("%s is missing; usage: %s", name, cmd.UseLine())
		}
		return nil
	}
}

// oneFile is cobra.ExactArgs(1) with a message that says which argument.
func oneFile(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return fmt.Errorf("FILE is missing; usage: %s", cmd.UseLine())
	case len(args) > 1:
		return fmt.Errorf("too many arguments; usage: %s", cmd.UseLine())
	}
	return nil
}

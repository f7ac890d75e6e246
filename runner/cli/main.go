// Package cli is the nightshift command: flags, wiring, exit codes.
//
// What is said to the user: results and other data go to standard output, all
// else to standard error, in lower case and without a final stop. Errors in
// files are file:line:col: message, with the source line below.
package cli

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"nightshift/runner/cli/startup"
	"nightshift/runner/engine/script"
	"nightshift/schema"
)

// Main runs the command line of the process and gives its exit code.
func Main() int {
	script.Worker() // before anything is done that costs a process time
	std := streams{os.Stdin, os.Stdout, &console{w: os.Stderr}}
	log.SetFlags(0)
	log.SetOutput(std.err) // of libraries, which know of no secrets
	return execute(context.Background(), os.Args[1:], std)
}

func execute(ctx context.Context, args []string, std streams) int {
	root := newRoot(std)
	if !slices.Equal(args, []string{"version"}) { // which does less than making the others takes
		addCommands(root, std)
	}
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitUsage // what cobra itself finds wrong
	if exit, ok := errors.AsType[*exitError](err); ok {
		if code = exit.code; exit.err == nil {
			return code
		}
	}
	if problems, ok := errors.AsType[schema.Problems](err); ok {
		fmt.Fprintln(std.err, problems.Error())
		return code
	}
	fmt.Fprintf(std.err, "nightshift: %s\n", oneLine(err.Error()))
	return code
}

// brief are commands that are over before collecting garbage pays.
var brief = []string{"nightshift", "version", "validate", "nodes", "schema", "graph"}

func newRoot(std streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "nightshift",
		Short: "run batches of inputs through LLM pipelines, declared in one YAML file",
		Example: `  nightshift run batch.yaml             run every batch of the file, write one JSON line per input
  nightshift stream batch.yaml -i k=v   run the pipeline once, and watch what its nodes make
  nightshift validate batch.yaml        find everything that is wrong with it, run nothing
  nightshift plan batch.yaml            show what would be saved and run
  nightshift nodes text                 what a node type takes and gives`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			if !slices.Contains(brief, cmd.Name()) {
				startup.Over()
			}
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			_ = cmd.Help()
			return &exitError{code: exitUsage}
		},
	}
	root.SetIn(std.in)
	root.SetOut(std.out)
	root.SetErr(std.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(newVersion(std))
	return root
}

func addCommands(root *cobra.Command, std streams) {
	root.AddCommand(newRun(std), newStream(std), newValidate(std), newPlan(std), newSchema(std), newGraph(std), newNodes(std), newCache(std), newResults(std))
	root.AddCommand(newWorker(std), newAttach(std), newPause(std), newResume(std), newCancel(std))
	root.AddCommand(newSave(std), newPull(std), newStart(std), newStatus(std), newResult(std), newTerminate(std), newRuns(std))
}

// batchFileArgs completes names of YAML files.
func batchFileArgs(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
}

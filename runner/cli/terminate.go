package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newTerminate(std streams) *cobra.Command {
	var o platformOptions
	cmd := &cobra.Command{
		Use:   "terminate [PIPELINE/TASK]",
		Short: "end a background run early",
		Long: `Terminate ends a run on the hosted platform, and prints what status prints: how the
run stands then. One that has ended already is left alone.

` + handleUse + `

Exit codes: 0 · 2 wrong usage, or there is no such run · 4 platform unreachable.`,
		Example: `  nightshift terminate < run.json`,
		Args:    oneHandle,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validateLog(); err != nil {
				return err
			}
			return o.terminate(cmd.Context(), args, std)
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *platformOptions) terminate(ctx context.Context, args []string, std streams) error {
	handle, err := o.handle(args, std)
	if err != nil {
		return err
	}
	result, err := handle.Status(ctx)
	switch {
	case isUnknown(err):
		return runError(handle, err)
	case err == nil && result.State.Ended():
		return printResult(std, result)
	}
	failed := handle.Terminate(ctx) // also where the look failed: it may cost money
	result, err = handle.Status(ctx)
	if failed != nil && (err != nil || !result.State.Ended()) {
		return callError(fmt.Errorf("run %s/%s may go on: %w", handle.PipelineID, handle.TaskID, failed))
	}
	if err != nil { // what was asked for is done all the same
		o.say(std, fmt.Sprintf("the run is terminated, but how it stands now is not known: %v", err))
		result = unknownResult(handle)
	}
	return printResult(std, result)
}

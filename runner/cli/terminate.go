package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newTerminate(std streams) *cobra.Command {
	var o handleOptions
	cmd := &cobra.Command{
		Use:   "terminate [PIPELINE/TASK]",
		Short: "end a background run early",
		Long: `Terminate ends a run on the hosted platform or on a Temporal cluster, and prints what
status prints: how the run stands then. One that has ended already is left alone.

` + handleUse + `

Exit codes: 0 · 2 wrong usage, or there is no such run · 4 backend unreachable.`,
		Example: `  nightshift terminate < run.json`,
		Args:    oneHandle,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.terminate(cmd.Context(), args, std)
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *handleOptions) terminate(ctx context.Context, args []string, std streams) error {
	run, release, err := o.handle(ctx, args, std)
	if err != nil {
		return err
	}
	defer release()
	look, err := run.look(ctx)
	switch {
	case isUnknown(err):
		return runError(run, err)
	case err == nil && look.state.Ended():
		return printLook(std, look)
	}
	failed := run.end(ctx) // also where the look failed: it may cost money
	look, err = run.look(ctx)
	if failed != nil && (err != nil || !look.state.Ended()) {
		return callError(fmt.Errorf("run %s/%s may go on: %w", run.handle().PipelineID, run.handle().TaskID, failed))
	}
	if err != nil { // what was asked for is done all the same
		o.say(std, fmt.Sprintf("the run is terminated, but how it stands now is not known: %v", err))
		look = unknownLook(run)
	}
	return printLook(std, look)
}

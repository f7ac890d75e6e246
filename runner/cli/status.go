package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func newStatus(std streams) *cobra.Command {
	var o handleOptions
	cmd := &cobra.Command{
		Use:   "status [PIPELINE/TASK]",
		Short: "look once at a background run",
		Long: `Status looks once at a run on the hosted platform or on a Temporal cluster, and prints
one JSON object: its ids, its status (running, succeeded, failed, cancelled), the
platform's own word for that, its outputs and its error.

` + handleUse + `

Exit codes: 0 whatever the status is · 2 wrong usage, or there is no such run ·
4 backend unreachable.`,
		Example: `  nightshift start batch.yaml --input input_0="Tell me a fact." > run.json
  nightshift status < run.json`,
		Args: oneHandle,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return o.status(cmd.Context(), args, std)
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *handleOptions) status(ctx context.Context, args []string, std streams) error {
	run, release, err := o.handle(ctx, args, std)
	if err != nil {
		return err
	}
	defer release()
	look, err := run.look(ctx)
	if err != nil {
		return runError(run, err)
	}
	return printLook(std, look)
}

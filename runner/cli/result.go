package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner"
)

type resultOptions struct {
	handleOptions
	pollInterval, timeout time.Duration
}

func newResult(std streams) *cobra.Command {
	var o resultOptions
	cmd := &cobra.Command{
		Use:   "result [PIPELINE/TASK]",
		Short: "wait for the end of a background run",
		Long: `Result waits for the end of a run on the hosted platform, at which it looks again and
again, or on a Temporal cluster, and prints what status prints. Looks that are refused
or broken off are repeated. Where --timeout is over, or at Ctrl-C, the run goes on:
result can be asked again.

` + handleUse + `

Exit codes: 0 the run succeeded · 1 it failed or was cancelled · 2 wrong usage, or
there is no such run · 4 backend refused us · 124 it has not ended within --timeout
· 130 and 143 interrupted.`,
		Example: `  nightshift result --timeout 2m < run.json`,
		Args:    oneHandle,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.pollInterval <= 0:
				return errors.New("--poll-interval must be longer than nothing")
			case o.timeout < 0 || o.timeout == 0 && cmd.Flags().Changed("timeout"):
				return errors.New("--timeout must be longer than nothing; left out, there is none")
			}
			if err := o.validate(); err != nil {
				return err
			}
			return o.result(cmd.Context(), args, std)
		},
	}
	o.flags(cmd)
	cmd.Flags().DurationVar(&o.pollInterval, "poll-interval", 2*time.Second, "first `pause` between two looks; it grows gently")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 0, "wait no longer than this `time` (default: as long as it takes)")
	return cmd
}

func (o *resultOptions) result(ctx context.Context, args []string, std streams) error {
	run, release, err := o.handle(ctx, args, std)
	if err != nil {
		return err
	}
	defer release()
	signals := watchSignals(ctx, onInterruptDetach, func(string) {
		o.say(std, "nightshift: interrupted: the run goes on")
	})
	defer signals.stop()
	signals.starting.Store(true)
	failing := failingLooks{say: func(message string) { o.say(std, message) }}
	look, err := run.await(signals.ctx, awaitOptions{o.pollInterval, o.timeout, failing.tell})
	code := exitItems
	_, late := errors.AsType[*runner.PollTimeoutError](err)
	switch {
	case late:
		code = exitTimeout
		if look == nil { // there was no good one
			look = unknownLook(run)
			look.reason = cmp.Or(failing.last, "no look at it was answered in time")
		}
	case look == nil && signals.interrupted():
		return &exitError{code: interruptCode(signals.ctx)}
	case look == nil:
		return runError(run, err)
	case look.state == runner.Cancelled:
		err = fmt.Errorf("run %s: %s", look.TaskID, look.reason) // it has not failed
	}
	if err := printLook(std, look); err != nil {
		return err
	}
	if err != nil {
		return &exitError{code, err}
	}
	return nil
}

// failingLooks tells of looks that fail: each error once, until there is another.
type failingLooks struct {
	say  func(string)
	last string
}

func (f *failingLooks) tell(err error) {
	if text := err.Error(); text != f.last {
		f.last = text
		f.say(text + "; looking again")
	}
}

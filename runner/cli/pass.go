package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/runner/temporal"
	"nightshift/spec"
)

// passAction is what can be done about a batch that is under way on a cluster.
type passAction struct {
	name, short, long, done string
	do                      func(*temporal.Backend, context.Context, runner.Handle) error
}

func newPause(std streams) *cobra.Command {
	return newPassCommand(std, passAction{
		name:  "pause",
		short: "let a batch that is under way on a Temporal cluster start nothing more for now",
		long: `Pause lets the batches of a file that run has handed over to a Temporal cluster start no
more runs; those under way end. nightshift resume lets them go on.`,
		done: "is paused: no more runs are started, those under way end; nightshift resume lets it go on",
		do:   (*temporal.Backend).Pause,
	})
}

func newResume(std streams) *cobra.Command {
	return newPassCommand(std, passAction{
		name:  "resume",
		short: "let a batch go on that pause has stopped",
		long:  `Resume lets the batches of a file go on that nightshift pause has stopped.`,
		done:  "goes on",
		do:    (*temporal.Backend).Unpause,
	})
}

func newCancel(std streams) *cobra.Command {
	return newPassCommand(std, passAction{
		name:  "cancel",
		short: "end a batch that is under way on a Temporal cluster",
		long: `Cancel ends the batches of a file that run has handed over to a Temporal cluster: no
more runs are started, and those that are under way are terminated. Results of items
that have ended are kept, and written by whoever follows the batch: run, or attach.`,
		done: "is cancelled; nightshift attach writes the results of what has ended, unless somebody follows it",
		do:   (*temporal.Backend).Terminate,
	})
}

func newPassCommand(std streams, action passAction) *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   action.name + " FILE",
		Short: action.short,
		Long: action.long + `

Exit codes: 0 · 2 wrong usage, an invalid batch file, or nothing is under way ·
4 cluster unreachable, or it refused.`,
		Args:              oneFile,
		ValidArgsFunction: batchFileArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validateLog(); err != nil {
				return err
			}
			file, err := o.loadShared(cmd, args[0], &o.logOptions, std)
			if err != nil {
				return err
			}
			return o.act(cmd.Context(), file, action, std)
		},
	}
	o.flags(cmd)
	o.passFlags(cmd)
	return cmd
}

// act does something about all that is under way of the batches of a file.
func (o *runOptions) act(ctx context.Context, file *spec.File, action passAction, std streams) error {
	picked, err := batches(file, o.batches)
	if err != nil {
		return err
	}
	type pass struct {
		batch string
		runner.Begun
	}
	var found []pass
	for _, batch := range picked {
		_, passes, err := o.underWay(file, batch, time.Now())
		if err != nil {
			return err
		}
		for _, b := range passes {
			found = append(found, pass{batch.Name, b})
		}
	}
	if len(found) == 0 {
		return &exitError{exitUsage, fmt.Errorf("nothing of %s is under way, so there is nothing to %s", nameBatches(picked), action.name)}
	}
	target, err := o.ready(file, nil, o.logger(std), std)
	if err != nil {
		return err
	}
	say := func(message string) { o.say(std, message) }
	backend, release, err := target.openCluster(ctx, say)
	if err != nil {
		return err
	}
	defer release()
	ended := 0
	for _, p := range found {
		err := action.do(backend, ctx, p.Handle)
		switch {
		case isUnknown(err):
			ended++
			say(fmt.Sprintf("%s: %s has ended already; nightshift attach writes its results", p.batch, p.ID))
		case err != nil:
			return callError(fmt.Errorf("%s: cannot %s %s: %w", p.batch, action.name, p.ID, err))
		default:
			say(fmt.Sprintf("%s: %s %s", p.batch, p.ID, action.done))
		}
	}
	if ended == len(found) {
		return exitWith(exitUsage)
	}
	return nil
}

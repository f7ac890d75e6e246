package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"sync/atomic"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/spec"
)

type startOptions struct {
	fileOptions
	logOptions
	inputOptions
}

func newStart(std streams) *cobra.Command {
	var o startOptions
	cmd := &cobra.Command{
		Use:   "start FILE",
		Short: "start one background run of a file's pipeline, and print its handle",
		Long: `Start saves the pipeline of a batch file to the hosted platform, or for the workers of
a Temporal cluster, if it has changed, starts one run of it and prints its handle at
once, as one JSON object: pipeline_id, task_id and trace_id, on a cluster after
"backend":"temporal". status, result and terminate take it on standard input.

An input of type file, image or audio is the path of a file, which is sent along.

A start that is refused is made again, as run.retry says. One whose answer was lost is
not: a run may have come of it. The first Ctrl-C waits for the handle, a second leaves.

Exit codes: 0 the run is started · 2 wrong usage or an invalid batch file ·
4 backend unreachable, or it refused · 6 the handle cannot be written ·
130 and 143 interrupted.`,
		Example:           `  nightshift start batch.yaml --input input_0="Tell me a fact." > run.json`,
		Args:              oneFile,
		ValidArgsFunction: batchFileArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validateLog(); err != nil {
				return err
			}
			file, err := o.loadHosted(cmd, args[0], &o.logOptions, std)
			if err != nil {
				return err
			}
			return o.start(cmd.Context(), file, std)
		},
	}
	o.flags(cmd)
	o.inputFlags(cmd)
	o.connection.connectionFlags(cmd)
	o.connection.queueFlag(cmd)
	o.connection.storeFlag(cmd)
	o.logFlags(cmd)
	return cmd
}

func (o *startOptions) start(ctx context.Context, file *spec.File, std streams) error {
	target, err := o.ready(file, variants(file, nil), o.logger(std), std)
	if err != nil {
		return err
	}
	say := func(message string) { o.say(std, message) }
	var starting atomic.Bool
	signals := watchSignals(ctx, onInterruptDrain, func(message string) {
		if !starting.Load() { // what else it says is of batches
			say(message)
		}
	})
	defer signals.stop()
	one, err := o.prepare(ctx, target, say)
	if err != nil {
		return err
	}
	defer one.release()
	starting.Store(true)
	signals.starting.Store(true)
	go func() {
		select {
		case <-signals.drain:
			say("nightshift: interrupted: waiting for the handle of the run, if its start is under way; interrupt again to leave without it")
		case <-signals.ctx.Done():
		}
	}()
	handle, err := runner.Start(signals.ctx, &runner.Single{
		PipelineID: one.pipelineID,
		Inputs:     one.inputs,
		Options:    runner.StartOptions{TraceID: newTrace()},
		Retry:      file.Run.Retry,
		Drain:      signals.drain,
		Waiting:    waiting(say),
	}, one.backend)
	switch {
	case err != nil && signals.interrupted():
		return &exitError{interruptCode(signals.ctx), err}
	case err != nil:
		return notFound("pipeline "+one.pipelineID, err)
	}
	var members []any
	if target.cluster {
		members = []any{"backend", "temporal"}
	}
	if err := printObject(std, append(members, "pipeline_id", handle.PipelineID, "task_id", handle.TaskID, "trace_id", handle.TraceID)...); err != nil {
		return &exitError{exitResults, fmt.Errorf("run %s/%s goes on: %w", handle.PipelineID, handle.TaskID, err)}
	}
	if signals.interrupted() {
		return &exitError{code: interruptCode(signals.ctx)}
	}
	return nil
}

// newTrace makes the trace id of a run that belongs to no batch.
func newTrace() string {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return hex.EncodeToString(nonce[:])
}

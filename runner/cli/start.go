package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

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
		Long: `Start saves the pipeline of a batch file to the hosted platform, if it has changed,
starts one run of it and prints its handle at once, as one JSON object: pipeline_id,
task_id and trace_id. status, result and terminate take it on standard input.

An input of type file, image or audio is the path of a file, which is sent along.

Exit codes: 0 the run is started · 2 wrong usage or an invalid batch file ·
4 platform unreachable, or it refused.`,
		Example:           `  nightshift start batch.yaml --input input_0="Tell me a fact." > run.json`,
		Args:              oneFile,
		ValidArgsFunction: batchFileArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validateLog(); err != nil {
				return err
			}
			file, err := o.loadHosted(cmd, args[0], std)
			if err != nil {
				return err
			}
			return o.start(cmd.Context(), file, std)
		},
	}
	o.flags(cmd)
	o.inputFlags(cmd)
	o.logFlags(cmd)
	return cmd
}

func (o *startOptions) start(ctx context.Context, file *spec.File, std streams) error {
	target, err := o.ready(file, nil, o.logger(std), std)
	if err != nil {
		return err
	}
	one, err := o.prepare(ctx, target, func(message string) { fmt.Fprintln(std.err, message) })
	if err != nil {
		return err
	}
	defer one.release()
	trace := newTrace()
	handle, err := one.backend.Start(ctx, one.pipelineID, one.inputs, runner.StartOptions{TraceID: trace})
	if err != nil {
		if c, ok := errors.AsType[*runner.ConnectionError](err); ok && !c.Unsent {
			err = fmt.Errorf("%w; whether a run came of the start is not known: one may be going on under trace id %s", err, trace)
		}
		return notFound("pipeline "+one.pipelineID, err)
	}
	return printObject(std, "pipeline_id", handle.PipelineID, "task_id", handle.TaskID, "trace_id", handle.TraceID)
}

// newTrace makes the trace id of a run that belongs to no batch.
func newTrace() string {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return hex.EncodeToString(nonce[:])
}

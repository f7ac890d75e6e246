package cli

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner"
)

// exitTimeout is the exit code of a single run that took too long, as that of
// timeout(1).
const exitTimeout = 124

type streamOptions struct {
	fileOptions
	logOptions
	inputOptions
	json  bool
	fresh bool
}

func newStream(std streams) *cobra.Command {
	var o streamOptions
	cmd := &cobra.Command{
		Use:   "stream FILE",
		Short: "run the pipeline of a file once, and show what its nodes make as they make it",
		Long: `Stream runs the pipeline of a batch file once, on the inputs that are given, and
shows what every node makes as soon as it is there; the answer of an llm node with
stream: true comes piece by piece. On a terminal that is text. Elsewhere, and with
--json, it is one JSON line a chunk: {"type":"stream","output_name":...,
"output_value":...}, and at the end {"type":"result","status":...,"outputs":...}.
No results file is written.

Exit codes: 0 the run succeeded · 1 it did not · 2 wrong usage or an invalid batch
file · 4 backend unreachable · 124 it took longer than run.timeout · 130 and 143
interrupted.`,
		Example: `  nightshift stream batch.yaml --input input_0="Tell me a fact about space."`,
		Args:    oneFile,

		ValidArgsFunction: batchFileArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.validateLog(); err != nil {
				return err
			}
			return o.stream(cmd.Context(), args[0], std)
		},
	}
	o.flags(cmd)
	o.logFlags(cmd)
	o.inputFlags(cmd)
	o.nodeFlags(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON lines also to a terminal")
	cmd.Flags().BoolVar(&o.fresh, "fresh", false, "ask models also where an answer was kept")
	return cmd
}

func (o *streamOptions) stream(ctx context.Context, path string, std streams) error {
	file, err := o.load(path, std, o.warnings(std))
	if err != nil {
		return err
	}
	if file.Run.Backend == "temporal" {
		return &exitError{exitUsage, errors.New("backend temporal shows nothing of a run before it has ended; stream it here with --backend local, or start it there, and ask for its result")}
	}
	target, err := o.ready(file, variants(file, nil), o.logger(std), std)
	if err != nil {
		return err
	}
	say := func(message string) { o.say(std, message) }
	var starting atomic.Bool
	signals := watchSignals(ctx, onInterruptTerminate, func(message string) {
		if starting.Load() {
			message = "nightshift: interrupted: terminating the run"
		}
		say(message)
	})
	defer signals.stop()
	one, err := o.prepare(ctx, target, say)
	if err != nil {
		return err
	}
	defer one.release()
	starting.Store(true)
	signals.starting.Store(true)
	ctx, cancel := context.WithCancel(signals.ctx)
	defer cancel()
	go func() { // there is nothing to drain: one run is under way
		select {
		case <-signals.drain:
			cancel()
		case <-ctx.Done():
		}
	}()
	var show shower = &chunkText{out: std.out, redact: file.Redactor}
	if o.json || !isTerminal(std.out) {
		show = &chunkLines{out: std.out, redact: file.Redactor}
	}
	handle, status, err := runner.Stream(ctx, &runner.Single{
		PipelineID: one.pipelineID,
		Inputs:     one.inputs,
		Options:    runner.StartOptions{TraceID: newTrace(), AnswersSince: o.answersSince()},
		Timeout:    file.Run.Timeout,
		Retry:      file.Run.Retry,
		Waiting:    waiting(say),
	}, one.backend, show.chunk)
	if err != nil {
		return callError(err)
	}
	if err := show.end(handle, status); err != nil {
		return &exitError{exitResults, fmt.Errorf("cannot write to standard output: %w", err)}
	}
	if status.State == runner.Cancelled && !signals.interrupted() {
		return &exitError{exitItems, fmt.Errorf("run %s was cancelled", handle.TaskID)}
	}
	return streamError(status, interruptCode(signals.ctx))
}

// waiting tells of the pauses of a single run.
func waiting(say func(string)) func(time.Duration, error) {
	return func(pause time.Duration, cause error) {
		say(fmt.Sprintf("waiting %v: %v", pause.Round(time.Millisecond), cause))
	}
}

// callError gives an error of a call the exit code of what it says.
func callError(err error) error {
	code := exitUsage
	if ofBackend(err) {
		code = exitBackend
	}
	if reason := runner.ReasonOf(err); reason == runner.Denied || reason == runner.Unreachable {
		err = fmt.Errorf("%w; %s", err, whatToMend[reason])
	}
	return &exitError{code, err}
}

// streamError is what the status of a single run comes to as an exit code.
func streamError(status runner.Status, interruptCode int) error {
	code := exitItems
	switch status.State {
	case runner.Succeeded:
		return nil
	case runner.TimedOut:
		code = exitTimeout
	case runner.Cancelled:
		return &exitError{interruptCode, status.Err}
	}
	if reason := runner.ReasonOf(status.Err); reason != runner.NotStopped {
		if reason != runner.AllAlike {
			code = exitBackend
		}
		return &exitError{code, fmt.Errorf("%w; %s", status.Err, whatToMend[reason])}
	}
	return &exitError{code, status.Err}
}

// shower shows a run to the user.
type shower interface {
	chunk(c runner.Chunk)
	end(h runner.Handle, status runner.Status) error
}

// answersSince is when answers of models must have been kept to be read.
func (o *streamOptions) answersSince() time.Time {
	if o.fresh {
		return time.Now()
	}
	return time.Time{}
}

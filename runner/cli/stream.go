package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// exitTimeout is the exit code of a single run that took too long, as that of
// timeout(1).
const exitTimeout = 124

type streamOptions struct {
	fileOptions
	inputs []string
	json   bool
	fresh  bool
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
			return o.stream(cmd.Context(), args[0], std)
		},
	}
	o.flags(cmd)
	cmd.Flags().StringArrayVarP(&o.inputs, "input", "i", nil, "give the pipeline an input, as `name=value` (may be repeated)")
	cmd.Flags().BoolVar(&o.json, "json", false, "write JSON lines also to a terminal")
	cmd.Flags().BoolVar(&o.fresh, "fresh", false, "ask models also where an answer was kept")
	return cmd
}

func (o *streamOptions) stream(ctx context.Context, path string, std streams) error {
	file, err := o.load(path, std, std.err.warn)
	if err != nil {
		return err
	}
	inputs, err := o.given(file.Pipeline)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	models, err := o.ready(file, variants(file, nil), std)
	if err != nil {
		return err
	}
	say := func(message string) { fmt.Fprintln(std.err, message) }
	backend, release, err := o.backend(file, models.asked, say, say)
	if err != nil {
		return err
	}
	defer release()
	saved, err := save(ctx, backend, file)
	if err != nil {
		return err
	}
	signals := watchSignals(ctx, onInterruptTerminate, func(string) { say("nightshift: interrupted: the run is terminated") })
	defer signals.stop()
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
		PipelineID: saved.PipelineID,
		Inputs:     inputs,
		Options:    runner.StartOptions{AnswersSince: o.answersSince()},
		Timeout:    file.Run.Timeout,
		Retry:      file.Run.Retry,
		Waiting: func(pause time.Duration, cause error) {
			say(fmt.Sprintf("waiting %v: %v", pause.Round(time.Millisecond), cause))
		},
	}, backend, show.chunk)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	if err := show.end(handle, status); err != nil {
		return &exitError{exitResults, fmt.Errorf("cannot write to standard output: %w", err)}
	}
	return streamError(status, interruptCode(signals.ctx))
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
		return &exitError{code: interruptCode}
	}
	if reason := runner.ReasonOf(status.Err); reason != runner.NotStopped {
		if reason != runner.AllAlike {
			code = exitBackend
		}
		return &exitError{code, fmt.Errorf("%w; %s", status.Err, whatToMend[reason])}
	}
	return &exitError{code, status.Err}
}

var isAddress = regexp.MustCompile(`(?i)^(https?|data):`)

// given reads the --input flags.
func (o *streamOptions) given(p *spec.Pipeline) (runner.Inputs, error) {
	var names []string
	for _, in := range p.InputNodes() {
		names = append(names, in.Name)
	}
	inputs := runner.Inputs{}
	for _, text := range o.inputs {
		name, value, ok := strings.Cut(text, "=")
		_, twice := inputs[name]
		switch {
		case !ok:
			return nil, fmt.Errorf("--input %s: not of the form name=value", text)
		case twice:
			return nil, fmt.Errorf("--input %s is given twice", name)
		case !slices.Contains(names, name):
			return nil, fmt.Errorf("--input %s: the pipeline has no input of that name%s; it has %s", name, schema.DidYouMean(name, names), strings.Join(names, ", "))
		}
		inputs[name] = value
	}
	// A path on the command line is relative to the working directory; the engine
	// takes it for one of the batch file.
	for _, in := range p.InputNodes() {
		path, _ := inputs[in.Name].(string)
		if in.Type != "image" || path == "" || isAddress.MatchString(path) {
			continue
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		inputs[in.Name] = absolute
	}
	for _, in := range p.InputNodes() {
		if _, ok := inputs[in.Name]; !ok && !in.HasDefault {
			return nil, fmt.Errorf("input %s is missing; give it with --input %s=VALUE", in.Name, in.Name)
		}
	}
	return inputs, nil
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

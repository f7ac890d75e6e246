package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/runner/vectorshift"
)

// maxHandle is more bytes than a handle takes, also in the JSON of result.
const maxHandle = 64 << 20

// handleUse says how a handle is given, for the help of commands.
const handleUse = `The run is named as PIPELINE/TASK, by its ids, or by the JSON that start has
printed, on standard input.`

// oneHandle allows one handle, or none.
func oneHandle(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("too many arguments; usage: %s", cmd.UseLine())
	}
	return nil
}

// handle makes the handle of the run that the arguments name.
func (o *platformOptions) handle(args []string, std streams) (*vectorshift.RunHandle, error) {
	client, err := o.client(std)
	if err != nil {
		return nil, err
	}
	return readHandle(client, args, std)
}

// readHandle gives the run that the arguments name.
func readHandle(client *vectorshift.Client, args []string, std streams) (*vectorshift.RunHandle, error) {
	if len(args) == 1 && args[0] != "-" {
		pipeline, task, ok := strings.Cut(args[0], "/")
		if !ok || pipeline == "" || task == "" || strings.Contains(task, "/") {
			return nil, &exitError{exitUsage, fmt.Errorf("%q names no run: write PIPELINE/TASK, both ids as start has printed them", args[0])}
		}
		return client.Handle(pipeline, task, ""), nil
	}
	if in, ok := std.in.(*os.File); ok && isTerminal(in) && len(args) == 0 {
		return nil, &exitError{exitUsage, errors.New("which run? write PIPELINE/TASK, or give the JSON of start on standard input")}
	}
	h, err := decodeHandle(std.in)
	if err != nil {
		return nil, &exitError{exitUsage, fmt.Errorf("standard input: %w", err)}
	}
	return client.Handle(h.PipelineID, h.TaskID, h.TraceID), nil
}

// decodeHandle reads one JSON object, which may hold more than a handle.
func decodeHandle(in io.Reader) (h vectorshift.RunHandle, err error) {
	text, err := io.ReadAll(io.LimitReader(in, maxHandle))
	switch {
	case err != nil:
		return h, err
	case strings.TrimSpace(string(text)) == "":
		return h, errors.New("it is empty; the JSON of start is expected there, or PIPELINE/TASK as an argument")
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, fmt.Errorf("it is not the JSON of one start: %w", err)
	}
	if h.PipelineID == "" || h.TaskID == "" {
		return h, errors.New("it names no run: pipeline_id and task_id are expected, as start prints them")
	}
	return h, nil
}

// printResult writes how a run stands.
func printResult(std streams, r *vectorshift.Result) error {
	var outputs any
	if r.State == runner.Succeeded || len(r.Outputs) > 0 {
		outputs = r.Outputs
	}
	return printObject(std,
		"pipeline_id", r.PipelineID,
		"task_id", r.TaskID,
		"trace_id", orNull(r.TraceID),
		"status", string(r.State),
		"word", orNull(r.Word),
		"outputs", outputs,
		"error", orNull(r.Error),
	)
}

// unknownResult is that of a run of which no look has an answer.
func unknownResult(h *vectorshift.RunHandle) *vectorshift.Result {
	return &vectorshift.Result{PipelineID: h.PipelineID, TaskID: h.TaskID, TraceID: h.TraceID, State: stateUnknown}
}

// runError is an error of a call about a run.
func runError(h *vectorshift.RunHandle, err error) error {
	return notFound(fmt.Sprintf("run %s/%s", h.PipelineID, h.TaskID), err)
}

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"nightshift/runner"
	"nightshift/runner/temporal"
	"nightshift/schema"
)

// handleOptions are the flags of commands about one run in the background.
type handleOptions struct {
	platformOptions
	connection connectionOptions
	backend    string
}

func (o *handleOptions) flags(cmd *cobra.Command) {
	o.platformOptions.flags(cmd)
	cmd.Flags().StringVar(&o.backend, "backend", "", "the `backend` of a run that is named by its ids: vectorshift, which is the default, or temporal")
	_ = cmd.RegisterFlagCompletionFunc("backend", cobra.FixedCompletions(backends[1:], cobra.ShellCompDirectiveNoFileComp)) // of a flag that is there
	o.connection.connectionFlags(cmd)
	o.connection.storeFlag(cmd)
}

func (o *handleOptions) validate() error {
	if o.backend != "" && !slices.Contains(backends[1:], o.backend) {
		return fmt.Errorf("--backend: no runs go on by themselves on %q%s", o.backend, cmp.Or(schema.DidYouMean(o.backend, backends[1:]), "; they do on "+strings.Join(backends[1:], " and ")))
	}
	return o.validateLog()
}

// maxHandle is more bytes than a handle takes, also in the JSON of result.
const maxHandle = 64 << 20

// handleUse says how a handle is given, for the help of commands.
const handleUse = `The run is named as PIPELINE/TASK, by its ids, or by the JSON that start has printed,
on standard input or as the argument. That says where the run is; ids alone are those of
a run on the hosted platform, unless --backend temporal is given, where TASK is enough.`

// oneHandle allows one handle, or none.
func oneHandle(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return fmt.Errorf("too many arguments; usage: %s", cmd.UseLine())
	}
	return nil
}

// handle makes the handle of the run that the arguments name. release ends the use of
// its backend.
func (o *handleOptions) handle(ctx context.Context, args []string, std streams) (run background, release func(), err error) {
	named, err := o.read(args, std)
	switch elsewhere := cmp.Or(named.Backend, o.backend, "vectorshift") != "vectorshift"; {
	case elsewhere && err != nil:
		return nil, nil, err
	case elsewhere:
		return o.onCluster(ctx, named, std)
	}
	if err := o.connection.check("vectorshift"); err != nil {
		return nil, nil, err
	}
	client, noClient := o.client(std)
	if err := cmp.Or(noClient, err); err != nil {
		return nil, nil, o.hinted(err, args)
	}
	return hostedRun{client.Handle(named.PipelineID, named.TaskID, named.TraceID)}, func() {}, nil
}

// onCluster gives a run on a Temporal cluster.
func (o *handleOptions) onCluster(ctx context.Context, named namedRun, std streams) (background, func(), error) {
	if err := o.connection.check("temporal"); err != nil {
		return nil, nil, err
	}
	env, err := environment(o.envFiles)
	if err != nil {
		return nil, nil, err
	}
	store, err := wholeStore(o.connection.store)
	if err != nil {
		return nil, nil, err
	}
	say := func(message string) { o.say(std, message) }
	client, err := o.connection.dial(ctx, env, o.logger(std), say, std)
	if err != nil {
		return nil, nil, err
	}
	backend := client.Backend(temporal.BackendOptions{Store: store, Say: say})
	run := &clusterRun{backend, runner.Handle{PipelineID: named.PipelineID, TaskID: named.TaskID, TraceID: named.TraceID}}
	return run, func() {
		_ = backend.Close() // it was only read
		client.Close()
	}, nil
}

// namedRun is what names a run.
type namedRun struct {
	Backend    string `json:"backend"` // "": vectorshift
	PipelineID string `json:"pipeline_id"`
	TaskID     string `json:"task_id"`
	TraceID    string `json:"trace_id"` // "": not known
}

// read reads what names the run.
func (o *handleOptions) read(args []string, std streams) (h namedRun, err error) {
	in, where := std.in, "standard input"
	switch {
	case len(args) == 0 || args[0] == "-":
	case strings.HasPrefix(strings.TrimSpace(args[0]), "{"):
		in, where = strings.NewReader(args[0]), "the argument"
	default:
		return o.ids(args[0])
	}
	if terminal, ok := in.(*os.File); ok && isTerminal(terminal) && len(args) == 0 {
		return h, &exitError{exitUsage, errors.New("which run? write PIPELINE/TASK, or give the JSON of start on standard input")}
	}
	if h, err = decodeHandle(in); err != nil {
		return h, &exitError{exitUsage, fmt.Errorf("%s: %w", where, err)}
	}
	if other := cmp.Or(h.Backend, "vectorshift"); o.backend != "" && other != o.backend {
		return h, &exitError{exitUsage, fmt.Errorf("--backend %s: %s names a run on %s; leave the flag out", o.backend, where, other)}
	}
	return h, nil
}

// ids are those of an argument.
func (o *handleOptions) ids(text string) (h namedRun, err error) {
	h.Backend = o.backend
	pipeline, task, whole := strings.Cut(text, "/")
	if !whole && o.backend == "temporal" {
		pipeline, task = "", text
	}
	if !whole && o.backend != "temporal" || pipeline == "" && whole || task == "" || strings.Contains(task, "/") {
		return h, &exitError{exitUsage, fmt.Errorf("%q names no run: write PIPELINE/TASK, both ids as start has printed them", text)}
	}
	h.PipelineID, h.TaskID = pipeline, task
	return h, nil
}

// hinted is an error about a run on the hosted platform; with what to give where its id
// looks like one of a cluster.
func (o *handleOptions) hinted(err error, args []string) error {
	if len(args) == 0 || o.backend != "" {
		return err
	}
	id := args[0][strings.LastIndex(args[0], "/")+1:]
	if !strings.HasPrefix(id, "run-") && !strings.HasPrefix(id, "batch-") {
		return err
	}
	return fmt.Errorf("%w; if it is a run on a Temporal cluster, give --backend temporal", err)
}

// decodeHandle reads one JSON object, which may hold more than a handle.
func decodeHandle(in io.Reader) (h namedRun, err error) {
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
	switch {
	case h.Backend != "" && h.Backend != "vectorshift" && h.Backend != "temporal":
		return h, fmt.Errorf("it names a run on backend %q, which this version of nightshift does not know", h.Backend)
	case h.TaskID == "" || h.PipelineID == "" && h.Backend != "temporal":
		return h, errors.New("it names no run: pipeline_id and task_id are expected, as start prints them")
	}
	return h, nil
}

// printLook writes how a run stands.
func printLook(std streams, l *runLook) error {
	var outputs any
	if l.state == runner.Succeeded || len(l.outputs) > 0 {
		outputs = l.outputs
	}
	var members []any
	pipelineID := any(l.PipelineID)
	if l.backend != "" {
		members, pipelineID = []any{"backend", l.backend}, orNull(l.PipelineID)
	}
	return printObject(std, append(members,
		"pipeline_id", pipelineID,
		"task_id", l.TaskID,
		"trace_id", orNull(l.TraceID),
		"status", string(l.state),
		"word", orNull(l.word),
		"outputs", outputs,
		"error", orNull(l.reason),
	)...)
}

// runError is an error of a call about a run.
func runError(run background, err error) error {
	h := run.handle()
	if _, cluster := run.(*clusterRun); cluster {
		if isUnknown(err) {
			return &exitError{exitUsage, fmt.Errorf("there is no run %s in this namespace: %w", h.TaskID, err)}
		}
		return callError(err)
	}
	return notFound(fmt.Sprintf("run %s/%s", h.PipelineID, h.TaskID), err)
}

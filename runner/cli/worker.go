package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"nightshift/runner/temporal"
	"nightshift/runner/temporal/store"
	"nightshift/runner/temporal/worker"
)

type workerOptions struct {
	logOptions
	connection     connectionOptions
	envFiles       []string
	concurrency    int
	rate           float64
	drainTimeout   time.Duration
	cache          string
	noCache        bool
	privateNetwork bool
}

// workerConcurrency is how much a worker takes on at once where it is told nothing.
const workerConcurrency = 100

func newWorker(std streams) *cobra.Command {
	var o workerOptions
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "run what others hand over to a Temporal cluster",
		Long: `Worker polls a task queue of a Temporal cluster, and runs shards of batches and single
runs that run and start have handed over there, with the same engine as backend local.
As many workers as wanted may do so, on as many machines; each needs the keys of models
and other secrets in its environment, and the store: a folder that client and workers
share, or a bucket. A worker needs no batch files: they come by the store. Concurrency,
rate and limits that a batch file names are those of all workers together.

Answers of models are kept in answers.db of NIGHTSHIFT_STATE, or of .nightshift in the
working folder, for all batches of this worker; stored files are in NIGHTSHIFT_FILES,
or files in the working folder.

The first Ctrl-C or SIGTERM takes nothing more, lets runs end that are under way, and
gives the rest to other workers; a second one terminates these runs, the third leaves
at once. Items that have ended are not run again.

Exit codes: 0 it was told to end · 2 wrong usage · 4 cluster unreachable at the start, or
it refused · 130 and 143 it was told to end at once.`,
		Example: `  nightshift worker                              the server of temporal server start-dev
  nightshift worker --address temporal.example.com:7233 --namespace night --tls
  nightshift worker --store /mnt/shared/store    what clients know as another folder`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(cmd); err != nil {
				return err
			}
			return o.work(cmd.Context(), std)
		},
	}
	o.connection.connectionFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.connection.taskQueue, "task-queue", temporal.DefaultTaskQueue, "`name` of the task queue to poll")
	flags.StringVar(&o.connection.store, "store", "", "`folder` or s3://bucket/prefix that holds what clients hand over (default: as they say)")
	flags.IntVar(&o.concurrency, "concurrency", workerConcurrency, "`n` shards and single runs at once")
	flags.Float64Var(&o.rate, "rate", 0, "begin no more than `n` shards and single runs a second, all workers of the task queue together (default: any number)")
	flags.DurationVar(&o.drainTimeout, "drain-timeout", 10*time.Minute, "once told to end, give runs under way so much `time`")
	flags.StringVar(&o.cache, "cache", "", "keep answers of models in this `file`")
	flags.BoolVar(&o.noCache, "no-cache", false, "keep no answers of models, whatever batch files say")
	flags.BoolVar(&o.privateNetwork, "allow-private-network", false, "let api and url_loader nodes call loopback, link-local and private addresses")
	flags.StringArrayVar(&o.envFiles, "env-file", nil, "read variables from a `file` of NAME=value lines; the environment comes first")
	o.logFlags(cmd)
	return cmd
}

// validate holds the rules between flags.
func (o *workerOptions) validate(cmd *cobra.Command) error {
	switch {
	case o.connection.taskQueue == "":
		return fmt.Errorf("--task-queue must name a task queue; left out, it is %s", temporal.DefaultTaskQueue)
	case o.concurrency < 1 || o.concurrency > maxConcurrency:
		return fmt.Errorf("--concurrency must be from 1 to %d", maxConcurrency)
	case !(o.rate >= 0) || o.rate == 0 && cmd.Flags().Changed("rate"):
		return fmt.Errorf("--rate must be more than 0; left out, there is none")
	case o.drainTimeout <= 0:
		return fmt.Errorf("--drain-timeout must be longer than nothing; a second Ctrl-C terminates what runs")
	case o.noCache && o.cache != "", o.cache == "" && cmd.Flags().Changed("cache"):
		return fmt.Errorf("--cache names a file, and --no-cache says that there is none; give one of them")
	}
	if err := o.connection.check("temporal"); err != nil {
		return err
	}
	return o.validateLog()
}

// workerWords is what is said of signals to a worker.
var workerWords = signalWords{
	drain: "told to end: nothing more is taken, runs under way may end, and other workers have the rest; a second signal terminates these runs",
	again: "told again to end: terminating the runs that are under way",
}

// work polls until it is told to end.
func (o *workerOptions) work(ctx context.Context, std streams) error {
	env, err := environment(o.envFiles)
	if err != nil {
		return err
	}
	served := &served{out: std.err.w}
	std.err.w = served
	host, err := o.host(env, served, std)
	if err != nil {
		return err
	}
	defer host.close()
	store, err := o.store(ctx)
	if err != nil {
		return err
	}
	say := func(message string) { o.say(std, message) }
	client, err := o.connection.dial(ctx, env, o.logger(std), say, std)
	if err != nil {
		return err
	}
	defer client.Close()

	signals := watchSignals(ctx, onInterruptDrain, say)
	defer signals.stop()
	signals.words, signals.alike = workerWords, true
	signals.starting.Store(true)
	go host.endDrain(signals, o.drainTimeout)
	warnings := slog.New(slog.NewTextHandler(std.err, &slog.HandlerOptions{Level: slog.LevelWarn}))
	tell := func(message string) { o.tell(std, message) }
	tell(fmt.Sprintf("connected to namespace %s at %s; Ctrl-C lets what runs end", client.Namespace(), client.Address()))
	err = worker.Run(signals.ctx, worker.Options{
		Identity: temporal.Identity(),
		Client:   client.SDK(), TaskQueue: o.connection.taskQueue,
		Concurrency: o.concurrency, Rate: o.rate, Store: store,
		Env: env, Open: host.open, Log: cmp.Or(o.logger(std), warnings), Say: tell,
	}, signals.drain)
	switch {
	case err != nil:
		return &exitError{exitBackend, err}
	case signals.ctx.Err() != nil && !host.late.Load():
		return &exitError{code: interruptCode(signals.ctx)}
	}
	return nil
}

// store is where what clients hand over is read, whatever they say; "": as they say. It
// is opened once before anything is taken, as a worker without it can do nothing.
func (o *workerOptions) store(ctx context.Context) (string, error) {
	address, err := wholeStore(o.connection.store)
	if err != nil || address == "" {
		return "", err
	}
	opened, err := store.Open(ctx, address)
	if err != nil {
		return "", &exitError{exitUsage, fmt.Errorf("--store: %w", err)}
	}
	return address, opened.Close()
}

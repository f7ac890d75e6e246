//go:build bench

package cli

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"nightshift/runner"
	"nightshift/runner/temporal"
	"nightshift/runner/temporal/temporaltest"
	"nightshift/spec"
)

// temporal measures batches and single runs on a development server of Temporal, with one
// worker: three processes that share two cores.
func (b *bench) temporal() {
	const flat = 1.3 // as with a tenth of the items, but for 64 bytes of each, and how the collector happens to run
	few, fewAtWorker := b.spread(10_000)
	many, manyAtWorker := b.spread(100_000)
	rate := 100_000 / many.wall.Seconds()
	b.row("temporal: 100,000 trivial items, shards of 200", fmt.Sprintf("%.0f items/s", rate), ">= 8000 items/s", rate >= 8000)
	b.row("  10,000 of them", fmt.Sprintf("%.0f items/s", 10_000/few.wall.Seconds()), "-", true)
	for _, c := range []struct {
		what      string
		few, many int
	}{{"client", few.anon, many.anon}, {"worker", fewAtWorker, manyAtWorker}} {
		ratio := float64(c.many) / float64(c.few)
		b.row("  peak RssAnon of the "+c.what+", 10,000 items", fmt.Sprintf("%.1f MB", float64(c.few)/(1<<20)), "-", true)
		b.row("  peak RssAnon of the "+c.what+", 100,000 items", fmt.Sprintf("%.1f MB, %.2f x", float64(c.many)/(1<<20), ratio), fmt.Sprintf("<= %.2f x", flat), ratio <= flat)
	}
	b.singles()
}

// spread runs a batch of so many trivial items on a server, a store and a worker of
// their own.
func (b *bench) spread(items int) (client taken, workerAnon int) {
	b.Helper()
	dir, err := os.MkdirTemp(b.dir, "spread")
	if err != nil {
		b.Fatal(err)
	}
	var rows strings.Builder
	rows.WriteString("id,text\n")
	for i := range items {
		fmt.Fprintf(&rows, "%d,item number %d of the batch\n", i, i)
	}
	for name, text := range map[string]string{"rows.csv": rows.String(), "batch.yaml": fmt.Sprintf(trivialBatch, `, key: "{{ row.id }}"`)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	server := temporaltest.Own(b.T)
	defer server.Kill()
	env, stop := b.worker(server, filepath.Join(dir, "store"))
	out := filepath.Join(dir, "out.jsonl")
	client = b.process(env, b.command, "run", filepath.Join(dir, "batch.yaml"), "--backend", "temporal", "--concurrency", "64", "-o", out, "--quiet")
	workerAnon = stop()
	if client.code != 0 {
		b.Fatalf("%d items: exit code %d\n%s", items, client.code, client.said)
	}
	if lines, tally := resultLines(b.T, out); len(lines) != items || tally.NotSucceeded() > 0 || countLines(b.T, out) != items {
		b.Errorf("%d result lines, of %d items, %d of which did not succeed; want %d", countLines(b.T, out), len(lines), tally.NotSucceeded(), items)
	}
	return client, workerAnon
}

// worker starts a worker; stop ends it, and gives the peak of its RssAnon in bytes. env
// is that of clients, too.
func (b *bench) worker(server *temporaltest.Server, store string) (env []string, stop func() (anon int)) {
	b.Helper()
	env = []string{"TEMPORAL_ADDRESS=" + server.Address, "NIGHTSHIFT_STORE=" + store, "HOME=" + b.dir}
	ctx, cancel := context.WithTimeout(b.Context(), serverLife)
	cmd := exec.CommandContext(ctx, b.command, "worker", "--no-cache")
	cmd.Env = append(append(os.Environ(), env...), "GOMAXPROCS=2") // the bars are for two cores
	cmd.Dir = b.dir
	group := ownGroup
	cmd.SysProcAttr = &group
	said := transcript{grew: make(chan struct{}, 1)}
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	peak := make(chan int)
	watched, release := context.WithCancel(ctx)
	go func() { peak <- watchAnon(watched, cmd.Process.Pid) }()
	for late := time.After(serverStart); !strings.Contains(said.String(), "works off task queue"); {
		select {
		case <-said.grew:
		case <-late:
			b.Fatalf("the worker does not work:\n%s", said.String())
		}
	}
	return env, func() int {
		release()
		anon := <-peak
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			b.Errorf("the worker: %v\n%s", err, said.String())
		}
		cancel()
		return anon
	}
}

// singles starts single runs, 16 at once, and waits for each.
func (b *bench) singles() {
	const runs, atOnce = 400, 16
	store := filepath.Join(b.dir, "singles")
	server := temporaltest.Own(b.T)
	defer server.Kill()
	_, stop := b.worker(server, store)
	defer stop()
	file, problems := spec.Load(b.write("single.yaml", fmt.Sprintf(trivialBatch, "")), spec.Options{Set: []string{"run.backend=temporal"}})
	if file == nil {
		b.Fatal(problems)
	}
	client, err := temporal.Dial(b.Context(), temporal.Options{Address: server.Address, Env: os.LookupEnv})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	backend := client.Backend(temporal.BackendOptions{File: file, Store: store})
	defer backend.Close()
	saved, err := backend.Save(b.Context(), file.Pipeline, runner.SaveOptions{})
	if err != nil {
		b.Fatal(err)
	}
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(atOnce)
	began := time.Now()
	for i := range runs {
		group.Go(func() error {
			h, err := backend.Start(ctx, saved.PipelineID, runner.Inputs{"in": fmt.Sprint(i)}, runner.StartOptions{})
			if err != nil {
				return err
			}
			status, err := backend.Wait(ctx, h)
			if want := fmt.Sprintf("Hello %d!", i); err == nil && status.Outputs["out"] != want {
				err = fmt.Errorf("run %d: %+v, want %q", i, status, want)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
	rate := runs / time.Since(began).Seconds()
	b.row(fmt.Sprintf("temporal: %d single runs, %d at once", runs, atOnce), fmt.Sprintf("%.0f runs/s", rate), ">= 25 runs/s", rate >= 25)
}

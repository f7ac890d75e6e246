//go:build bench

package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// TestBars measures whole processes of the built command, prints a table, and
// fails where a bar is not met: make bench.
func TestBars(t *testing.T) {
	switch {
	case os.Getenv(asBaseline) != "":
		baseline(t)
		return
	case os.Getenv(asModelBaseline) != "":
		modelBaseline(t)
		return
	}
	b := newBench(t)
	for _, part := range []struct {
		name    string
		measure func()
	}{{"models", b.models}, {"million", b.million}, {"durable", b.durable}, {"hosted", b.hosted}, {"temporal", b.temporal}, {"graph", b.wideGraph}, {"elements", b.elements}, {"rehearsals", b.rehearsals}, {"validate", b.validate}, {"version", b.version}} {
		t.Run(part.name, func(t *testing.T) {
			b.T = t
			part.measure()
		})
	}
	b.table()
}

type bench struct {
	*testing.T
	dir     string
	command string
	rows    [][4]string // what, measured, bar, met
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, dir: t.TempDir()}
	b.command = filepath.Join(b.dir, "nightshift")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", b.command, "../..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return b
}

func (b *bench) row(what, measured, bar string, met bool) {
	verdict := "met"
	if bar == "-" {
		verdict = ""
	} else if !met {
		verdict = "MISSED"
		b.Errorf("%s: %s, bar %s", what, measured, bar)
	}
	b.rows = append(b.rows, [4]string{what, measured, bar, verdict})
}

func (b *bench) table() {
	fmt.Printf("\n%-58s %22s %22s  %s\n", "what", "measured", "bar", "")
	for _, r := range b.rows {
		fmt.Printf("%-58s %22s %22s  %s\n", r[0], r[1], r[2], r[3])
	}
	fmt.Println()
}

func (b *bench) write(name, content string) string {
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// taken is what one run of a process took.
type taken struct {
	wall, cpu time.Duration
	anon      int // peak of RssAnon in bytes
	code      int // exit code
	said      string
}

// run runs a process, which must succeed.
func (b *bench) run(env, name string, args ...string) taken {
	b.Helper()
	p := b.process([]string{env}, name, args...)
	if p.code != 0 {
		b.Fatalf("%s %v: exit code %d\n%s", name, args, p.code, p.said)
	}
	return p
}

// process starts a process, watches its memory, and waits for it.
func (b *bench) process(env []string, name string, args ...string) taken {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), name, args...)
	cmd.Env = append(append(os.Environ(), env...), "GOMAXPROCS=2") // the bars are for two cores
	var said strings.Builder
	cmd.Stderr = &said
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	peak := make(chan int)
	go func() { peak <- watchAnon(ctx, cmd.Process.Pid) }()
	err := cmd.Wait()
	p := taken{wall: time.Since(began), code: cmd.ProcessState.ExitCode(), said: said.String()}
	stop()
	p.anon = <-peak
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		b.Fatalf("%s %v: %v", name, args, err)
	}
	p.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return p
}

// median is that of several runs, figure by figure.
func (b *bench) median(runs int, name string, args ...string) taken {
	var walls, cpus []time.Duration
	for range runs {
		p := b.run("", name, args...)
		walls, cpus = append(walls, p.wall), append(cpus, p.cpu)
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	return taken{wall: walls[runs/2], cpu: cpus[runs/2]}
}

func watchAnon(ctx context.Context, pid int) (peak int) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return peak
		case <-ticker.C:
		}
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, rest, ok := strings.Cut(string(text), "RssAnon:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			peak = max(peak, kb<<10)
		}
	}
}

const trivialBatch = `version: 1
pipeline:
  name: trivial
  nodes:
    in: {type: input}
    greeting: {type: text, inputs: {text: "Hello {{ in.text }}!"}}
    out: {type: output, inputs: {value: "{{ greeting.text }}"}}
batches:
  million: {from: rows.csv, map: {in: "{{ row.text }}"}%s}
`

// million runs a million items through three nodes, with and without keys, and
// a minimal loop over the same rows beside it.
func (b *bench) million() {
	const items = 1_000_000
	var rows strings.Builder
	rows.WriteString("id,text\n")
	for i := range items {
		fmt.Fprintf(&rows, "%d,item number %d of the batch\n", i, i)
	}
	source := b.write("rows.csv", rows.String())
	hashed := b.write("hashed.yaml", fmt.Sprintf(trivialBatch, ""))
	keyed := b.write("keyed.yaml", fmt.Sprintf(trivialBatch, `, key: "{{ row.id }}"`))

	minimal := b.run(asBaseline+"="+source, os.Args[0], "-test.run", "^TestBars$")
	limit := 24<<20 + 64*items
	for _, c := range []struct{ what, path string }{{"hash of the inputs as id", hashed}, {"key as id", keyed}} {
		out := filepath.Join(b.dir, "out.jsonl")
		_ = os.Remove(out)
		p := b.run("", b.command, "run", c.path, "-o", out, "--quiet")
		if n := countLines(b.T, out); n != items {
			b.Errorf("%d result lines, not %d", n, items)
		}
		rate := items / p.wall.Seconds()
		b.row("1,000,000 items, "+c.what, fmt.Sprintf("%.0f items/s", rate), ">= 100000 items/s", rate >= 100_000)
		b.row("  its peak RssAnon", fmt.Sprintf("%.1f MB", float64(p.anon)/(1<<20)), fmt.Sprintf("<= %.1f MB", float64(limit)/(1<<20)), p.anon <= limit)
		b.row("  its wall time beside a minimal loop's", fmt.Sprintf("%.2f x", p.wall.Seconds()/minimal.wall.Seconds()), "-", true)
	}
	b.row("  the minimal loop", fmt.Sprintf("%.0f items/s", items/minimal.wall.Seconds()), "-", true)
}

func wide() string {
	var y strings.Builder
	y.WriteString("version: 1\npipeline:\n  name: wide\n  nodes:\n    in: {type: input}\n")
	for i := range 198 {
		source := "in.text"
		if i >= 20 {
			source = fmt.Sprintf("n%d.text", i-20)
		}
		fmt.Fprintf(&y, "    n%d: {type: text, inputs: {text: \"%d {{ %s }}\"}}\n", i, i, source)
	}
	y.WriteString("    out: {type: output, inputs: {value: \"")
	for i := 178; i < 198; i++ {
		fmt.Fprintf(&y, "{{ n%d.text }} ", i)
	}
	y.WriteString("\"}}\nbatches:\n  wide: {from: wide.txt}\n")
	return y.String()
}

// mixed is a file of 200 nodes of 20 types: each type costs a schema.
func mixed() string {
	kinds := []struct{ typ, inputs, output string }{
		{"text", `text: "a {{ in.text }}"`, "text"},
		{"text_formatter", `text: "{{ in.text }}"`, "output"},
		{"combine_text", `text: ["{{ in.text }}", b]`, "processed_text"},
		{"split_text", `text: "{{ in.text }}"`, "processed_text"},
		{"find_and_replace", `text_to_manipulate: "{{ in.text }}", replacements: [{find: a, replace: b}]`, "processed_text"},
		{"read_json_values", `json_string: "{{ in.text }}", keys: [a, b]`, "json_values"},
		{"write_json_value", `fields: [{key: a, value: "{{ in.text }}"}]`, "updated_json"},
		{"create_list", `list: ["{{ in.text }}"]`, "output"},
		{"combine_list", `list: [["{{ in.text }}"]]`, "output"},
		{"join_list_item", `list: ["{{ in.text }}"]`, "joined_text"},
		{"get_list_item", `list: ["{{ in.text }}"], index: 0`, "output"},
		{"list_trimmer", `list: ["{{ in.text }}"], item_to_keep: 1`, "output"},
		{"flatten_list", `list_of_lists: [["{{ in.text }}"]]`, "flattened_list"},
		{"convert_type", `source_type: string, value: "{{ in.text }}"`, "output"},
		{"merge", `fields: ["{{ in.text }}"]`, "output"},
		{"time", `output_format: Timestamp`, "processed_time"},
		{"api", `url: "http://127.0.0.1/{{ in.text }}"`, "output"},
		{"condition", `conditions: [{clauses: [{operator: IsEmpty, input: "{{ in.text }}"}]}]`, "complete"},
	}
	var y strings.Builder
	y.WriteString("version: 1\npipeline:\n  name: mixed\n  nodes:\n    in: {type: input}\n")
	for i := range 198 {
		k := kinds[i%len(kinds)]
		fmt.Fprintf(&y, "    n%d: {type: %s, inputs: {%s}}\n", i, k.typ, k.inputs)
	}
	var value, after strings.Builder
	for i := range 198 {
		if output := kinds[i%len(kinds)].output; output == "complete" { // a path, which goes into no text
			fmt.Fprintf(&after, "\"{{ n%d.complete }}\", ", i)
		} else {
			fmt.Fprintf(&value, "{{ n%d.%s }} ", i, output)
		}
	}
	fmt.Fprintf(&y, "    out: {type: output, inputs: {value: \"%s\", dependencies: [%s]}}\n", value.String(), after.String())
	y.WriteString("batches:\n  mixed: {inputs: [{in: a}]}\n")
	return y.String()
}

func (b *bench) validate() {
	for _, c := range [][2]string{{"of one type", strings.Replace(wide(), "{from: wide.txt}", "{inputs: [{in: a}]}", 1)}, {"of 20 types", mixed()}} {
		p := b.median(21, b.command, "validate", "--quiet", b.write("valid.yaml", c[1]))
		b.row("validate 200 nodes "+c[0]+", whole process", fmt.Sprintf("%.1f ms", ms(p.wall)), "<= 30 ms", p.wall <= 30*time.Millisecond)
	}
}

func (b *bench) version() {
	p := b.median(21, b.command, "version")
	b.row("version, CPU of the whole process", fmt.Sprintf("%.1f ms", ms(p.cpu)), "<= 10 ms", p.cpu <= 10*time.Millisecond)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func countLines(t *testing.T, path string) (n int) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		n++
	}
	return n
}

const asBaseline = "NIGHTSHIFT_BENCH_BASELINE"

// baseline is the loop that one would write by hand: read a line, make a text
// of it in a goroutine under a limit, encode a result, write it. It knows no
// graph, no ids, no events.
func baseline(t *testing.T) {
	in, err := os.Open(os.Getenv(asBaseline))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(filepath.Join(t.TempDir(), "baseline.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(out, 64<<10)
	lines := make(chan []byte, 64)
	written := make(chan error)
	go func() {
		var err error
		for line := range lines {
			if _, e := w.Write(line); e != nil {
				err = e
			}
		}
		written <- err
	}()
	type result struct {
		ID        string            `json:"id"`
		Index     int               `json:"index"`
		Status    string            `json:"status"`
		Inputs    map[string]string `json:"inputs"`
		Outputs   map[string]string `json:"outputs"`
		StartedAt time.Time         `json:"started_at"`
		EndedAt   time.Time         `json:"finished_at"`
	}
	var group errgroup.Group
	group.SetLimit(8)
	rows := bufio.NewScanner(in)
	rows.Scan() // the header
	for i := 0; rows.Scan(); i++ {
		id, text, _ := strings.Cut(rows.Text(), ",")
		group.Go(func() error {
			began := time.Now()
			line, err := json.Marshal(result{id, i, "succeeded", map[string]string{"in": text}, map[string]string{"out": "Hello " + text + "!"}, began, time.Now()})
			lines <- append(line, '\n')
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	close(lines)
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

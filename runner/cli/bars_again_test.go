//go:build bench

package cli

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"nightshift/runner"
)

// millionEnded is how many items are run again of which nothing is left to do.
const millionEnded = 1_000_000

// again runs a million items, kills such a run in the middle and goes on with it,
// and runs all of it again when nothing is left to do.
func (b *bench) again() {
	dir := b.folder(map[string]string{"rows.csv": numbered(millionEnded), "batch.yaml": fmt.Sprintf(trivialBatch, `, key: "{{ row.id }}"`)})
	batch, out, source := filepath.Join(dir, "batch.yaml"), filepath.Join(dir, "out.jsonl"), filepath.Join(dir, "rows.csv")
	command := []string{"run", batch, "-o", out, "--quiet"}

	off := b.run("", b.command, append(command, "--fsync", "off")...)
	b.row("1,000,000 items, key as id, fsync off", perSecond(millionEnded, off.wall), "-", true)
	half := sizeOf(out) / 2
	b.remove(out, out+".journal")

	began := time.Now()
	p := startProcess(b.T, dir, "", []string{"GOMAXPROCS=2"}, command...)
	for sizeOf(out) < half {
		select {
		case <-p.ended:
			b.Fatalf("it has ended:\n%s", p.err.String())
		case <-time.After(time.Millisecond):
		}
	}
	took := time.Since(began)
	p.kill()
	had := countLines(b.T, out)
	b.row("  fsync group, killed in the middle: until then", perSecond(had, took), "-", true)
	rest := b.run("", b.command, command...)
	b.onceEach(out)
	b.row("  the rest, run again", perSecond(millionEnded-had, rest.wall), "-", true)

	b.failSome(out)
	held := b.figures(out)
	before, err := os.Stat(out)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		what string
		make func()
		bar  time.Duration
	}{
		{"without a journal", func() { b.remove(out + ".journal") }, 2500 * time.Millisecond},
		{"source touched", func() { _ = os.Chtimes(source, time.Time{}, time.Now()) }, 2500 * time.Millisecond},
		{"known to be complete", func() {}, 500 * time.Millisecond},
	} {
		var walls []time.Duration
		anon := 0
		for range 3 {
			c.make()
			b.remove(filepath.Join(dir, "summary.json"))
			p := b.process(nil, b.command, command...)
			if p.code != exitItems {
				b.Fatalf("%s: exit code %d\n%s", c.what, p.code, p.said)
			}
			b.sums(filepath.Join(dir, "summary.json"), held)
			walls, anon = append(walls, p.wall), max(anon, p.anon)
		}
		slices.Sort(walls)
		b.row("1,000,000 ended items again, "+c.what, fmt.Sprintf("%.2f s", walls[1].Seconds()), fmt.Sprintf("<= %.1f s", c.bar.Seconds()), walls[1] <= c.bar)
		b.row("  its peak RssAnon", fmt.Sprintf("%.1f MB", float64(anon)/(1<<20)), "-", true)
	}
	if after, err := os.Stat(out); err != nil || !after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size() {
		b.Errorf("the results were written to (%v)", err)
	}
}

func perSecond(items int, took time.Duration) string {
	return fmt.Sprintf("%.0f items/s", float64(items)/took.Seconds())
}

func (b *bench) remove(paths ...string) {
	b.Helper()
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			b.Fatal(err)
		}
	}
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// eachLine calls do with the lines of a file.
func (b *bench) eachLine(path string, do func(line []byte)) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		do(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		b.Fatal(err)
	}
}

// onceEach checks that there is one line of each item.
func (b *bench) onceEach(path string) {
	b.Helper()
	seen, n := make([]bool, millionEnded), 0
	b.eachLine(path, func(line []byte) {
		text, _, _ := strings.Cut(strings.TrimPrefix(string(line[:min(len(line), 20)]), `{"id":"`), `"`)
		id, err := strconv.Atoi(text)
		if err != nil || id >= millionEnded || seen[id] {
			b.Fatalf("a second line, or one of no item: %s", line)
		}
		seen[id] = true
		n++
	})
	if n != millionEnded {
		b.Errorf("%d result lines, not %d", n, millionEnded)
	}
}

// failSome makes the results those of a batch of which one item in a thousand has
// failed.
func (b *bench) failSome(path string) {
	b.Helper()
	f, err := os.Create(path + ".new")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w, n := bufio.NewWriterSize(f, 1<<20), 0
	b.eachLine(path, func(line []byte) {
		if n++; n%1000 == 0 {
			line = bytes.Replace(line, []byte(`"status":"succeeded"`), []byte(`"status":"failed"`), 1)
			line = bytes.Replace(line, []byte(`"error":null`), []byte(`"error":{"class":"refused","message":"not now","status_code":429,"node":null}`), 1)
		}
		_, _ = w.Write(line)
		_ = w.WriteByte('\n')
	})
	if err := cmp.Or(w.Flush(), os.Rename(f.Name(), path)); err != nil {
		b.Fatal(err)
	}
}

// figures counts what a results file holds, by what its lines look like.
func (b *bench) figures(path string) runner.Figures {
	b.Helper()
	f := runner.Figures{Statuses: map[runner.State]int{runner.Cancelled: 0, runner.TimedOut: 0}, Classes: map[string]int{}}
	b.eachLine(path, func(line []byte) {
		f.Items++
		if bytes.Contains(line, []byte(`,"status":"succeeded","inputs":`)) {
			f.Statuses[runner.Succeeded]++
		}
		if bytes.Contains(line, []byte(`,"status":"failed","inputs":`)) {
			f.Statuses[runner.Failed]++
		}
		if bytes.Contains(line, []byte(`,"error":{"class":"refused",`)) {
			f.Classes["refused"]++
		}
		if bytes.Contains(line, []byte(`,"attempts":1,`)) {
			f.Attempts++
		}
	})
	return f
}

// sums checks that a summary says what the results hold.
func (b *bench) sums(path string, held runner.Figures) {
	b.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	var said summaryFile
	if err := json.Unmarshal(text, &said); err != nil || len(said.Batches) != 1 {
		b.Fatalf("%v in %s", err, text)
	}
	got := said.Batches[0]
	if !got.Complete || got.ExitCode != exitItems {
		b.Errorf("complete: %v, exit code %d", got.Complete, got.ExitCode)
	}
	figures := runner.Figures{Items: got.Items, Statuses: got.Statuses, Classes: got.Classes, Attempts: got.Attempts}
	if diff := gocmp.Diff(held, figures); diff != "" {
		b.Errorf("the summary (-what the results hold +what it says):\n%s", diff)
	}
}

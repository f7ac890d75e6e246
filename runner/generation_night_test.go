package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"nightshift/spec"
)

// A row stands for an item and for what becomes of it: "a" succeeds, "a=2" too,
// with other inputs, and "a!connection" fails with that class.
type row string

func (r row) item() *spec.Item {
	name, _, _ := strings.Cut(string(r), "!")
	id, inputs, edited := strings.Cut(name, "=")
	if !edited {
		inputs = "1"
	}
	return &spec.Item{ID: id, Digest: id + inputs, Inputs: map[string]any{"in": inputs}}
}

// result is that of an item that stands like that. Every attempt takes a token.
func (r row) result(g *Generation, s Standing) *Result {
	it := r.item()
	result := &Result{
		ID: it.ID, Batch: g.Batch, Generation: g.ID, Digest: it.Digest, Inputs: it.Inputs, Status: Succeeded,
		Attempts: s.Attempts + 1, StartedAt: journalBegan, FinishedAt: journalBegan.Add(2 * time.Second), Duration: 2 * time.Second,
		Usage: addUsage(s.Usage, &Usage{InputTokens: 1, USD: 0.1}),
	}
	if s.Begun != nil {
		result.Attempts, result.Handle = s.Begun.Attempt, s.Begun.Handle
	}
	if _, class, failed := strings.Cut(string(r), "!"); failed {
		result.Status, result.Error = Failed, &ErrorInfo{Class: class}
	}
	return result
}

// nameOf is the row of a line, and how many attempts there were if several.
func nameOf(l *Line) string {
	name := l.ID
	if l.Digest != l.ID+"1" {
		name += "=" + strings.TrimPrefix(l.Digest, l.ID)
	}
	if l.Class != "" {
		name += "!" + l.Class
	}
	if l.Attempts != 1 {
		name += fmt.Sprintf("*%d", l.Attempts)
	}
	return name
}

// rowsIn reads the lines of a file, all of which must be whole.
func rowsIn(t testing.TB, path string) string {
	t.Helper()
	names, _ := readRows(t, path)
	return strings.Join(names, " ")
}

// readRows reads a file, and adds up what it says.
func readRows(t testing.TB, path string) (names []string, tally *Tally) {
	t.Helper()
	tally = &Tally{}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	for raw := range bytes.Lines(text) {
		var line Line
		whole, ended := bytes.CutSuffix(raw, []byte("\n"))
		if err := ParseLine(whole, &line); err != nil || !ended {
			t.Fatalf("%s: %v: %.200q", path, err, raw)
		}
		names = append(names, nameOf(&line))
		tally.Add(&line)
	}
	return names, tally
}

// said is a tally as text, which can be compared.
func said(t testing.TB, tally *Tally) string {
	t.Helper()
	text, err := json.Marshal(tally)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// snapshot is all that a folder has, with times.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		var text []byte
		if info.Mode().IsRegular() {
			if text, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		all[path] = fmt.Sprint(info.Mode(), info.ModTime().UnixNano(), string(text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// inMemory puts temporary files where forcing them onto the disk takes no time, if
// there is such a place.
func inMemory(t testing.TB) {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		t.Setenv("TMPDIR", memory)
	}
}

// nightly are the options of most tests. Nothing is forced onto the disk, as that
// takes time.
func nightly(t testing.TB) GenerationOptions {
	inMemory(t)
	return GenerationOptions{
		Path: filepath.Join(t.TempDir(), "r.jsonl"), Batch: "night", Date: "2026-11-23", Pipeline: "p1", Source: "s1", Fsync: FsyncOff,
	}
}

// openGen opens a generation. Whoever only looks at it before changes nothing, and
// is told the same.
func openGen(t testing.TB, o GenerationOptions) (*Generation, error) {
	t.Helper()
	before := snapshot(t, filepath.Dir(o.Path))
	looking := o
	looking.LookOnly = true
	look, lookErr := OpenGeneration(looking)
	if lookErr == nil {
		want(t, "close after a look", look.Close(true), nil)
	}
	want(t, "the folder after a look", snapshot(t, filepath.Dir(o.Path)), before)

	g, err := OpenGeneration(o)
	if err != nil {
		if !errors.Is(err, ErrChangedPipeline) {
			want(t, "error of the look", fmt.Sprint(lookErr), fmt.Sprint(err))
		}
		return nil, err
	}
	if lookErr != nil {
		t.Fatalf("error of the look: %v", lookErr)
	}
	want(t, "tally of the look", said(t, look.Tally()), said(t, g.Tally()))
	want(t, "tally before of the look", said(t, look.Before()), said(t, g.Before()))
	want(t, "complete in the look", look.Complete, g.Complete)
	want(t, "begun in the look", look.begun, g.begun)
	if g.Tally().Items > 0 && !o.Fresh {
		want(t, "generation of the look", look.ID, g.ID)
	}
	if !g.Complete && !o.Fresh { // then it is moved aside when something is to be written
		_, tally := readRows(t, o.Path)
		want(t, "tally when opened", said(t, g.Tally()), said(t, tally))
	}
	return g, nil
}

// mustOpen is openGen where nothing is wrong.
func mustOpen(t testing.TB, o GenerationOptions) *Generation {
	t.Helper()
	g, err := openGen(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// runLeft runs the rows that are to be run, and gives their names. The files stay
// open.
func runLeft(t testing.TB, g *Generation, rows string) string {
	t.Helper()
	var ran []string
	for name := range strings.FieldsSeq(rows) {
		r := row(name)
		s := g.Of(r.item())
		if s.Skip {
			continue
		}
		if g.results == nil {
			want(t, "begin", g.Begin(), nil)
		}
		result := r.result(g, s)
		g.Record(result)
		n, err := g.Commit()
		if n != 1 || err != nil {
			t.Fatal(n, err)
		}
		line := result.Line()
		ran = append(ran, nameOf(&line))
	}
	return strings.Join(ran, " ")
}

// invoke is one invocation: it runs what is to be run, to the end.
func invoke(t testing.TB, o GenerationOptions, rows string) (g *Generation, ran string) {
	t.Helper()
	g = mustOpen(t, o)
	ran = runLeft(t, g, rows)
	want(t, "close", g.Close(true), nil)
	_, tally := readRows(t, o.Path)
	want(t, "tally", said(t, g.Tally()), said(t, tally))
	return g, ran
}

// crash ends an invocation as a kill does: nothing more is written, and the lock
// is free.
func crash(g *Generation) {
	for _, f := range []*ResultsFile{g.results, g.replacing} {
		if f != nil {
			_ = f.syncer.stop()
			f.out.Close()
		}
	}
	if g.journal != nil {
		g.journal.out.Close()
	}
	g.lock.file.Close()
}

// isComplete tells what the journal says.
func isComplete(t testing.TB, path string) bool {
	t.Helper()
	return state(t.(*testing.T), journalPath(path)).Complete != nil
}

func mustClose(t testing.TB, g *Generation) *Generation {
	t.Helper()
	want(t, "close", g.Close(false), nil)
	return g
}

func mustOpenFresh(t testing.TB, o GenerationOptions) *Generation {
	t.Helper()
	g, err := OpenGeneration(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

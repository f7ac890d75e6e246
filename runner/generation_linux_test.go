package runner

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const page = 4096

// fill leaves so many pages free on the file system of a folder, and gives what
// makes room again.
func fill(t *testing.T, dir string, free int) (empty func()) {
	t.Helper()
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	put(t, filler, strings.Repeat("x", (int(fs.Bfree)-free)*page), 0o600)
	return func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
}

// smallDisk makes a file system in memory.
func smallDisk(t *testing.T, data string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, data); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFullDisk goes on with a generation on a disk with a page of room, two, and
// so on, so that it is full at every place. Nothing is lost, whole lines are left,
// and once there is room all goes on.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, "size=1m")
	met := map[string]bool{}
	for _, order := range []string{"new first", "old first", "torn", "nothing to do"} {
		for free := 0; ; free++ {
			where := onFullDisk(t, dir, order, free)
			if t.Failed() {
				t.Fatalf("%s, %d pages: full at %s", order, free, where)
			}
			if where == "" {
				break
			}
			met[where] = true
		}
	}
	want(t, "the disk was full", slices.Sorted(maps.Keys(met)), []string{"begin", "close: r.jsonl", "close: r.jsonl.journal", "commit: r.jsonl", "commit: r.jsonl.retry", "journal", "open"})
}

// onFullDisk tells where the disk was full; "" if it was not.
func onFullDisk(t *testing.T, dir, order string, free int) (where string) {
	o := nightly(t)
	o.Path, o.Outlive, o.Fsync = filepath.Join(dir, "r.jsonl"), true, FsyncGroup
	var old, added []string
	for i := range 12 {
		old = append(old, fmt.Sprintf("old%d!x", i))
		added = append(added, fmt.Sprintf("new%d", i))
	}
	first, _ := invoke(t, o, strings.Join(old, " "))
	defer func() {
		for name := range strings.FieldsSeq(namesIn(t, dir)) {
			os.Remove(filepath.Join(dir, name))
		}
	}()
	rows := slices.Concat(added, old)
	switch order {
	case "old first":
		rows = slices.Concat(old, added)
	case "torn": // in the middle too, so that the file is written anew
		text := contents(t, o.Path)
		put(t, o.Path, "garbage\n"+text+text[:100], 0o666)
	}

	empty := fill(t, dir, free)
	o.Source, o.RetryFailed = "s2", true
	todo := rows
	if order == "nothing to do" {
		rows, todo, o.RetryFailed = old, nil, false
	}
	where, committed, err := untilFull(o, todo)
	if full, ok := errors.AsType[*ResultsError](err); err != nil && (!ok || !errors.Is(err, syscall.ENOSPC)) {
		t.Error(err)
	} else if where == "close" || where == "commit" {
		where += ": " + filepath.Base(full.Path)
	}
	empty()
	held := map[string]bool{}
	for _, path := range []string{o.Path, retryPath(o.Path)} {
		if where == "open" && order == "torn" {
			continue // its lines are not whole, but as they were
		}
		names, _ := readRows(t, path)
		for _, name := range names {
			held[idsOf([]string{name})] = true
			held[name] = true
		}
	}
	for _, name := range committed {
		if !held[name] {
			t.Errorf("%s was committed, and is not there", name)
		}
	}
	if order == "torn" && where == "open" {
		want(t, "lines of the file", strings.Count(contents(t, o.Path), "\n"), len(old)+1)
	} else {
		for _, name := range old {
			if id := row(name).item().ID; !held[id] {
				t.Errorf("%s was there", id)
			}
		}
	}

	o.RetryFailed = false
	g, err := OpenGeneration(o)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "generation", g.ID, first.ID)
	runLeft(t, g, strings.Join(rows, " "))
	want(t, "close", g.Close(true), nil)
	names, tally := readRows(t, o.Path)
	want(t, "ids", idsOf(names), idsOf(rows))
	want(t, "tally", said(t, g.Tally()), said(t, tally))
	return where
}

// untilFull is one invocation, which tells where it met an error.
func untilFull(o GenerationOptions, rows []string) (where string, committed []string, err error) {
	g, err := OpenGeneration(o)
	if err != nil {
		return "open", nil, err
	}
	if len(rows) > 0 {
		if err := g.Begin(); err != nil {
			return "begin", nil, errors.Join(err, g.Close(false))
		}
	}
	for _, name := range rows {
		r := row(name)
		s := g.Of(r.item())
		b := Begun{ID: r.item().ID, Digest: r.item().Digest, Attempt: s.Attempts + 1, Handle: Handle{PipelineID: "p", TaskID: strings.Repeat("t", 300)}, At: journalBegan}
		if err := g.Intend(b); err != nil {
			_ = g.Close(false)
			return "journal", committed, err
		}
		if s.Attempts > 0 {
			r = row(b.ID) // now it succeeds
		}
		result := r.result(g, s)
		g.Record(result)
		n, err := g.Commit()
		if n == 1 {
			line := result.Line()
			committed = append(committed, nameOf(&line))
		}
		if err != nil {
			_ = g.Close(false)
			if full, ok := errors.AsType[*ResultsError](err); ok && full.Path == journalPath(o.Path) {
				return "journal", committed, err
			}
			return "commit", committed, err
		}
	}
	err = g.Close(true)
	if err == nil {
		return "", committed, nil
	}
	return "close", committed, err
}

func TestReadOnlyFileSystem(t *testing.T) {
	dir := smallDisk(t, "size=100k")
	o := nightly(t)
	o.Path = filepath.Join(dir, "r.jsonl")
	invoke(t, o, "a!x")
	text := contents(t, o.Path)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"r.jsonl", "new.jsonl", "deep/r.jsonl"} {
		for _, fresh := range []bool{false, true} {
			o.Path, o.Fresh = filepath.Join(dir, path), fresh
			_, err := OpenGeneration(o)
			if _, ok := errors.AsType[*ResultsError](err); !ok || !errors.Is(err, syscall.EROFS) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
	want(t, "kept", contents(t, filepath.Join(dir, "r.jsonl")), text)
	o.Path, o.Fresh, o.LookOnly = filepath.Join(dir, "r.jsonl"), false, true
	g, err := OpenGeneration(o)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "results of a look", g.Tally().Items, 1)
}

func TestDeviceThatIsFull(t *testing.T) {
	f, err := DeviceResults("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	record(f, "a")
	n, err := f.Commit()
	want(t, "written", n, 0)
	want(t, "message", fmt.Sprint(err), "cannot write results to /dev/full: no space left on device")
	want(t, "closed", f.Close(), nil)
}

package runner

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// text writes a text.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// namesIn lists what a folder holds.
func namesIn(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode()
}

func put(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestReplaceFile(t *testing.T) {
	dir := t.TempDir()
	path, plain := filepath.Join(dir, "a"), filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	want(t, "new", ReplaceFile(path, text("one")), nil)
	want(t, "text", contents(t, path), "one")
	want(t, "mode", modeOf(t, path), modeOf(t, plain))

	put(t, path, "one", 0o640)
	want(t, "again", ReplaceFile(path, text("two")), nil)
	want(t, "text", contents(t, path), "two")
	want(t, "mode that was there", modeOf(t, path), fs.FileMode(0o640))

	long := strings.Repeat("0123456789", 100_000)
	want(t, "long", ReplaceFile(path, text(long)), nil)
	want(t, "length", len(contents(t, path)), len(long))
	want(t, "names", namesIn(t, dir), "a plain")
}

func TestReplaceFileThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	reason := errors.New("no more words")
	for _, size := range []int{0, 10, 1 << 20} {
		fail := func(w io.Writer) error {
			_, _ = io.WriteString(w, strings.Repeat("x", size))
			return reason
		}
		_ = os.Remove(path)
		err := ReplaceFile(path, fail)
		want(t, "message", fmt.Sprint(err), "cannot write results to "+path+": no more words")
		if !errors.Is(err, reason) {
			t.Error("the reason is lost")
		}
		want(t, "names without", namesIn(t, dir), "")
		put(t, path, "old", 0o600)
		if ReplaceFile(path, fail) == nil {
			t.Error("no error")
		}
		want(t, "old one", contents(t, path), "old")
		want(t, "names", namesIn(t, dir), "a")
	}
	below := filepath.Join(path, "b")
	want(t, "below a file", fmt.Sprint(ReplaceFile(below, text(""))), "cannot write results to "+below+": not a directory")
	nowhere := filepath.Join(dir, "no", "b")
	want(t, "in no folder", fmt.Sprint(ReplaceFile(nowhere, text(""))), "cannot write results to "+nowhere+": no such file or directory")
	inner := &ResultsError{"other", reason}
	want(t, "said already", fmt.Sprint(ReplaceFile(path, func(io.Writer) error { return inner })), inner.Error())
}

func TestReplaceFileBehindLinks(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "deep")
	if err := os.Mkdir(deep, 0o777); err != nil {
		t.Fatal(err)
	}
	real, link, chain := filepath.Join(deep, "real"), filepath.Join(dir, "link"), filepath.Join(deep, "chain")
	for name, target := range map[string]string{link: "deep/chain", chain: real} {
		if err := os.Symlink(target, name); err != nil {
			t.Skip(err)
		}
	}
	for _, s := range []string{"one", "two"} { // the first time they lead nowhere yet
		want(t, s, ReplaceFile(link, text(s)), nil)
		want(t, "text", contents(t, real), s)
		want(t, "link", modeOf(t, link).Type(), fs.ModeSymlink)
		want(t, "chain", modeOf(t, chain).Type(), fs.ModeSymlink)
	}
	want(t, "names", namesIn(t, dir)+" "+namesIn(t, deep), "deep link chain real")
}

func TestReplaceFileIsWholeForOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			for range 5 {
				want(t, "error", ReplaceFile(path, text(strings.Repeat(string(rune('a'+i)), 100_000))), nil)
				if s := contents(t, path); len(s) != 100_000 || strings.Trim(s, s[:1]) != "" {
					t.Errorf("%d bytes, not of one writer", len(s))
				}
			}
		})
	}
	writers.Wait()
	want(t, "names", namesIn(t, filepath.Dir(path)), "a")
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	random := strings.Repeat("A", 26)
	own := []string{"r.jsonl.new-" + random, "r.jsonl.journal.new-" + random, "r.jsonl.retry.new-" + random}
	others := []string{"r.jsonl", "r.jsonl.new-1", "r.jsonl.x.new-" + random, "s.jsonl.new-" + random}
	for _, name := range append(own, others...) {
		put(t, filepath.Join(dir, name), "", 0o600)
	}
	RemoveLeftovers(filepath.Join(dir, "r.jsonl"), ".journal", ".retry")
	want(t, "names", namesIn(t, dir), strings.Join(others, " "))
	t.Chdir(dir)
	RemoveLeftovers("s.jsonl")
	want(t, "names", namesIn(t, dir), strings.Join(others[:3], " "))
}

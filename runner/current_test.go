package runner

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func readCurrent(t *testing.T, stateDir, batch, pattern string) Current {
	t.Helper()
	c, err := ReadCurrent(stateDir, batch, pattern)
	if err != nil {
		t.Fatal(err)
	}
	if c == nil {
		return Current{}
	}
	return *c
}

func TestCurrent(t *testing.T) {
	dir := t.TempDir()
	state := filepath.Join(dir, "out", ".nightshift")
	pattern := filepath.Join(dir, "out", "night-{{ date }}.jsonl")
	want(t, "none", readCurrent(t, state, "b", pattern), Current{})
	for _, date := range []string{"2026-11-22", "2026-11-23"} {
		c := Current{"g" + date, date, filepath.Join(dir, "out", "night-"+date+".jsonl")}
		want(t, "write", WriteCurrent(state, "b", pattern, c), nil)
		want(t, "read", readCurrent(t, state, "b", pattern), c)
	}
	want(t, "of another batch", readCurrent(t, state, "c", pattern), Current{})
	want(t, "of other results", readCurrent(t, state, "b", pattern+"x"), Current{})
	if names := namesIn(t, state); !strings.HasPrefix(names, "b-") || len(names) != len("b-12345678.json") {
		t.Error(names)
	}

	// It is the same from another folder, by other ways of naming the paths, and
	// after the tree was moved.
	t.Chdir(filepath.Join(dir, "out"))
	want(t, "relative", readCurrent(t, ".nightshift", "b", "./night-{{ date }}.jsonl"),
		Current{"g2026-11-23", "2026-11-23", "night-2026-11-23.jsonl"})
	t.Chdir(dir)
	if err := os.Rename("out", "moved"); err != nil {
		t.Fatal(err)
	}
	want(t, "moved", readCurrent(t, "moved/.nightshift", "b", filepath.Join(dir, "moved", "night-{{ date }}.jsonl")),
		Current{"g2026-11-23", "2026-11-23", filepath.Join("moved", "night-2026-11-23.jsonl")})
}

func TestCurrentOfManyBatches(t *testing.T) {
	state := t.TempDir()
	long := strings.Repeat("b", 300)
	batches := []string{"a", "A", "a.b", long, long + "2"}
	for i, batch := range batches {
		want(t, batch, WriteCurrent(state, batch, "r.jsonl", Current{string(rune('0' + i)), "", "r.jsonl"}), nil)
	}
	for i, batch := range batches {
		want(t, batch, readCurrent(t, state, batch, "r.jsonl").Generation, string(rune('0'+i)))
	}
}

func TestCurrentThatIsDamaged(t *testing.T) {
	state := t.TempDir()
	c := Current{"g", "d", filepath.Join(state, "r")}
	want(t, "write", WriteCurrent(state, "b", "r", c), nil)
	path := filepath.Join(state, namesIn(t, state))
	whole := contents(t, path)
	for end := range len(whole) - 1 {
		put(t, path, whole[:end], 0o600)
		if c, err := ReadCurrent(state, "b", "r"); c != nil || !errors.Is(err, ErrCurrentDamaged) || !strings.HasPrefix(err.Error(), path+" is damaged") {
			t.Fatal(end, c, err)
		}
	}
	put(t, path, strings.Replace(whole, `"batch":"b"`, `"batch":"c"`, 1), 0o600)
	want(t, "of another", readCurrent(t, state, "b", "r"), Current{})
	want(t, "over it", WriteCurrent(state, "b", "r", c), nil)
	want(t, "read", readCurrent(t, state, "b", "r"), c)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if c, err := ReadCurrent(state, "b", "r"); c != nil || err == nil || errors.Is(err, ErrCurrentDamaged) {
		t.Error(c, err)
	}
}

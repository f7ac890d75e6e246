package runner

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// lines counts those in the files of the generation.
func (m *machine) lines() int {
	n := 0
	for _, path := range []string{m.o.Path, retryPath(m.o.Path)} {
		text, err := os.ReadFile(path)
		if err == nil {
			n += strings.Count(string(text), "\n")
		}
	}
	return n
}

// LossOfPower: what is left is what the files say; where results must be on the
// disk, that is all of them, and all starts.
func (m *machine) LossOfPower(t *rapid.T) {
	m.need(t, true)
	m.d.kill(m.g)
	m.g = nil
	m.d.lose(t)
	looking := m.o
	looking.LookOnly, looking.RetryFailed, looking.Source = true, false, ""
	g, err := OpenGeneration(looking)
	m.must(t, err)
	going := maps.Clone(g.begun)
	safe := m.o.Fsync == FsyncEach || m.o.Fsync == FsyncGroup && m.o.Outlive
	if m.o.Fsync != FsyncOff {
		for id, b := range m.going {
			if left := going[id]; left.Digest != b.Digest || left.Attempt != b.Attempt || left.Handle.TraceID != b.Handle.TraceID {
				t.Fatalf("the start of %s, %+v, is known as %+v", id, b, left)
			}
		}
	}
	m.going = going
	held, failed := map[string]string{}, map[string]bool{}
	for _, path := range []string{m.o.Path, retryPath(m.o.Path)} {
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		m.must(t, ScanLines(file, func(s *ScannedLine) bool {
			if s.Err == nil {
				held[s.Line.ID] = s.Line.Digest
				if delete(failed, s.Line.ID); s.Line.Status != Succeeded {
					failed[s.Line.ID] = true
				}
			}
			return true
		}))
		file.Close()
	}
	if safe && (!maps.Equal(held, m.held) || !maps.Equal(failed, m.failed)) {
		t.Fatalf("%v is left of %v, failed %v of %v", held, m.held, failed, m.failed)
	}
	m.held, m.failed = held, failed
}

// Interrupt ends an invocation in an orderly way, with items left over.
func (m *machine) Interrupt(t *rapid.T) {
	m.need(t, true)
	m.close(t, false)
}

func (m *machine) close(t *rapid.T, whole bool) {
	m.d.hold(m.g, false)
	m.must(t, m.g.Close(whole))
	m.checkFile(t)
	m.g = nil
}

// Complete runs all that is left.
func (m *machine) Complete(t *rapid.T) {
	m.need(t, true)
	for _, id := range slices.Sorted(maps.Keys(m.rows)) {
		name := m.item(id)
		s := m.g.Of(name.item())
		if s.Skip || m.done[id] {
			continue
		}
		switch b, going := m.going[id]; {
		case going && b.Digest == name.item().Digest:
			s.Begun = &b
		case going: // that one was terminated, and another one started
			m.must(t, m.g.Intend(Begun{ID: id, Digest: name.item().Digest, Attempt: 1, Handle: Handle{PipelineID: "p", TraceID: "again"}, At: journalBegan}))
		}
		m.g.Record(name.result(m.g, s))
		if n, err := m.g.Commit(); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		delete(m.going, id)
		delete(m.failed, id)
		m.held[id] = name.item().Digest
	}
	m.close(t, true)
}

// checkFile: the results are whole lines, one of each item, and add up to what the
// generation says.
func (m *machine) checkFile(t *rapid.T) {
	names, tally := readRows(m.t, m.o.Path)
	ids := map[string]string{}
	for _, name := range names {
		id, _, _ := strings.Cut(name, "*")
		it := row(id).item()
		if _, twice := ids[it.ID]; twice {
			t.Fatalf("%s has two lines: %v", it.ID, names)
		}
		ids[it.ID] = it.Digest
	}
	if !maps.Equal(ids, m.held) || len(m.failed) != tally.NotSucceeded() {
		t.Fatalf("lines %v; want %v, failed %v", names, m.held, m.failed)
	}
	if got, read := said(m.t, m.g.Tally()), said(m.t, tally); got != read {
		t.Fatalf("it says %s, and the file %s", got, read)
	}
}

// finish: whatever was, every item ends with one line, and what was moved aside
// is there.
func (m *machine) finish(t *rapid.T) {
	if m.g == nil {
		m.Resume(t)
	}
	m.Complete(t)
	for id := range m.rows {
		if m.held[id] != m.item(id).item().Digest {
			t.Fatalf("%s has no result", id)
		}
	}
	aside := 0
	files, err := filepath.Glob(m.o.Path + ".2*")
	m.must(t, err)
	for _, path := range files {
		if text, err := os.ReadFile(path); err == nil && !strings.HasSuffix(path, ".journal") {
			aside += strings.Count(string(text), "\n")
		}
	}
	if aside < m.removed {
		t.Fatalf("%d lines were moved aside, and %d are there", m.removed, aside)
	}
	m.o.RetryFailed = false
	m.open(t)
	defer crash(m.g)
	if m.g.Complete != (len(m.held) > 0) {
		t.Fatalf("complete: %v, %d results", m.g.Complete, len(m.held))
	}
}

func (m *machine) Check(*rapid.T) {}

// TestWhatIsTrueOfEveryGeneration plays batches over many nights: crashes, losses
// of power, edits, everything.
func TestWhatIsTrueOfEveryGeneration(t *testing.T) {
	base := nightly(t)
	for _, mode := range []Fsync{FsyncEach, FsyncGroup, FsyncOff} {
		t.Run(string(mode), func(t *testing.T) {
			n := 0
			rapid.Check(t, func(r *rapid.T) {
				n++
				m := &machine{
					t: t, o: base, d: &disk{files: map[string]*powerFile{}}, rows: map[string]int{"i0": 0, "i1": 0, "i2": 0},
					held: map[string]string{}, failed: map[string]bool{}, going: map[string]Begun{}, ids: map[string]bool{},
				}
				m.o.Fsync, m.o.Outlive = mode, rapid.Bool().Draw(r, "runs outlive")
				m.o.Path = filepath.Join(filepath.Dir(base.Path), fmt.Sprint(n), "r.jsonl")
				defer os.RemoveAll(filepath.Dir(m.o.Path))
				defer m.d.close()
				r.Repeat(rapid.StateMachineActions(m))
				m.finish(r)
			})
		})
	}
}

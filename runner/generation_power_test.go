package runner

import (
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// TestLossOfPower: a batch whose power fails a few times ends with one line of
// each item, and what had to be on the disk was not lost.
func TestLossOfPower(t *testing.T) {
	base := nightly(t)
	for _, mode := range []Fsync{FsyncEach, FsyncGroup, FsyncOff} {
		t.Run(string(mode), func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				o := base
				o.Fsync, o.Outlive = mode, rapid.Bool().Draw(rt, "runs outlive")
				if err := os.RemoveAll(filepath.Dir(o.Path)); err != nil {
					rt.Fatal(err)
				}
				losePower(t, rt, o)
			})
		})
	}
}

func losePower(t *testing.T, rt *rapid.T, o GenerationOptions) {
	d := &disk{files: map[string]*powerFile{}}
	defer d.close()
	rows := []string{"a", "b", "c!x", "d", "e!x", "f"}
	for range rapid.IntRange(1, 4).Draw(rt, "times") {
		o.RetryFailed = rapid.Bool().Draw(rt, "again")
		g, err := OpenGeneration(o)
		if err != nil {
			rt.Fatal(err)
		}
		d.begin(rt, g)
		started := map[string]Begun{}
		committed := map[string]bool{}
		hold := modeOfSyncs(o) == FsyncGroup
		for _, name := range rows {
			if rapid.IntRange(0, 9).Draw(rt, "stop") == 0 {
				break
			}
			r := row(name)
			it := r.item()
			s := g.Of(it)
			if s.Skip {
				continue
			}
			if o.Outlive && s.Begun == nil {
				s.Begun = &Begun{ID: it.ID, Digest: it.Digest, Attempt: s.Attempts + 1, Handle: Handle{TraceID: "t"}, At: journalBegan}
				if err := g.Intend(*s.Begun); err != nil {
					rt.Fatal(err)
				}
				started[it.ID] = *s.Begun
			}
			if hold {
				d.hold(g, rapid.Bool().Draw(rt, "syncs are slow"))
			}
			if rapid.IntRange(0, 3).Draw(rt, "goes on") == 0 {
				continue
			}
			g.Record(r.result(g, s))
			if n, err := g.Commit(); n != 1 || err != nil {
				rt.Fatal(n, err)
			}
			delete(started, it.ID)
			committed[it.ID+it.Digest] = true
		}
		if hold && rapid.Bool().Draw(rt, "time goes by") {
			d.hold(g, false)
		}
		stays := d.synced(o.Path)
		if o.Fsync == FsyncEach || o.Fsync == FsyncGroup && o.Outlive {
			for id := range committed {
				if !stays[id] {
					rt.Fatalf("%s was committed, and is not synced", id)
				}
			}
		}
		d.kill(g)
		if rapid.Bool().Draw(rt, "power fails") {
			d.lose(rt)
		}
		checkAfterLoss(rt, o, rows, stays, started)
	}
	o.RetryFailed = false
	g, err := OpenGeneration(o)
	if err != nil {
		rt.Fatal(err)
	}
	for _, name := range rows {
		runLeft(t, g, name)
	}
	if err := g.Close(true); err != nil {
		rt.Fatal(err)
	}
	names, tally := readRows(t, o.Path)
	if idsOf(names) != "a b c d e f" || said(t, g.Tally()) != said(t, tally) {
		rt.Fatalf("%v, %s, %s", names, said(t, g.Tally()), said(t, tally))
	}
}

// modeOfSyncs is that of the syncs of the results, which those of runs that outlive this
// process do not leave to another goroutine.
func modeOfSyncs(o GenerationOptions) Fsync {
	if o.Outlive && o.Fsync == FsyncGroup {
		return FsyncEach
	}
	return o.Fsync
}

// checkAfterLoss: what was on the disk is known, and so is every run that was
// started.
func checkAfterLoss(rt *rapid.T, o GenerationOptions, rows []string, stays map[string]bool, started map[string]Begun) {
	o.RetryFailed, o.LookOnly = false, true
	g, err := OpenGeneration(o)
	if err != nil {
		rt.Fatal(err)
	}
	for _, name := range rows {
		it := row(name).item()
		s := g.Of(it)
		if stays[it.ID+it.Digest] && !s.Ended {
			rt.Fatalf("the result of %s was on the disk, and is lost", it.ID)
		}
		if _, there := started[it.ID]; there && s.Begun == nil && o.Fsync != FsyncOff {
			rt.Fatalf("the run of %s is lost", it.ID)
		}
	}
}

package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestResultsThatOthersTouch: what was written into a file that is no longer there,
// or not like that, is not said to be kept.
func TestResultsThatOthersTouch(t *testing.T) {
	touches := map[string]func(path string) error{
		"emptied":   func(path string) error { return os.Truncate(path, 0) },
		"removed":   os.Remove,
		"shortened": func(path string) error { return os.Truncate(path, 10) },
		"saved by an editor": func(path string) error {
			saved, err := os.ReadFile(path)
			if err == nil {
				err = ReplaceFile(path, text(string(saved)))
			}
			return err
		},
		"appended to": func(path string) error {
			out, err := openToAppend(path)
			if err == nil {
				_, err = out.Write([]byte("x\n"))
				out.Close()
			}
			return err
		},
	}
	for name, touch := range touches {
		for _, end := range []string{"", ".retry"} {
			t.Run(name+end, func(t *testing.T) {
				o := nightly(t)
				invoke(t, o, "a b!x")
				o.Source, o.RetryFailed = "s2", true
				g := mustOpen(t, o)
				want(t, "ran", runLeft(t, g, "a b c"), "b*2 c")
				if err := touch(o.Path + end); err != nil {
					t.Fatal(err)
				}
				left, _ := os.ReadFile(o.Path)
				err := g.Close(true)
				want(t, "error", fmt.Sprint(err), "cannot write results to "+o.Path+end+": it was replaced or changed by another program while the batch ran")
				if _, ok := errors.AsType[*ResultsError](err); !ok {
					t.Error("its exit code is another")
				}
				want(t, "complete", isComplete(t, o.Path), false)
				after, _ := os.ReadFile(o.Path)
				want(t, "results", string(after), string(left)) // nothing was joined to them
			})
		}
	}
}

// Between the opening of a generation and its beginning rows are read, for minutes.
func TestResultsThatAreTouchedBeforeTheyAreWrittenTo(t *testing.T) {
	o := nightly(t)
	invoke(t, o, "a b")
	o.Source = "s2"
	g := mustOpen(t, o)
	if err := os.Truncate(o.Path, 0); err != nil {
		t.Fatal(err)
	}
	want(t, "ran", runLeft(t, g, "a b c"), "c")
	if err := g.Close(true); !errors.Is(err, errTouched) {
		t.Error(err)
	}
	want(t, "complete", isComplete(t, o.Path), false)
}

func TestResultsBehindALinkAreNotTouched(t *testing.T) {
	o := nightly(t)
	if err := os.Symlink("real.jsonl", o.Path); err != nil {
		t.Skip(err)
	}
	invoke(t, o, "a b!x")
	o.RetryFailed = true
	_, ran := invoke(t, o, "a b c")
	want(t, "ran", ran, "b*2 c")
}

// TestNewFolders: results that are on the disk must be found there after a loss of
// power.
func TestNewFolders(t *testing.T) {
	for mode, wanted := range map[Fsync]string{FsyncOff: "", FsyncGroup: ". new new/er", FsyncEach: ". new new/er"} {
		o := nightly(t)
		dir := filepath.Dir(o.Path)
		o.Path, o.Fsync = filepath.Join(dir, "new", "er", "night", "r.jsonl"), mode
		g, err := OpenGeneration(o)
		if err != nil {
			t.Fatal(err)
		}
		var synced []string
		g.syncFolder = func(path string) error {
			relative, err := filepath.Rel(dir, path)
			synced = append(synced, relative)
			return errors.Join(err, syncDir(path))
		}
		want(t, "begin", g.Begin(), nil)
		slices.Sort(synced)
		want(t, "synced "+string(mode), strings.Join(synced, " "), wanted)
		want(t, "close", g.Close(false), nil)
	}
}

// TestResultsThatOthersTouchMeanwhile: what is there then stays, and nothing is
// joined to it.
func TestResultsThatOthersTouchMeanwhile(t *testing.T) {
	for _, rows := range []string{"c", "b c"} { // b has a line already
		o := nightly(t)
		invoke(t, o, "a b!x")
		o.Source, o.RetryFailed, o.Fsync = "s2", true, FsyncEach
		g := mustOpen(t, o)
		want(t, "begin", g.Begin(), nil)
		const other = "another's\n"
		if err := ReplaceFile(o.Path, text(other)); err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(rows) {
			g.Record(row(name).result(g, Standing{}))
		}
		_, err := g.Commit()
		want(t, "touched", errors.Is(err, errTouched), true)
		want(t, "close", g.Close(false), nil) // it was said
		want(t, "what is there", contents(t, o.Path), other)
		want(t, "complete", isComplete(t, o.Path), false)
	}
}

package runner

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var (
	journalBegan = time.Date(2026, 11, 23, 23, 30, 0, 0, time.UTC)
	someHeader   = journalHeader{Generation: "g1", Batch: "night", Date: "2026-11-23", Pipeline: "p0", Partial: true, StartedAt: journalBegan}
)

// someStart is a start of an item; with a task it is known that it succeeded.
func someStart(id string, attempt int, task string) Begun {
	return Begun{ID: id, Digest: "d-" + id, Attempt: attempt, Handle: Handle{"p", task, "trace-" + id}, At: journalBegan.Add(time.Second)}
}

// newJournal makes a journal, whose file can be tampered with.
func newJournal(t *testing.T, mode Fsync, begun ...Begun) (*journal, *diskFile) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "r.jsonl.journal")
	j, err := createJournal(path, someHeader, begun, mode)
	if err != nil {
		t.Fatal(err)
	}
	disk := &diskFile{resultsOutput: j.out, room: 1 << 40}
	j.out = disk
	j.open = func(path string) (resultsOutput, error) {
		out, err := openToAppend(path)
		disk.reopened(out)
		return disk, err
	}
	t.Cleanup(func() {
		j.close()
		want(t, "closed during a sync", disk.cutShort, false)
	})
	return j, disk
}

// diskFile is a file on a disk with room for so many bytes, that says what a loss
// of power would leave of what was written.
type diskFile struct {
	resultsOutput
	takes time.Duration // a sync

	mu                   sync.Mutex
	room                 int
	written, durable     strings.Builder
	syncs, opens         int
	syncing, cutShort    bool
	truncateErr, syncErr error
}

func (d *diskFile) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.resultsOutput.Write(p[:min(len(p), d.room)])
	d.written.Write(p[:n])
	if d.room -= n; err == nil && n < len(p) {
		err = &os.PathError{Op: "write", Path: "elsewhere", Err: syscall.ENOSPC}
	}
	return n, err
}

func (d *diskFile) Truncate(size int64) error {
	if d.truncateErr != nil {
		return d.truncateErr
	}
	return d.resultsOutput.Truncate(size)
}

func (d *diskFile) Sync() error {
	d.mu.Lock()
	all := d.written.String()
	d.syncs++
	d.syncing = true
	d.mu.Unlock()
	time.Sleep(d.takes)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.syncing = false
	if d.syncErr == nil {
		d.durable.Reset()
		d.durable.WriteString(all)
	}
	return d.syncErr
}

func (d *diskFile) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cutShort = d.cutShort || d.syncing
	return d.resultsOutput.Close()
}

func (d *diskFile) reopened(out resultsOutput) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resultsOutput = out
	d.opens++
}

// isDurable tells whether the disk has a text.
func (d *diskFile) isDurable(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Contains(d.durable.String(), text)
}

// state reads a journal in which nothing is torn.
func state(t *testing.T, path string) *journalState {
	t.Helper()
	s, err := readJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "torn", s.Torn, int64(0))
	return s
}

func byID(begun ...Begun) map[string]Begun {
	all := map[string]Begun{}
	for _, b := range begun {
		all[b.ID] = b
	}
	return all
}

func TestJournal(t *testing.T) {
	known := someStart("known", 2, "t2")
	j, _ := newJournal(t, FsyncGroup, known)
	steps := []struct {
		do    func() error
		live  []Begun
		added string
	}{
		{func() error { return j.intend(someStart("a", 1, "")) }, []Begun{known, someStart("a", 1, "")},
			`{"intent":{"id":"a","digest":"d-a","attempt":1,"pipeline_id":"p","trace_id":"trace-a","at":"2026-11-23T23:30:01Z"}}`},
		{func() error { return j.began(someStart("a", 1, "t1")) }, []Begun{known, someStart("a", 1, "t1")},
			`{"began":{"id":"a","digest":"d-a","attempt":1,"pipeline_id":"p","task_id":"t1","trace_id":"trace-a","at":"2026-11-23T23:30:01Z"}}`},
		{func() error { return j.drop("known") }, []Begun{someStart("a", 1, "t1")}, `{"dropped":"known"}`},
		{func() error { return j.drop("known") }, []Begun{someStart("a", 1, "t1")}, ``}, // nothing to forget
		{func() error { return j.intend(someStart("a", 2, "")) }, []Begun{someStart("a", 2, "")},
			`{"intent":{"id":"a","digest":"d-a","attempt":2,"pipeline_id":"p","trace_id":"trace-a","at":"2026-11-23T23:30:01Z"}}`},
	}
	text := contents(t, j.path)
	want(t, "header", text[:strings.Index(text, "\n")+1],
		`{"journal":1,"generation":"g1","batch":"night","date":"2026-11-23","pipeline":"p0","partial":true,"fresh":false,"started_at":"2026-11-23T23:30:00Z"}`+"\n")
	for _, step := range steps {
		want(t, "error", step.do(), nil)
		before := text
		text = contents(t, j.path)
		want(t, "added", strings.TrimSuffix(strings.TrimPrefix(text, before), "\n"), step.added)
		s := state(t, j.path)
		want(t, "header", s.Header, someHeader)
		want(t, "live", s.Begun, byID(step.live...))
	}

	want(t, "close", j.close(), nil)
	want(t, "close again", j.close(), nil)
	done := completion{ResultsSize: 7, ResultsTime: journalBegan.Add(time.Nanosecond), Source: "s", Tally: &Tally{}}
	want(t, "complete", j.complete(done), nil)
	want(t, "close", j.close(), nil)
	s := state(t, j.path)
	want(t, "header", s.Header, someHeader)
	want(t, "live", s.Begun, byID(someStart("a", 2, "")))
	if c := s.Complete; c == nil || c.ResultsSize != 7 || !c.ResultsTime.Equal(done.ResultsTime) || c.Source != "s" || c.Tally == nil {
		t.Errorf("%+v", c)
	}
	want(t, "lines", strings.Count(contents(t, j.path), "\n"), 3)
	want(t, "after it", fmt.Sprint(j.intend(someStart("b", 1, ""))), "cannot write results to "+j.path+": file already closed")
}

func TestJournalIsCompleteWhileItIsOpen(t *testing.T) {
	j, _ := newJournal(t, FsyncGroup)
	want(t, "intend", j.intend(someStart("a", 1, "")), nil)
	over := someStart("b", 1, "")
	want(t, "intend", j.intend(over), nil)
	over.Over = true
	want(t, "over", j.began(over), nil)
	want(t, "complete", j.complete(completion{ResultsSize: 7}), nil)
	s := state(t, j.path)
	want(t, "live", s.Begun, byID(someStart("a", 1, "")))
	want(t, "complete", s.Complete, &completion{ResultsSize: 7})
	want(t, "close", j.close(), nil)
}

func TestJournalThatIsResumedIsWrittenAnew(t *testing.T) {
	j, _ := newJournal(t, FsyncGroup)
	for i := range 20 {
		want(t, "intend", j.intend(someStart(fmt.Sprint(i), 1, "")), nil)
	}
	for i := range 18 {
		want(t, "drop", j.drop(fmt.Sprint(i)), nil)
	}
	want(t, "close", j.close(), nil)
	text := contents(t, j.path)
	put(t, j.path, text+`{"intent":{"id":"half`, 0o640)
	s, err := readJournal(j.path)
	if err != nil {
		t.Fatal(err)
	}
	var begun []Begun
	for _, b := range s.Begun {
		begun = append(begun, b)
	}
	next, err := createJournal(j.path, s.Header, begun, FsyncGroup)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "drop", next.drop("18"), nil)
	want(t, "close", next.close(), nil)
	want(t, "live", state(t, j.path).Begun, byID(someStart("19", 1, "")))
	want(t, "lines", strings.Count(contents(t, j.path), "\n"), 4)
	want(t, "mode", modeOf(t, j.path).Perm(), os.FileMode(0o640))
	want(t, "names", namesIn(t, filepath.Dir(j.path)), "r.jsonl.journal")
}

// Whatever room there is, whole records are left, and the first error is the last
// word.
func TestJournalOnAFullDisk(t *testing.T) {
	j, _ := newJournal(t, FsyncOff)
	before := len(contents(t, j.path))
	want(t, "intend", j.intend(someStart("a", 1, "")), nil)
	size := len(contents(t, j.path)) - before
	for room := range 3 * size {
		j, disk := newJournal(t, FsyncGroup)
		disk.room = room
		whole := byID()
		for _, id := range []string{"a", "b", "c"} {
			b := someStart(id, 1, "")
			if err := j.intend(b); err != nil {
				want(t, "message", err.Error(), "cannot write results to "+j.path+": no space left on device")
				break
			}
			whole[id] = b
		}
		want(t, "records", len(whole), room/size)
		want(t, "live", state(t, j.path).Begun, whole)
		disk.room = 1 << 20
		for _, err := range []error{j.intend(someStart("d", 1, "")), j.began(someStart("a", 1, "t")), j.drop("a"), j.complete(completion{}), j.close()} {
			want(t, "afterwards", fmt.Sprint(err), "cannot write results to "+j.path+": no space left on device")
		}
		want(t, "live", state(t, j.path).Begun, whole)
	}
}

func TestJournalThatCannotBeCut(t *testing.T) {
	j, disk := newJournal(t, FsyncGroup)
	want(t, "intend", j.intend(someStart("a", 1, "")), nil)
	disk.room, disk.truncateErr = 10, &os.PathError{Op: "truncate", Path: "elsewhere", Err: syscall.EIO}
	want(t, "message", fmt.Sprint(j.drop("a")), "cannot write results to "+j.path+
		": no space left on device; and the file may end with half a line: input/output error")
	s, err := readJournal(j.path)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "torn", s.Torn, int64(10))
	want(t, "live", s.Begun, byID(someStart("a", 1, "")))
}

func TestJournalThatCannotBeMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "no", "r.jsonl.journal")
	_, err := createJournal(path, someHeader, nil, FsyncGroup)
	want(t, "message", fmt.Sprint(err), "cannot write results to "+path+": no such file or directory")
}

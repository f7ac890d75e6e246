package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
)

// journal is the crash log of a generation: what was started and has not ended.
// Its methods may be called by several goroutines; their errors are a
// *ResultsError. A write that fails leaves whole records only, and is the last.
type journal struct {
	path   string
	header journalHeader
	mode   Fsync
	most   int64                                    // bytes, before it matters what is dead
	open   func(path string) (resultsOutput, error) // for appending

	mu      sync.Mutex
	turn    sync.Cond // for mu: a sync has ended
	out     resultsOutput
	live    map[string]Begun // by id: starts that are not dropped
	records int              // in the file, live and dead
	size    int64            // of the whole records and the header
	written int64            // records since the beginning
	synced  int64            // of these, those that the disk has
	syncing bool             // somebody syncs, without mu
	failed  error
}

// createJournal writes a journal anew, with the starts that are known already,
// and keeps it open for more.
func createJournal(path string, h journalHeader, begun []Begun, mode Fsync) (*journal, error) {
	j := &journal{path: path, header: h, mode: mode, most: maxJournal, open: openToAppend, live: map[string]Begun{}}
	j.turn.L = &j.mu
	for _, b := range begun {
		j.live[b.ID] = b
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.compact(); err != nil {
		return nil, err
	}
	return j, nil
}

func openToAppend(path string) (resultsOutput, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
}

// intend notes that a run is about to be started. It returns when the disk has it,
// unless nothing is to be forced onto the disk.
func (j *journal) intend(b Begun) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.live[b.ID] = b
	if err := j.append(journalRecord{Intent: newJournalStart(b)}); err != nil || j.mode == FsyncOff {
		return err
	}
	return j.sync()
}

// began notes the handle of a run.
func (j *journal) began(b Begun) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.live[b.ID] = b
	return j.append(journalRecord{Began: newJournalStart(b)})
}

// drop forgets the start of an item: it has ended, or there is no run.
func (j *journal) drop(id string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, known := j.live[id]; !known {
		return j.failed
	}
	delete(j.live, id)
	return j.append(journalRecord{Dropped: &id})
}

// complete writes the journal anew: its header, the runs that may still go on, and
// what the generation came to. It closes the journal, if that is not closed
// already.
func (j *journal) complete(c completion) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.awaitSync()
	maps.DeleteFunc(j.live, func(_ string, b Begun) bool { return b.Over })
	return j.rewrite(append(j.starts(), journalRecord{Complete: &c})...)
}

// close makes sure that the disk has the journal, and what came before.
func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.sync()
	j.awaitSync()
	if j.out == nil {
		return err
	}
	closeErr := j.out.Close()
	j.out = nil
	if err == nil && closeErr != nil {
		err = j.fail(closeErr)
	}
	return err
}

// append writes one record, with mu held.
func (j *journal) append(r journalRecord) error {
	if j.failed != nil {
		return j.failed
	}
	if j.out == nil {
		return j.fail(os.ErrClosed)
	}
	line, err := appendLine(nil, r)
	if err != nil {
		return j.fail(err)
	}
	n, err := j.out.Write(line)
	if err != nil {
		err = cause(err)
		if n > 0 {
			if cutErr := j.out.Truncate(j.size); cutErr != nil {
				err = fmt.Errorf("%w; and the file may end with half a line: %w", err, cause(cutErr))
			}
		}
		return j.fail(err)
	}
	j.size += int64(n)
	j.records++
	j.written++
	if j.mostlyDead() {
		if j.awaitSync(); j.mostlyDead() { // another may have seen to it
			return j.compact()
		}
	}
	return j.failed
}

// maxJournal is how many bytes a journal may take before it is looked at whether
// it holds more dead records than live ones.
const maxJournal = 1 << 20

func (j *journal) mostlyDead() bool {
	return j.failed == nil && j.size > j.most && j.records > 2*len(j.live)
}

// sync returns when the disk has all that is written, with mu held. Those that
// wait for a sync share the next one: it begins after what they have written.
func (j *journal) sync() error {
	for mine := j.written; j.failed == nil && j.synced < mine; {
		if j.syncing {
			j.turn.Wait()
			continue
		}
		out, all := j.out, j.written
		j.syncing = true
		j.mu.Unlock()
		err := syncable(out.Sync())
		j.mu.Lock()
		j.syncing = false
		if err != nil {
			_ = j.fail(err) // for all that wait
		} else {
			j.synced = all
		}
		j.turn.Broadcast()
	}
	return j.failed
}

// awaitSync returns when nobody uses the file without mu, with mu held.
func (j *journal) awaitSync() {
	for j.syncing {
		j.turn.Wait()
	}
}

// compact writes the journal anew with the starts that live, with mu held and
// nobody at a sync.
func (j *journal) compact() error {
	if err := j.rewrite(j.starts()...); err != nil {
		return err
	}
	out, err := j.open(j.path)
	if err != nil {
		return j.fail(err)
	}
	j.out = out
	return nil
}

// starts are the records of those that live, with mu held.
func (j *journal) starts() []journalRecord {
	records := make([]journalRecord, 0, len(j.live))
	for _, id := range slices.Sorted(maps.Keys(j.live)) {
		start := newJournalStart(j.live[id])
		if start.TaskID == "" {
			records = append(records, journalRecord{Intent: start})
		} else {
			records = append(records, journalRecord{Began: start})
		}
	}
	return records
}

// rewrite replaces the file by one of the header and these records, and leaves it
// closed, with mu held and nobody at a sync. The disk then has all of it.
func (j *journal) rewrite(records ...journalRecord) error {
	if j.failed != nil {
		return j.failed
	}
	text, err := appendLine(nil, headerLine{journalFormat, j.header})
	for i := range records {
		if err == nil {
			text, err = appendLine(text, records[i])
		}
	}
	if j.out != nil {
		j.out.Close() // Windows replaces no open file
		j.out = nil
	}
	if err == nil {
		err = ReplaceFile(j.path, func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		})
	}
	if err != nil {
		return j.fail(err)
	}
	j.size, j.records, j.synced = int64(len(text)), len(records), j.written
	return nil
}

func appendLine(text []byte, line any) ([]byte, error) {
	encoded, err := json.Marshal(line)
	return append(append(text, encoded...), '\n'), err
}

// fail keeps the first error, which all later calls get. It gives that one.
func (j *journal) fail(err error) error {
	if j.failed == nil {
		if _, said := errors.AsType[*ResultsError](err); !said {
			err = &ResultsError{j.path, cause(err)}
		}
		j.failed = err
	}
	return j.failed
}

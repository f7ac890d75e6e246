package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// journalFormat is the number of the form that journals are written in. Those of
// later numbers are not read.
const journalFormat = 1

// journalHeader says what a journal is of. It stays when the batch is complete.
type journalHeader struct {
	Generation string    `json:"generation"`
	Batch      string    `json:"batch"`
	Date       string    `json:"date"`     // what {{ date }} was filled with
	Pipeline   string    `json:"pipeline"` // its digest
	Partial    bool      `json:"partial"`
	Fresh      bool      `json:"fresh"`
	Ended      bool      `json:"ended,omitempty"` // it was complete, and only what failed is run again
	StartedAt  time.Time `json:"started_at"`
}

// completion is what is known of a generation that is complete: as long as the
// results file and the source are those, nothing else needs to be read.
type completion struct {
	ResultsSize int64     `json:"results_size"`
	ResultsTime time.Time `json:"results_mtime"`
	Source      string    `json:"source"` // its fingerprint
	Gone        int       `json:"gone"`   // results of items that it no longer has
	GoneFailed  int       `json:"gone_failed"`
	Tally       *Tally    `json:"tally"`
}

// The lines of a journal: a headerLine, then records, each with one of its fields.
type headerLine struct {
	Journal int `json:"journal"`
	journalHeader
}

type journalRecord struct {
	Intent   *journalStart `json:"intent,omitempty"`  // a run is about to be started
	Began    *journalStart `json:"began,omitempty"`   // it was, and this is its handle
	Dropped  *string       `json:"dropped,omitempty"` // the id of an item: its start is to be forgotten
	Complete *completion   `json:"complete,omitempty"`
}

type journalStart struct {
	ID         string    `json:"id"`
	Digest     string    `json:"digest"`
	Attempt    int       `json:"attempt"`
	PipelineID string    `json:"pipeline_id"`
	TaskID     string    `json:"task_id,omitempty"`
	TraceID    string    `json:"trace_id"`
	At         time.Time `json:"at"`
	Duplicate  bool      `json:"possible_duplicate,omitempty"`
	Ending     bool      `json:"ending,omitempty"`
	Over       bool      `json:"over,omitempty"`
	Pass       bool      `json:"pass,omitempty"`
	Unbegun    bool      `json:"unbegun,omitempty"`
}

func newJournalStart(b Begun) *journalStart {
	return &journalStart{b.ID, b.Digest, b.Attempt, b.Handle.PipelineID, b.Handle.TaskID, b.Handle.TraceID, b.At, b.Duplicate, b.Ending, b.Over, b.Pass, b.Unbegun}
}

func (s *journalStart) begun() Begun {
	return Begun{s.ID, s.Digest, s.Attempt, Handle{s.PipelineID, s.TaskID, s.TraceID}, s.At, s.Duplicate, s.Ending, s.Over, s.Pass, s.Unbegun}
}

// journalState is what a journal says.
type journalState struct {
	Header   journalHeader
	Begun    map[string]Begun // by id: starts that were not dropped
	Complete *completion      // nil unless it is
	Torn     int64            // bytes of records that are no whole ones, and do not count
}

// Why a journal cannot be read.
var (
	errJournalDamaged = errors.New("the header of this journal is damaged; move it away (runs that it knows to be going are then not found again)")
	errJournalNewer   = errors.New("this journal is of a newer nightshift")
)

// readJournal reads a journal. All of its whole records count: each stands for
// itself, and what is torn or damaged is skipped. A journal without its header is
// an errJournalDamaged, one of a later format an errJournalNewer.
func readJournal(path string) (*journalState, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	end := bytes.IndexByte(text, '\n') + 1
	state := &journalState{Begun: map[string]Begun{}}
	if err := state.readHeader(text[:end]); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for line := range bytes.Lines(text[end:]) {
		if !state.add(line) {
			state.Torn += int64(len(line))
		}
	}
	return state, nil
}

func (s *journalState) readHeader(line []byte) error {
	var format struct{ Journal int }
	if err := json.Unmarshal(line, &format); err != nil || format.Journal < 1 {
		return errJournalDamaged
	}
	if format.Journal > journalFormat {
		return fmt.Errorf("%w (its format is %d, this one knows %d); use that one, or choose another results file", errJournalNewer, format.Journal, journalFormat)
	}
	var header headerLine
	if err := json.Unmarshal(line, &header); err != nil || header.Generation == "" {
		return errJournalDamaged
	}
	s.Header = header.journalHeader
	return nil
}

// add tells whether a line is a whole record, and heeds it if so.
func (s *journalState) add(line []byte) bool {
	var r journalRecord
	if !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &r) != nil {
		return false
	}
	start := r.Began
	if start == nil {
		start = r.Intent
	}
	switch {
	case start != nil && start.ID != "":
		s.Begun[start.ID] = start.begun()
	case r.Dropped != nil:
		delete(s.Begun, *r.Dropped)
	case r.Complete != nil:
		s.Complete = r.Complete
	default:
		return false
	}
	return true
}

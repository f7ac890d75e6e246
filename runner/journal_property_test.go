package runner

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// journalModel is a journal beside what it should say.
type journalModel struct {
	path string
	j    *journal
	live map[string]Begun
}

func (m *journalModel) start(t *rapid.T) Begun {
	return Begun{
		ID:      fmt.Sprint("id-", rapid.IntRange(0, 30).Draw(t, "id")),
		Digest:  strings.Repeat("d", rapid.SampledFrom([]int{0, 8, 300}).Draw(t, "digest")),
		Attempt: rapid.IntRange(1, 5).Draw(t, "attempt"),
		Handle:  Handle{PipelineID: "p", TraceID: rapid.StringN(0, 10, -1).Draw(t, "trace")},
		At:      journalBegan,

		Duplicate: rapid.Bool().Draw(t, "duplicate"),
		Over:      rapid.Bool().Draw(t, "over"),
	}
}

func (m *journalModel) open(t *rapid.T, h journalHeader, begun []Begun) {
	var err error
	m.j, err = createJournal(m.path, h, begun, FsyncOff)
	m.must(t, err)
	m.j.most = 1000
}

func (m *journalModel) must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

func (m *journalModel) Intend(t *rapid.T) {
	b := m.start(t)
	m.must(t, m.j.intend(b))
	m.live[b.ID] = b
}

func (m *journalModel) Began(t *rapid.T) {
	b := m.start(t)
	b.Handle.TaskID = "task"
	m.must(t, m.j.began(b))
	m.live[b.ID] = b
}

func (m *journalModel) Drop(t *rapid.T) {
	id := fmt.Sprint("id-", rapid.IntRange(0, 35).Draw(t, "id"))
	m.must(t, m.j.drop(id))
	delete(m.live, id)
}

func (m *journalModel) DropAll(t *rapid.T) {
	for id := range m.live {
		m.must(t, m.j.drop(id))
	}
	clear(m.live)
}

// Resume goes on after a crash, in which the last record may be half written.
func (m *journalModel) Resume(t *rapid.T) {
	torn := rapid.SampledFrom([]string{"", "{", `{"dropped":"id-1"}`, "\x00\x00", "garbage\n"}).Draw(t, "torn")
	file, err := os.OpenFile(m.path, os.O_WRONLY|os.O_APPEND, 0)
	m.must(t, err)
	_, err = file.WriteString(torn)
	m.must(t, err)
	file.Close()
	s, err := readJournal(m.path)
	m.must(t, err)
	if s.Torn != int64(len(torn)) {
		t.Fatalf("%d bytes are torn, not %d", s.Torn, len(torn))
	}
	m.must(t, m.j.close())
	m.open(t, s.Header, slices.Collect(maps.Values(s.Begun)))
}

// Check: the file says at any time what lives, and takes no more than it may.
func (m *journalModel) Check(t *rapid.T) {
	s, err := readJournal(m.path)
	m.must(t, err)
	if diff := gocmp.Diff(m.live, s.Begun); diff != "" || s.Torn != 0 {
		t.Fatalf("live (-want +got), %d torn:\n%s", s.Torn, diff)
	}
	text, err := os.ReadFile(m.path)
	m.must(t, err)
	if records := strings.Count(string(text), "\n") - 1; int64(len(text)) > m.j.most && records > 2*len(m.live) {
		t.Fatalf("%d bytes, %d records, %d live", len(text), records, len(m.live))
	}
}

func TestJournalSaysWhatLives(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(r *rapid.T) {
		n++
		m := &journalModel{path: filepath.Join(dir, fmt.Sprint(n)), live: map[string]Begun{}}
		m.open(r, someHeader, nil)
		defer func() { m.j.close() }()
		r.Repeat(rapid.StateMachineActions(m))
	})
}

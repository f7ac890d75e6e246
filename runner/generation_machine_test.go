package runner

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// machine is a batch and its files over many invocations, beside what should be
// known of them.
type machine struct {
	t *testing.T
	o GenerationOptions
	d *disk
	g *Generation // nil: no invocation is under way

	source  int            // how often the source was changed
	rows    map[string]int // ids of the items that there are, and how often they were edited
	next    int
	held    map[string]string // ids of the items with a result, and the digest in it
	failed  map[string]bool   // of these, those that did not succeed
	going   map[string]Begun  // runs that were started, and whose end is not known
	done    map[string]bool   // ids of the items that this invocation has a result of
	id      string            // of the generation; "": there is none yet
	ids     map[string]bool   // of all generations
	removed int               // lines that were moved aside
}

func (m *machine) item(id string) row {
	if n := m.rows[id]; n > 0 {
		return row(fmt.Sprintf("%s=%d", id, n+1))
	}
	return row(id)
}

func (m *machine) must(t *rapid.T, err error) {
	if err != nil {
		t.Fatal(err)
	}
}

// draw takes one of the ids that are there.
func (m *machine) draw(t *rapid.T) string {
	if len(m.rows) == 0 {
		t.Skip("no rows")
	}
	return rapid.SampledFrom(slices.Sorted(maps.Keys(m.rows))).Draw(t, "id")
}

func (m *machine) need(t *rapid.T, underWay bool) {
	if (m.g != nil) != underWay {
		t.Skip("not now")
	}
}

// open begins an invocation, and checks that all that should be known is.
func (m *machine) open(t *rapid.T) {
	m.o.Source = fmt.Sprint(m.source)
	looking := m.o
	looking.LookOnly = true
	look, err := OpenGeneration(looking)
	m.must(t, err)
	g, err := OpenGeneration(m.o)
	m.must(t, err)
	if a, b := said(m.t, look.Tally()), said(m.t, g.Tally()); a != b || len(look.begun) != len(g.begun) {
		t.Fatalf("a look says %s, and %v; then it is %s, and %v", a, look.begun, b, g.begun)
	}
	m.g, m.done = g, map[string]bool{}
	if m.id != "" && g.ID != m.id && (len(m.held) > 0 || len(m.going) > 0) {
		t.Fatalf("the generation is %s, and not %s any more", g.ID, m.id)
	}
	if m.id = g.ID; g.Complete {
		return
	}
	if got := g.Tally(); got.Items != len(m.held) || got.NotSucceeded() != len(m.failed) {
		t.Fatalf("%d results, %d failed; want %d, %d", got.Items, got.NotSucceeded(), len(m.held), len(m.failed))
	}
	known := map[string]Begun{}
	for id := range m.rows {
		it := m.item(id).item()
		s := g.Of(it)
		if s.Begun != nil {
			known[id] = *s.Begun
		}
		if s.Stale != nil { // it is terminated before another one is started
			known[id] = *s.Stale
		}
		has, ended := m.held[id]
		again := m.o.RetryFailed && m.failed[id]
		if skip := ended && has == it.Digest && !again && s.Begun == nil; s.Skip != skip || s.Ended != ended || s.Edited != (ended && has != it.Digest) {
			t.Fatalf("%s stands like that: %+v", id, s)
		}
	}
	for _, b := range g.Orphans() {
		known[b.ID] = b
	}
	for id, b := range m.going {
		if k, there := known[id]; !there || k.Handle != b.Handle || k.Digest != b.Digest || k.Attempt != b.Attempt {
			t.Fatalf("the run of %s, %+v, is known as %+v", id, b, k)
		}
	}
	if len(known) != len(m.going) {
		t.Fatalf("runs %v are known, and %v are going", known, m.going)
	}
}

// begin opens the files, and the orphans are terminated.
func (m *machine) begin(t *rapid.T) {
	m.d.begin(t, m.g)
	orphans := m.g.Orphans()
	slices.SortFunc(orphans, func(a, b Begun) int { return cmp.Compare(a.ID, b.ID) })
	for _, b := range orphans {
		m.must(t, m.g.Drop(b.ID))
		delete(m.going, b.ID)
	}
}

func (m *machine) Resume(t *rapid.T) {
	m.need(t, false)
	m.o.RetryFailed, m.o.Fresh = false, false
	m.open(t)
	m.begin(t)
}

func (m *machine) RetryFailed(t *rapid.T) {
	m.need(t, false)
	m.o.RetryFailed, m.o.Fresh = true, false
	m.open(t)
	m.begin(t)
}

// Fresh moves all aside, also what a crash left unjoined, and loses nothing of it.
func (m *machine) Fresh(t *rapid.T) {
	m.need(t, false)
	lines := m.lines()
	m.o.RetryFailed, m.o.Fresh = false, true
	m.removed += lines
	m.held, m.failed, m.going = map[string]string{}, map[string]bool{}, map[string]Begun{}
	m.id = ""
	m.open(t)
	m.o.Fresh = false
	if m.ids[m.id] {
		t.Fatalf("%s is no new generation", m.id)
	}
	m.ids[m.id] = true
	m.begin(t)
}

func (m *machine) Start(t *rapid.T) {
	m.need(t, true)
	id := m.draw(t)
	it := m.item(id).item()
	s := m.g.Of(it)
	old, going := m.going[id]
	if !m.o.Outlive || s.Skip || going && old.Digest == it.Digest || m.done[id] { // one of other inputs was terminated
		t.Skip("no start")
	}
	b := Begun{ID: id, Digest: it.Digest, Attempt: s.Attempts + 1, Handle: Handle{PipelineID: "p", TraceID: fmt.Sprint("trace-", m.next)}, At: journalBegan}
	m.next++
	m.must(t, m.g.Intend(b))
	if rapid.Bool().Draw(t, "answered") {
		b.Handle.TaskID = fmt.Sprint("task-", m.next)
		m.must(t, m.g.Began(b))
	}
	m.going[id] = b
}

func (m *machine) Result(t *rapid.T) {
	m.need(t, true)
	var results []*Result
	for range rapid.IntRange(1, 3).Draw(t, "together") {
		id := m.draw(t)
		name := m.item(id)
		s := m.g.Of(name.item())
		b, going := m.going[id]
		if s.Skip || m.done[id] || m.o.Outlive && !going {
			continue
		}
		if going && b.Digest == name.item().Digest { // else it goes on, as it could not be terminated
			s.Begun = &b
		}
		if rapid.IntRange(0, 2).Draw(t, "fails") == 0 {
			name += "!x"
		}
		r := name.result(m.g, s)
		m.g.Record(r)
		m.done[id] = true
		results = append(results, r)
	}
	held := modeOfSyncs(m.o) == FsyncGroup && rapid.Bool().Draw(t, "syncs are slow")
	m.d.hold(m.g, held)
	if n, err := m.g.Commit(); n != len(results) || err != nil {
		t.Fatal(n, err)
	}
	if !held {
		m.d.hold(m.g, false)
	}
	for _, r := range results {
		if m.going[r.ID].Digest == r.Digest {
			delete(m.going, r.ID)
		}
		m.held[r.ID] = r.Digest
		if delete(m.failed, r.ID); r.Status != Succeeded {
			m.failed[r.ID] = true
		}
	}
}

// Park gives up a start that was refused, or a run that was terminated.
func (m *machine) Park(t *rapid.T) {
	m.need(t, true)
	id := m.draw(t)
	if _, going := m.going[id]; !going {
		t.Skip("no run")
	}
	m.must(t, m.g.Drop(id))
	delete(m.going, id)
}

func (m *machine) Crash(t *rapid.T) {
	m.need(t, true)
	m.d.kill(m.g)
	m.g = nil
}

func (m *machine) Edit(t *rapid.T) {
	m.need(t, false)
	m.rows[m.draw(t)]++
	m.source++
}

func (m *machine) AddRow(t *rapid.T) {
	m.need(t, false)
	m.rows[fmt.Sprint("i", rapid.IntRange(0, 9).Draw(t, "id"))] += 0
	m.source++
}

func (m *machine) RemoveRow(t *rapid.T) {
	m.need(t, false)
	delete(m.rows, m.draw(t))
	m.source++
}

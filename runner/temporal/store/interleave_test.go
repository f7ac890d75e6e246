package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"nightshift/runner"
)

// memory keeps objects in a map.
type memory struct {
	mu  sync.Mutex
	all map[string][]byte
}

func (m *memory) put(_ context.Context, key string, write func(io.Writer) error) error {
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[key] = text.Bytes()
	return nil
}

func (m *memory) get(_ context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, ok := m.all[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(text), nil
}

func (m *memory) exists(_ context.Context, key string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.all[key]
	return ok, nil
}

func (m *memory) list(_ context.Context, folder string) ([]entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var entries []entry
	for _, key := range slices.Sorted(maps.Keys(m.all)) {
		if name, ok := strings.CutPrefix(key, folder); ok && !strings.Contains(name, "/") {
			entries = append(entries, entry{name: name, size: int64(len(m.all[key]))})
		}
	}
	return entries, nil
}

func (m *memory) remove(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, key)
	return nil
}

func (m *memory) removeAll(context.Context, string) error { panic("not asked for") }
func (m *memory) close() error                            { return nil }

// inMemory is a store in memory.
func inMemory() *Store { return &Store{"memory", &memory{all: map[string][]byte{}}} }

var errFault = errors.New("a fault of the test")

// verdict is what becomes of an operation.
type verdict int

const (
	goOn    verdict = iota
	refused         // it fails
	unheard         // it is done, and fails
)

// stage lets operations happen one after the other, in an order that it decides.
type stage struct {
	mu      sync.Mutex
	waiting []chan verdict
}

func (s *stage) turn() verdict {
	turn := make(chan verdict)
	s.mu.Lock()
	s.waiting = append(s.waiting, turn)
	s.mu.Unlock()
	return <-turn
}

// play grants turns as the script says, until nobody asks for one.
func (s *stage) play(script []int) {
	for step := 0; ; step++ {
		synctest.Wait()
		if len(s.waiting) == 0 {
			return
		}
		choice := 0
		if step < len(script) {
			choice = script[step]
		}
		i := choice % len(s.waiting)
		turn := s.waiting[i]
		s.waiting = slices.Delete(s.waiting, i, i+1)
		v := goOn
		if luck := choice / 16; luck < 3 {
			v = verdict(luck)
		}
		turn <- v
	}
}

// staged are objects whose every operation waits for its turn.
type staged struct {
	objects
	stage *stage
}

func (o staged) do(work func() error) error {
	switch o.stage.turn() {
	case refused:
		return errFault
	case unheard:
		_ = work()
		return errFault
	}
	return work()
}

func (o staged) put(ctx context.Context, key string, write func(io.Writer) error) error {
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return err
	}
	return o.do(func() error {
		return o.objects.put(ctx, key, func(w io.Writer) error { _, err := w.Write(text.Bytes()); return err })
	})
}

func (o staged) get(ctx context.Context, key string) (text []byte, err error) {
	err = o.do(func() error { text, err = o.objects.get(ctx, key); return err })
	return text, err
}

func (o staged) list(ctx context.Context, folder string) (entries []entry, err error) {
	err = o.do(func() error { entries, err = o.objects.list(ctx, folder); return err })
	return entries, err
}

func (o staged) remove(ctx context.Context, key string) error {
	return o.do(func() error { return o.objects.remove(ctx, key) })
}

// attempt is what one of several attempts at a shard does.
type attempt struct {
	number int
	order  []int  // of items
	counts []bool // which of them do, at once
	many   []int  // how many results are in a Commit
	finish int    // how often
}

func attempts(items int) *rapid.Generator[attempt] {
	return rapid.Custom(func(t *rapid.T) attempt {
		order := make([]int, items)
		for i := range order {
			order[i] = i
		}
		return attempt{
			number: rapid.IntRange(1, 3).Draw(t, "number"),
			order:  rapid.Permutation(order).Draw(t, "order")[:rapid.IntRange(0, items).Draw(t, "items")],
			counts: rapid.SliceOfN(rapid.Bool(), items, items).Draw(t, "counts"),
			many:   rapid.SliceOfN(rapid.IntRange(1, 3), items, items).Draw(t, "many"),
			finish: rapid.IntRange(0, 3).Draw(t, "finish"),
		}
	})
}

// play makes the attempt. It tells written of ids whose results count as written.
func (a attempt) play(ctx context.Context, s *Store, written func(ids ...string)) error {
	k, err := s.ShardSink(ctx, passKey, 1, a.number)
	if errors.Is(err, errFault) {
		return nil // nothing was lost
	}
	if err != nil {
		return err
	}
	var all, now []string
	for i, item := range a.order {
		id := fmt.Sprint("i", item)
		if k.Done(id) {
			continue
		}
		took := time.Duration(0)
		if a.counts[item] {
			took = time.Second
		}
		k.Record(result(id, took))
		if now = append(now, id); len(now) < a.many[i] && i+1 < len(a.order) {
			continue
		}
		n, err := k.Commit()
		if err != nil {
			break
		}
		if n != len(now) {
			return fmt.Errorf("%d of %d are committed", n, len(now))
		}
		if all, now = append(all, now...), nil; len(k.pending) == 0 {
			written(all...)
		}
	}
	all = append(all, now...)
	for range a.finish {
		sum, err := k.Finish(ctx)
		if err != nil {
			continue
		}
		if written(all...); sum.Items < len(all) {
			return fmt.Errorf("the sum is of %d items, but there are %d", sum.Items, len(all))
		}
	}
	if a.finish == 0 && k.Flush(ctx) == nil {
		written(all...)
	}
	return nil
}

// TestAttemptsAtOnce plays attempts at one shard in any interleaving of what they do to
// the store, with failures among it. Whoever looks finds each id once, and all that
// were written before.
func TestAttemptsAtOnce(t *testing.T) {
	for name, open := range map[string]func() objects{
		"memory": func() objects { return &memory{all: map[string][]byte{}} },
		"folder": func() objects { return folder{t.TempDir(), newCalls(longestWait)} },
	} {
		t.Run(name, func(t *testing.T) { rapid.Check(t, func(rt *rapid.T) { attemptsAtOnce(t, rt, open()) }) })
	}
}

func attemptsAtOnce(t *testing.T, rt *rapid.T, objects objects) {
	const items = 4
	all := rapid.SliceOfN(attempts(items), 1, 3).Draw(rt, "attempts")
	looks := rapid.IntRange(0, 3).Draw(rt, "looks")
	script := rapid.SliceOfN(rapid.IntRange(0, 16*40), 0, 120).Draw(rt, "script")
	var problem error
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		plain := &Store{"memory", objects}
		lines := []byte(strings.Repeat(`{"id":"a"}`+"\n", items))
		if problem = plain.put(ctx, itemsObject(passKey, 1), lines); problem != nil {
			return
		}
		stage := &stage{}
		s := &Store{"memory", staged{objects, stage}}
		var mu sync.Mutex
		wrote := map[string]bool{}
		note := func(err error) {
			mu.Lock()
			defer mu.Unlock()
			problem = errors.Join(problem, err)
		}
		for _, a := range all {
			go func() {
				note(a.play(ctx, s, func(ids ...string) {
					mu.Lock()
					defer mu.Unlock()
					for _, id := range ids {
						wrote[id] = true
					}
				}))
			}()
		}
		look := func(s *Store) {
			mu.Lock()
			before := maps.Clone(wrote)
			mu.Unlock()
			text, _, err := s.Results(ctx, passKey, 1)
			if errors.Is(err, errFault) {
				return
			}
			note(err)
			_ = runner.ScanLines(bytes.NewReader(text), func(l *runner.ScannedLine) bool {
				note(l.Err)
				if l.Line.ID == "" {
					note(errors.New("there is a line without an id"))
				}
				if _, ok := before["seen "+l.Line.ID]; ok {
					note(fmt.Errorf("%s is there twice", l.Line.ID))
				}
				delete(before, l.Line.ID)
				before["seen "+l.Line.ID] = false
				return true
			})
			for id, lost := range before {
				if lost {
					note(fmt.Errorf("%s is lost", id))
				}
			}
		}
		go func() {
			for range looks {
				look(s)
			}
		}()
		stage.play(script)
		synctest.Wait()
		look(plain)
		// The last attempt has nobody beside it.
		k, err := plain.ShardSink(ctx, passKey, 1, 9)
		note(err)
		if err != nil {
			return
		}
		for i := range items {
			if id := fmt.Sprint("i", i); !k.Done(id) {
				k.Record(result(id, 0))
			}
		}
		sum, err := k.Finish(ctx)
		note(err)
		if err == nil && sum.Items != items {
			note(fmt.Errorf("%d items in the end", sum.Items))
		}
		look(plain)
		entries, err := plain.list(ctx, resultsFolder(passKey, 1))
		note(err)
		if len(entries) != 1 {
			note(fmt.Errorf("objects are left: %v", entries))
		}
	})
	if problem != nil {
		rt.Fatal(problem)
	}
}

package runner

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLines(t *testing.T) {
	tests := map[string]struct {
		total int
		items []string
		said  []string
	}{
		"total": {4, []string{"a 5s", "b 15s", "c 13s fail", "d 17s"}, []string{
			"10s b: 1 of 4 done (25.0%), 0 failed, 0.1/s, 30s left",
			"20s b: 3 of 4 done (75.0%), 1 failed, 0.1/s, 6.67s left", // c ended at 18 s
			"30s b: 3 of 4 done (75.0%), 1 failed, 0.1/s, 10s left",
		}},
		"no total": {-1, []string{"a 1s", "b 1s fail", "c 1s", "d 14s"}, []string{
			"10s b: 3 done, 1 failed, 0.3/s",
		}},
		"nothing yet": {2, []string{"a 12s", "b 12s"}, []string{
			"10s b: 0 of 2 done (0.0%), 0 failed, 0.0/s",
		}},
		"more than expected": {1, []string{"a 1s", "b 1s", "c 10s"}, []string{
			"10s b: 2 of 1 done (200.0%), 0 failed, 0.2/s",
		}},
		"parked": {3, []string{"a 1s park=12s 1s", "b 2s park=22s fail", "c 1s"}, []string{
			"10s b: 1 of 3 done (33.3%), 0 failed, 2 waiting to be tried again, 0.1/s, 20s left",
			"20s b: 2 of 3 done (66.7%), 0 failed, 1 waiting to be tried again, 0.1/s, 10s left",
		}},
		"short": {1, []string{"a 9s"}, []string{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := newPlan(t, test.items...)
				plan.Total = test.total
				began := time.Now()
				said := []string{}
				lines := &Lines{Every: 10 * time.Second, Say: func(line string) {
					said = append(said, fmt.Sprintf("%v %s", time.Since(began), line))
				}}
				if _, err := Run(t.Context(), plan, resuming{waiting{newFake(t)}}, &memory{}, lines); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Hour) // nothing is said after the end
				synctest.Wait()
				want(t, "said", said, test.said)
			})
		})
	}
}

// TestNoLineAfterTheEnd ends a batch in the moment in which a line is due. It is
// said before Handle returns or not at all, lest it stands below the summary.
func TestNoLineAfterTheEnd(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			ended := false
			lines := &Lines{Every: time.Second, Say: func(line string) {
				mu.Lock()
				defer mu.Unlock()
				if ended {
					t.Errorf("%q after the end", line)
				}
			}}
			lines.Handle(Event{Kind: Planned, Time: time.Now(), Plan: &Plan{Total: 1}})
			time.Sleep(time.Second)
			lines.Handle(Event{Kind: Ended})
			mu.Lock()
			ended = true
			mu.Unlock()
			time.Sleep(time.Minute)
		})
	}
}

func TestLinesOfTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := []string{}
		lines := &Lines{Every: time.Second, Say: func(line string) { said = append(said, line) }}
		for range 2 {
			if _, err := Run(t.Context(), newPlan(t, "a 500ms fail", "b 1500ms"), waiting{newFake(t)}, &memory{}, lines); err != nil {
				t.Error(err)
			}
		}
		want(t, "said", said, []string{"b: 1 done, 1 failed, 1.0/s", "b: 1 done, 1 failed, 1.0/s"})
	})
}

func TestBar(t *testing.T) {
	for total, wanted := range map[int][]string{
		4:  {"b  ", "0%", "25%", "(1/4", "50%", "b, 1 failed", "(2/4"},
		-1: {"b (0/-", "b (1/-", "b, 1 failed (3/-"},
		2:  {"50%"}, // fewer than there are
		0:  nil,     // then the library draws nothing
	} {
		t.Run(fmt.Sprint(total), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer                                            // not locked: nothing may be drawn on the side
				plan := newPlan(t, "a 1500ms", "b 2500ms", "c 3s fail", "d 4s") // no end at a whole second, when it is drawn
				plan.Total = total
				if _, err := Run(t.Context(), plan, waiting{newFake(t)}, &memory{}, &Bar{Out: &out}); err != nil {
					t.Error(err)
				}
				drawn := out.String()
				time.Sleep(time.Minute)
				synctest.Wait()
				want(t, "drawn after the end", strings.TrimPrefix(out.String(), drawn), "")
				for _, piece := range wanted {
					if !strings.Contains(drawn, piece) {
						t.Errorf("%q is not in %q", piece, drawn)
					}
				}
				if wanted != nil && !strings.HasSuffix(drawn, "\033[2K\r") {
					t.Errorf("the line is not cleared at the end: %q", drawn)
				}
			})
		})
	}
}

// TestParkedIDs: an item waits until it is started, goes on, or ends, however
// often it is parked before.
func TestParkedIDs(t *testing.T) {
	var p parkedIDs
	for _, step := range []struct {
		kind    EventKind
		id      string
		waiting int
	}{
		{Planned, "", 0}, {Parked, "a", 1}, {Parked, "a", 1}, {Started, "a", 0}, {Parked, "a", 1}, {Parked, "b", 2}, {Resumed, "a", 1},
		{Finished, "b", 0}, {Finished, "a", 0}, {Parked, "c", 1}, {Attached, "c", 0}, {Parked, "d", 1}, {Planned, "", 0},
	} {
		before := len(p)
		changed := p.handle(Event{Kind: step.kind, ID: step.id})
		want(t, "waiting", len(p), step.waiting)
		if step.kind != Planned {
			want(t, "changed", changed, len(p) != before)
		}
	}
}

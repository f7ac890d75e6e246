package runner

import (
	"cmp"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestParkedAgainstSortedList compares the queue with a list that is kept
// sorted by due time, equal times in the order of being parked.
func TestParkedAgainstSortedList(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var queue parked
		var list []*task
		epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		now := epoch
		n := 0
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				n++
				added := &task{item: item{ID: strconv.Itoa(n)}, due: epoch.Add(time.Duration(rapid.IntRange(0, 5).Draw(rt, "due")) * time.Second)}
				queue.add(added)
				list = append(list, added)
				slices.SortStableFunc(list, func(a, b *task) int { return a.due.Compare(b.due) })
			},
			"take": func(rt *rapid.T) {
				got, wait := queue.take(now)
				switch {
				case len(list) == 0:
					if got != nil || wait != 0 {
						rt.Fatalf("%v and %v out of an empty queue", got, wait)
					}
				case list[0].due.After(now):
					if left := list[0].due.Sub(now); got != nil || wait != left {
						rt.Fatalf("%v and %v, want nothing for another %v", got, wait, left)
					}
				default:
					if got != list[0] || wait != 0 {
						rt.Fatalf("%+v and %v, want %+v", got, wait, list[0])
					}
					list = list[1:]
				}
			},
			"later": func(rt *rapid.T) {
				now = epoch.Add(time.Duration(rapid.IntRange(0, 5000).Draw(rt, "now")) * time.Millisecond)
			},
			"": func(rt *rapid.T) {
				if queue.len() != len(list) {
					rt.Fatalf("length %d, want %d", queue.len(), len(list))
				}
			},
		})
	})
}

func TestParkedClear(t *testing.T) {
	var queue parked
	due := time.Now()
	for i := range 5 {
		queue.add(&task{attempt: i, due: due.Add(time.Duration(-i) * time.Hour)})
	}
	tasks := queue.clear()
	slices.SortFunc(tasks, func(a, b *task) int { return cmp.Compare(a.attempt, b.attempt) })
	for i, task := range tasks {
		if task.attempt != i {
			t.Errorf("task %d is %d", i, task.attempt)
		}
	}
	if got, wait := queue.take(due); len(tasks) != 5 || queue.len() != 0 || got != nil || wait != 0 {
		t.Errorf("%d were cleared, %d are left", len(tasks), queue.len())
	}
}

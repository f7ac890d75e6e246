package runner

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestEndedItemsAgainstMap does the same to endedItems and to a map.
func TestEndedItemsAgainstMap(t *testing.T) {
	type entry struct {
		digest             string
		again, failed, met bool
	}
	rapid.Check(t, func(t *rapid.T) {
		ended, model := newEndedItems(), map[string]entry{}
		ids := rapid.Map(rapid.IntRange(0, rapid.SampledFrom([]int{3, 3000}).Draw(t, "ids")), func(n int) string { return fmt.Sprint("item-", n) })
		digests := rapid.SampledFrom([]string{"", "0123", "4567"})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id, digest, again, failed := ids.Draw(t, "id"), digests.Draw(t, "digest"), rapid.Bool().Draw(t, "again"), rapid.Bool().Draw(t, "failed")
				ended.add(id, digest, again, failed)
				model[id] = entry{digest, again, failed, model[id].met}
			},
			"look": func(t *rapid.T) {
				id, digest := ids.Draw(t, "id"), digests.Draw(t, "digest")
				e, known := model[id]
				wanted := endedItem{itemSame, e.failed, known && !e.met}
				switch {
				case !known:
					wanted.standing = itemUnknown
				case e.digest != digest:
					wanted.standing = itemEdited
				case e.again:
					wanted.standing = itemAgain
				}
				if e.met = true; known {
					model[id] = e
				}
				if got := ended.look(id, digest); got != wanted {
					t.Fatalf("%s with %q is %+v, want %+v", id, digest, got, wanted)
				}
			},
			"": func(t *rapid.T) {
				unmet, failed := 0, 0
				for _, e := range model {
					if !e.met {
						unmet++
						if e.failed {
							failed++
						}
					}
				}
				if ended.items != len(model) || ended.unmet() != unmet || ended.unmetFailed() != failed {
					t.Fatalf("%d items, %d of them unmet, %d failed; want %d, %d and %d", ended.items, ended.unmet(), ended.unmetFailed(), len(model), unmet, failed)
				}
			},
		})
	})
}

func TestManyEndedItems(t *testing.T) {
	const items = 200_000
	ended := newEndedItems()
	id := func(i int) string { return fmt.Sprintf("%016x", i) }
	for i := range items {
		ended.add(id(i), id(i+1), i%3 == 0, false)
	}
	want(t, "items", ended.items, items)
	for i := range items {
		wanted, digest := itemSame, id(i+1)
		if i%3 == 0 {
			wanted = itemAgain
		}
		if i%5 == 0 {
			wanted, digest = itemEdited, id(i)
		}
		if got := ended.look(id(i), digest).standing; got != wanted {
			t.Fatalf("item %d is %d, want %d", i, got, wanted)
		}
		if i%7 == 0 && ended.look(id(items+i), digest).standing != itemUnknown {
			t.Fatalf("item %d is known", items+i)
		}
	}
	want(t, "unmet", ended.unmet(), 0)
	slots := 0
	for i := range ended.shards {
		slots += len(ended.shards[i].slots)
	}
	if slots > items*8/3 {
		t.Errorf("%d slots for %d items", slots, items)
	}
}

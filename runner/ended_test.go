package runner

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestEndedItemsAgainstMap does the same to endedItems and to a map.
func TestEndedItemsAgainstMap(t *testing.T) {
	type entry struct {
		digest     string
		again, met bool
	}
	rapid.Check(t, func(t *rapid.T) {
		ended, model := newEndedItems(), map[string]entry{}
		ids := rapid.Map(rapid.IntRange(0, rapid.SampledFrom([]int{3, 3000}).Draw(t, "ids")), func(n int) string { return fmt.Sprint("item-", n) })
		digests := rapid.SampledFrom([]string{"", "0123", "4567"})
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id, digest, again := ids.Draw(t, "id"), digests.Draw(t, "digest"), rapid.Bool().Draw(t, "again")
				ended.add(id, digest, again)
				model[id] = entry{digest, again, model[id].met}
			},
			"look": func(t *rapid.T) {
				id, digest := ids.Draw(t, "id"), digests.Draw(t, "digest")
				e, known := model[id]
				wanted := itemSame
				switch {
				case !known:
					wanted = itemUnknown
				case e.digest != digest:
					wanted = itemEdited
				case e.again:
					wanted = itemAgain
				}
				if e.met = true; known {
					model[id] = e
				}
				if got := ended.look(id, digest); got != wanted {
					t.Fatalf("%s with %q is %d, want %d", id, digest, got, wanted)
				}
			},
			"": func(t *rapid.T) {
				unmet := 0
				for _, e := range model {
					if !e.met {
						unmet++
					}
				}
				if ended.len() != len(model) || ended.unmet() != unmet {
					t.Fatalf("%d items, %d of them unmet; want %d and %d", ended.len(), ended.unmet(), len(model), unmet)
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
		ended.add(id(i), id(i+1), i%3 == 0)
	}
	want(t, "items", ended.len(), items)
	for i := range items {
		wanted, digest := itemSame, id(i+1)
		if i%3 == 0 {
			wanted = itemAgain
		}
		if i%5 == 0 {
			wanted, digest = itemEdited, id(i)
		}
		if got := ended.look(id(i), digest); got != wanted {
			t.Fatalf("item %d is %d, want %d", i, got, wanted)
		}
		if i%7 == 0 && ended.look(id(items+i), digest) != itemUnknown {
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

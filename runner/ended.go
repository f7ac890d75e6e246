package runner

import "hash/maphash"

// endedItems remembers of each ended item its id and the digest of its inputs,
// in 16 bytes and some slack. Hashes stand for both: an item is taken for an
// ended one by mistake only where all 125 bits are alike.
//
// The table is cut into shards that grow one by one, so that growing never needs
// much more memory than there is already.
type endedItems struct {
	seed   maphash.Seed
	shards [256]endedShard
	items  int
	met    int
}

type endedShard struct {
	slots []endedSlot // length a power of two, open addressing
	used  int
}

type endedSlot struct {
	id     uint64 // 0: the slot is free
	digest uint64 // the last bits are marks
}

// Marks of a slot.
const (
	markMet    = 1 << iota // the item was looked for
	markAgain              // it is to be run again
	markFailed             // it did not succeed
	marks      = markMet | markAgain | markFailed
)

// standing is how an item stands to the ended ones.
type standing int

// The standings of an item.
const (
	itemUnknown standing = iota // it has not ended
	itemSame                    // it has ended
	itemEdited                  // it has ended, with other inputs
	itemAgain                   // it has ended, and is to be run again
)

// endedItem is what is known of an item that was looked for.
type endedItem struct {
	standing
	failed bool // it did not succeed
	first  bool // it was not looked for before
}

func newEndedItems() *endedItems { return &endedItems{seed: maphash.MakeSeed()} }

// unmet counts the ended items that no look asked for: those whose rows are gone.
func (e *endedItems) unmet() int { return e.items - e.met }

// unmetFailed counts those of them that did not succeed.
func (e *endedItems) unmetFailed() int {
	n := 0
	for i := range e.shards {
		for _, s := range e.shards[i].slots {
			if s.digest&(markFailed|markMet) == markFailed {
				n++
			}
		}
	}
	return n
}

// keepUnmet takes the mark off those of them that were to be run again, as nobody
// will, and tells how many these are.
func (e *endedItems) keepUnmet() int {
	n := 0
	for i := range e.shards {
		slots := e.shards[i].slots
		for j := range slots {
			if slots[j].digest&(markAgain|markMet) == markAgain {
				slots[j].digest &^= markAgain
				n++
			}
		}
	}
	return n
}

// add remembers an ended item, or what a later line says of one that is there
// already; again, if it is to be run again, failed, if it did not succeed.
func (e *endedItems) add(id, digest string, again, failed bool) {
	hash := e.hash(id)
	sh := &e.shards[hash>>56]
	if sh.used*4 >= len(sh.slots)*3 {
		sh.grow()
	}
	s := sh.find(hash)
	if s.id == 0 {
		s.id = hash
		sh.used++
		e.items++
	}
	s.digest = e.hashDigest(digest) | s.digest&markMet
	if again {
		s.digest |= markAgain
	}
	if failed {
		s.digest |= markFailed
	}
}

// look tells how an item stands, and marks it as met.
func (e *endedItems) look(id, digest string) endedItem {
	s := e.entry(id)
	if s == nil {
		return endedItem{}
	}
	found := endedItem{itemSame, s.digest&markFailed != 0, s.digest&markMet == 0}
	if found.first {
		s.digest |= markMet
		e.met++
	}
	switch {
	case !s.isOf(e, digest):
		found.standing = itemEdited
	case s.digest&markAgain != 0:
		found.standing = itemAgain
	}
	return found
}

// isOf tells whether the slot is of these inputs.
func (s *endedSlot) isOf(e *endedItems, digest string) bool {
	return s.digest&^marks == e.hashDigest(digest)
}

// entry is the slot of an item; nil if it has none.
func (e *endedItems) entry(id string) *endedSlot {
	hash := e.hash(id)
	sh := &e.shards[hash>>56]
	if sh.used == 0 {
		return nil
	}
	if s := sh.find(hash); s.id != 0 {
		return s
	}
	return nil
}

// hash of an id; never 0, which is the mark of a free slot.
func (e *endedItems) hash(id string) uint64 { return max(maphash.String(e.seed, id), 1) }

func (e *endedItems) hashDigest(digest string) uint64 { return maphash.String(e.seed, digest) &^ marks }

func (sh *endedShard) find(id uint64) *endedSlot {
	mask := uint64(len(sh.slots) - 1)
	for i := id & mask; ; i = (i + 1) & mask {
		if s := &sh.slots[i]; s.id == 0 || s.id == id {
			return s
		}
	}
}

func (sh *endedShard) grow() {
	old := sh.slots
	sh.slots = make([]endedSlot, max(4, 2*len(old)))
	for _, s := range old {
		if s.id != 0 {
			*sh.find(s.id) = s
		}
	}
}

package spec

import "encoding/binary"

// seen remembers a number for each of many ids in 16 bytes and some slack: the
// first 96 bits of a hash stand for the id. Among a hundred million ids the
// chance that two share them is one in 10^13.
//
// The table is cut into shards that grow one by one, so that growing never
// needs much more memory than there is already.
type seen struct {
	shards [256]shard
}

type hash96 [12]byte

type shard struct {
	slots []slot // length a power of two, open addressing
	used  int
}

type slot struct {
	hash   hash96
	number uint32 // 0: the slot is free
}

// at gives the place of the number kept for an id; 0 there means that the id is
// new, and the caller must put something else. The place is good until the next
// call.
func (s *seen) at(hash hash96) *uint32 {
	sh := &s.shards[hash[0]]
	if sh.used*4 >= len(sh.slots)*3 {
		sh.grow()
	}
	found := sh.find(hash)
	if found.number == 0 {
		found.hash = hash
		sh.used++
	}
	return &found.number
}

func (sh *shard) find(hash hash96) *slot {
	mask := uint64(len(sh.slots) - 1)
	for i := binary.LittleEndian.Uint64(hash[1:]) & mask; ; i = (i + 1) & mask {
		if s := &sh.slots[i]; s.number == 0 || s.hash == hash {
			return s
		}
	}
}

func (sh *shard) grow() {
	old := sh.slots
	sh.slots = make([]slot, max(4, 2*len(old)))
	for _, s := range old {
		if s.number != 0 {
			*sh.find(s.hash) = s
		}
	}
}

package temporal

// bits is a set of shards, numbered from 1.
type bits struct {
	words []uint64
	full  int // so many words are, from the first on
}

func newBits(shards int) *bits { return &bits{words: make([]uint64, shards/64+1)} }

func (b *bits) has(shard int) bool { return b.words[shard/64]&(1<<(shard%64)) != 0 }

func (b *bits) add(shard int) {
	b.words[shard/64] |= 1 << (shard % 64)
	b.words[0] |= 1 // there is no shard 0
	for b.full < len(b.words) && b.words[b.full] == ^uint64(0) {
		b.full++
	}
}

// first is a shard that all those before are in the set.
func (b *bits) first() int { return max(1, b.full*64) }

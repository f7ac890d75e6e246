package spec

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// TestSeen holds the table against a map, with hashes that share their shard,
// their place in it, or both.
func TestSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var table seen
		model := map[hash96]uint32{}
		hash := rapid.Custom(func(t *rapid.T) hash96 {
			var h hash96
			h[0] = rapid.ByteRange(0, 3).Draw(t, "shard")
			h[1] = rapid.ByteRange(0, 15).Draw(t, "place")
			h[11] = rapid.ByteRange(0, 3).Draw(t, "rest")
			return h
		})
		for range rapid.IntRange(0, 400).Draw(t, "steps") {
			h := hash.Draw(t, "hash")
			number := table.at(h)
			if *number != model[h] {
				t.Fatalf("%x: %d, want %d", h, *number, model[h])
			}
			*number = rapid.Uint32Range(1, 9).Draw(t, "number")
			model[h] = *number
		}
		for h, want := range model {
			if got := *table.at(h); got != want {
				t.Fatalf("%x: %d at the end, want %d", h, got, want)
			}
		}
	})
}

// TestSeenSize: at 16 bytes a slot, a million ids stay within the stated 43
// bytes each.
func TestSeenSize(t *testing.T) {
	const ids = 1_000_000
	var table seen
	for i := range uint64(ids) {
		sum := sha256.Sum256(binary.LittleEndian.AppendUint64(nil, i))
		var h hash96
		copy(h[:], sum[:])
		number := table.at(h)
		if *number != 0 {
			t.Fatalf("id %d is known already", i)
		}
		*number = 1
	}
	slots := 0
	for _, s := range table.shards {
		slots += len(s.slots)
	}
	if each := float64(slots*16) / ids; each > 43 || each < 16 {
		t.Errorf("%.1f bytes an id", each)
	}
}

package store

import (
	"fmt"
	"testing"
)

// BenchmarkShard is what a shard of 200 trivial items takes of the store.
func BenchmarkShard(b *testing.B) {
	s, err := Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	shard := 0
	for b.Loop() {
		shard++
		k, err := s.ShardSink(b.Context(), passKey, shard, 1)
		if err != nil {
			b.Fatal(err)
		}
		for i := range 200 {
			k.Record(result(fmt.Sprint("i", i), 0))
			if _, err := k.Commit(); err != nil {
				b.Fatal(err)
			}
		}
		if sum, err := k.Finish(b.Context()); err != nil || sum.Items != 200 {
			b.Fatal(sum, err)
		}
	}
}

// BenchmarkResults is what the client takes of it.
func BenchmarkResults(b *testing.B) {
	s, err := Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	k, err := s.ShardSink(b.Context(), passKey, 1, 1)
	if err != nil {
		b.Fatal(err)
	}
	for i := range 200 {
		k.Record(result(fmt.Sprint("i", i), 0))
	}
	if _, err := k.Finish(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, whole, err := s.Results(b.Context(), passKey, 1); err != nil || !whole {
			b.Fatal(err)
		}
	}
}

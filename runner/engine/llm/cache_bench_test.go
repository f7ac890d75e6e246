package llm

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// benchAnswer is of a usual size.
var benchAnswer = Answer{Text: strings.Repeat("A fact about space. ", 50), InputTokens: 200, OutputTokens: 250}

func BenchmarkCachePut(b *testing.B) {
	c := newTestCache(b)
	var n atomic.Int64
	b.SetParallelism(32) // with two processors: 64 at once
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := c.Put(context.Background(), cacheKey(int(n.Add(1))), asked, benchAnswer); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

func BenchmarkCachePutAlone(b *testing.B) {
	c := newTestCache(b)
	n := 0
	for b.Loop() {
		n++
		if err := c.Put(context.Background(), cacheKey(n), asked, benchAnswer); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

func BenchmarkCacheGet(b *testing.B) {
	c := newTestCache(b)
	const answers = 5_000
	for i := range answers {
		if err := c.Put(context.Background(), cacheKey(i), asked, benchAnswer); err != nil {
			b.Fatal(err)
		}
	}
	var n atomic.Int64
	b.ResetTimer()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, ok := c.Get(cacheKey(int(n.Add(1))*7919%answers), time.Time{}); !ok {
				b.Error("not found")
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "gets/s")
}

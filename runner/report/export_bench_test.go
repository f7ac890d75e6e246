package report

import (
	"io"
	"testing"
)

// BenchmarkExport exports 10,000 results at a time.
func BenchmarkExport(b *testing.B) {
	path := write(b, many(10_000)...)
	for _, format := range Formats() {
		for order, inputOrder := range map[string]bool{"end": false, "input": true} {
			b.Run(format+"/"+order, func(b *testing.B) {
				for b.Loop() {
					r, err := Open(path, nil)
					if err != nil {
						b.Fatal(err)
					}
					if err := Export(io.Discard, r, ExportOptions{format, inputOrder}); err != nil {
						b.Error(err)
					}
					r.Close()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*10_000), "ns/result")
			})
		}
	}
}

func BenchmarkSum(b *testing.B) {
	path := write(b, many(10_000)...)
	for b.Loop() {
		r, err := Open(path, nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Sum(r); err != nil {
			b.Error(err)
		}
		r.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*10_000), "ns/result")
}

package spec

import (
	"math"
	"time"

	"gopkg.in/yaml.v3"
)

// Rehearse says how calls are imitated that would be paid, or go outside.
type Rehearse struct {
	Latency  time.Duration // of every call or, with P95, of half of them at the most
	P95      time.Duration // what 19 of 20 calls do not exceed; 0: all take Latency
	Failures float64       // share of the calls that fail, 0 to 1
}

// z95 is what 95 % of a standard normal distribution do not exceed.
const z95 = 1.6448536269514722

// Quantile gives the latency that the share q of the calls does not exceed:
// where they differ, they are log-normal, as those of servers are.
func (r Rehearse) Quantile(q float64) time.Duration {
	if r.P95 <= r.Latency {
		return r.Latency
	}
	sigma := math.Log(float64(r.P95)/float64(r.Latency)) / z95
	z := math.Sqrt2 * math.Erfinv(2*q-1)
	return time.Duration(min(float64(r.Latency)*math.Exp(sigma*z), math.MaxInt64/2))
}

func (d *document) decodeRehearse(n *yaml.Node, r *Rehearse) {
	latency := valueOf(n, "latency")
	switch {
	case scalarText(n, "latency") == "0s":
		r.Latency = 0 // imitated calls may take no time at all
	case latency != nil && latency.Kind == yaml.MappingNode:
		var median time.Duration
		d.duration(latency, "median", &median)
		d.duration(latency, "p95", &r.P95)
		if median > 0 {
			r.Latency = median
		}
		if 0 < r.P95 && r.P95 < median {
			d.report(d.problem(valueOf(latency, "p95"), "p95 is less than the median: 19 of 20 calls cannot take less time than half of them do"))
		}
	default:
		d.duration(n, "latency", &r.Latency)
	}
	d.percentage(n, "failures", &r.Failures)
}

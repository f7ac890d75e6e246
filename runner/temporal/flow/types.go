// Package flow is the workflow code of the Temporal backend: a Batch windows shards
// and sums up what they come to, a Run is one run of a pipeline. Temporal executes
// this code again from its history, so that it must decide the same every time: it
// reads no clock, ranges over no map, calls nothing outside, and everything that does
// is an activity. Payloads are references into the store; inputs and outputs of
// pipelines are never among them.
package flow

import (
	"slices"
	"time"
)

// Names of what is registered, asked and signalled.
const (
	BatchWorkflow = "nightshift.batch"
	RunWorkflow   = "nightshift.run"

	// Activities give a heartbeat within 20 seconds, or are tried again.
	ShardActivity = "nightshift.shard"
	RunActivity   = "nightshift.run.work"

	ProgressQuery = "progress" // of a Batch: Progress

	PauseSignal  = "pause"  // no run is started until resume; those under way end
	ResumeSignal = "resume" // goes on after pause
	DrainSignal  = "drain"  // no run is started any more; the batch ends with those under way
	CancelSignal = "cancel" // as a cancellation of the workflow: runs under way are terminated

	// RefusedError is the type of errors of activities that this worker cannot mend: it
	// lacks a variable that the batch file needs, say. Another one may; after a few tries
	// such an error is not retried any more.
	RefusedError = "refused"
)

// Reasons why a batch stopped, beside those of package runner that only shards tell.
const (
	StoppedInterrupted = "interrupted" // by a signal
	StoppedBroken      = "broken"      // a shard failed for good
	StoppedDeadline    = "deadline"    // that of the batch
)

// Batch is what a batch workflow is started with and, in later runs of it, how far
// the earlier ones have come.
type Batch struct {
	Store  string // URL of the store, as the client knows it
	Pass   string // key of the pass in the store
	Shards int    // numbered from 1
	Window int    // shards under way at once

	RunShards int       // shards begun in one run of the workflow, which is then continued as new; 0: as many as the server suggests
	Deadline  time.Time `json:",omitzero"` // past it no shard is begun; zero: none

	Next    int    // the shard to begin next; 0: 1
	Ended   int    // shards
	Sum     Sum    // of these
	Open    []Part `json:",omitempty"` // begun, not ended, by number; at most Window
	Paused  bool   // by a signal
	Stopped Stop   // why no more shards are begun
}

// Part is how a shard stands that was begun and has not ended.
type Part struct {
	Number  int
	Begun   int  // times
	Sum     Sum  // what it had come to when it was given back last
	Known   Sum  // what the batch was known to have come to when it was begun last, that included
	Running bool `json:",omitempty"` // under way
	Stop    Stop `json:",omitzero"`  // all its runs failed alike, and nothing is known to have succeeded
	Doubted bool `json:",omitempty"` // they did, but other shards have done better: it was begun again for that
}

// Sum is what results add up to, as far as it matters to other shards.
type Sum struct {
	Items        int
	Succeeded    int
	NanoUSD      int64 // billionths of a dollar
	InputTokens  int64
	OutputTokens int64
	Unpriced     int // items whose cost is not known
}

// Sub takes a sum off another one.
func (s Sum) Sub(less Sum) Sum {
	return Sum{
		s.Items - less.Items, s.Succeeded - less.Succeeded, s.NanoUSD - less.NanoUSD,
		s.InputTokens - less.InputTokens, s.OutputTokens - less.OutputTokens, s.Unpriced - less.Unpriced,
	}
}

// Add adds up two sums.
func (s Sum) Add(more Sum) Sum {
	return Sum{
		s.Items + more.Items, s.Succeeded + more.Succeeded, s.NanoUSD + more.NanoUSD,
		s.InputTokens + more.InputTokens, s.OutputTokens + more.OutputTokens, s.Unpriced + more.Unpriced,
	}
}

// Stop is why a batch begins no more shards. The zero Stop: it has not stopped.
type Stop struct {
	Why    string // a runner.StopReason; "": it has not stopped
	Reason string // which limit was reached
	Cause  string // the error with which all runs, or a shard, failed
}

// Shard is what a shard activity is started with.
type Shard struct {
	Store  string
	Pass   string
	Number int // from 1
	Window int // shards that may be under way at once, of which it is one
	Before Sum // what all shards are known to have come to when it is begun
	Own    Sum `json:",omitzero"`  // of Before: what it came to itself
	Others int `json:",omitempty"` // shards that are under way
	Known  Sum `json:",omitzero"`  // what these were told as Before, added up
}

// ShardEnd is what a shard came to.
type ShardEnd struct {
	Sum   Sum
	Stop  Stop // it has items left for that reason
	Left  bool `json:",omitempty"` // it has items left, and is to be begun again: its worker goes, it was recalled, or it is short
	Short bool `json:",omitempty"` // it took its part of what a limit of the batch leaves
	Alike bool `json:",omitempty"` // it stopped as all its runs failed alike; it cannot know what runs of other shards did
}

// Progress is how far a batch is: shards from 1 to Begun have ended, but for those of
// Open. So it stays small also where one shard takes as long as all others together.
type Progress struct {
	Shards  int
	Begun   int
	Open    []int // ascending, at most Window: under way, or failed for good
	Running int   // shards under way
	Sum     Sum
	Paused  bool
	Stopped Stop

	// Cancelled tells a shard that was cancelled what to do with its runs: they are
	// terminated. Else it is recalled: they end, and the rest is given back.
	Cancelled bool `json:",omitempty"`
}

// Ended says whether a shard has ended, so that all its results are in the store.
func (p Progress) Ended(shard int) bool {
	return shard <= p.Begun && !slices.Contains(p.Open, shard)
}

// BatchEnd is what a batch came to.
type BatchEnd struct {
	Sum     Sum
	Ended   int // shards
	Stopped Stop
}

// Run is what a run workflow, and its activity, is started with.
type Run struct {
	Store string
	Key   string // of the run in the store
}

// RunEnd is what a run came to; the rest of it is in the store.
type RunEnd struct {
	State string // a runner.State
}

// ShardProgress is what heartbeats of an activity carry: to who looks, and to its next try.
type ShardProgress struct {
	Items     int // that have ended
	Succeeded int

	// Tries in a row up to this one, it included.
	Idle      int    `json:",omitempty"` // in which no item has ended
	Refused   int    `json:",omitempty"` // by a worker
	Unwritten int    `json:",omitempty"` // whose results could not be written
	Met       string `json:",omitempty"` // the error of this try; "": it has not ended with one
}

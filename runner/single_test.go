package runner

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// streaming is a fake that tells two pieces of every run.
type streaming struct{ resuming }

var _ Streamer = streaming{}

func (s streaming) Stream(ctx context.Context, pipelineID string, in Inputs, opts StartOptions, chunk func(Chunk)) (Handle, Status, error) {
	h, err := s.Start(ctx, pipelineID, in, opts)
	if err != nil {
		return h, Status{}, err
	}
	for _, piece := range []string{"once ", "more"} {
		chunk(Chunk{RunID: h.TaskID, Output: "llm.response", Value: piece, Piece: true})
	}
	status, err := s.Wait(ctx, h)
	return h, status, err
}

// onlyStreaming can neither wait for a run nor resume it.
type onlyStreaming struct {
	Backend
	Streamer
}

func single(do string) *Single {
	one := &Single{PipelineID: "p", Inputs: Inputs{"id": "a", "do": do}, Options: StartOptions{TraceID: "t"}}
	one.Retry.MaxAttempts, one.Retry.MaxElapsed = 4, 15*time.Minute
	one.Retry.Backoff.Initial, one.Retry.Backoff.Factor, one.Retry.Backoff.Max = time.Second, 2, time.Minute
	return one
}

func TestStream(t *testing.T) {
	const busy = "node llm (llm): POST models.test/v1/chat answered 503 Service Unavailable: busy"
	const late = "the run took longer than its timeout of 5s and was terminated"
	timeout := func(one *Single) { one.Timeout = 5 * time.Second }
	for do, test := range map[string]struct {
		edit        func(*Single)
		state       State
		message     string
		least, most time.Duration // that it takes
		resumes     int
		terminated  bool
	}{
		"1s":             {nil, Succeeded, "", time.Second, time.Second, 0, false},
		"1s fail":        {nil, Failed, "it failed", time.Second, time.Second, 0, false},
		"1s cancel":      {nil, Cancelled, "", time.Second, time.Second, 0, false},
		"4s":             {timeout, Succeeded, "", 4 * time.Second, 4 * time.Second, 0, false},
		"1s deny":        {nil, Failed, "node llm (llm): POST models.test/v1/chat answered 401 Unauthorized: no such key", time.Second, time.Second, 0, false},
		"park=10s 1s":    {nil, Succeeded, "", 11 * time.Second, 11 * time.Second, 1, false},
		"park=0s fail":   {nil, Failed, "it failed", 0, 0, 1, false},
		"park=2s 1s ok ": {timeout, Succeeded, "", 3 * time.Second, 3 * time.Second, 1, false},

		"refuse429=10s refuse429=10m 1s": {nil, Succeeded, "", 311 * time.Second, 326500 * time.Millisecond, 2, false},
		"fail503 1s at=b lost closed":    {nil, Succeeded, "", time.Second, 5 * time.Second, 3, false},
		"fail503*":                       {nil, Failed, "given up after 4 tries: " + busy, 0, 7 * time.Second, 3, true},
		"2s fail503": {func(one *Single) { one.Retry.MaxAttempts = 1 }, Failed, "given up after 1 try: " + busy,
			2 * time.Second, 2 * time.Second, 0, true},
		"2s refuse429=1h": {func(one *Single) { one.Retry.MaxElapsed = time.Minute }, Failed,
			"given up after 0s: node llm (llm): POST models.test/v1/chat answered 429 Too Many Requests: slow down (to be tried again after 1h0m0s)", 2 * time.Second, 2 * time.Second, 0, true},

		"idle=1h": {nil, Failed, "given up after 0s: node llm (llm): held back for 1h0m0s, as too many calls were refused", 0, 0, 0, true},
		"closed+refuse429=1s closed+fail503 lost+closed 1s": {nil, Succeeded, "", 2 * time.Second, 9 * time.Second, 3, false},

		// Only the time at work counts for the timeout.
		"4s refuse429=10s 4s":            {timeout, TimedOut, late, 15 * time.Second, 15500 * time.Millisecond, 1, true},
		"4s refuse429=10s 900ms":         {timeout, Succeeded, "", 14900 * time.Millisecond, 15400 * time.Millisecond, 1, false},
		"4s park=1h 500ms park=1h 600ms": {timeout, TimedOut, late, 2*time.Hour + 5*time.Second, 2*time.Hour + 5*time.Second, 2, true},

		"hang":         {timeout, TimedOut, late, 5 * time.Second, 5 * time.Second, 0, true},
		"park=1s hang": {timeout, TimedOut, late, 6 * time.Second, 6 * time.Second, 1, true},
		"stuck":        {timeout, TimedOut, late, 5 * time.Second, 5 * time.Second, 0, false},
	} {
		t.Run(do, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				one := single(do)
				if test.edit != nil {
					test.edit(one)
				}
				waits := 0
				one.Waiting = func(pause time.Duration, cause error) {
					waits++
					if _, ok := errors.AsType[*RunError](cause); !ok || pause < 0 {
						t.Errorf("it waits %v for %v", pause, cause)
					}
				}
				var told []Chunk
				handle, status, err := Stream(t.Context(), one, streaming{resuming{waiting{f}}}, func(c Chunk) { told = append(told, c) })
				if took := time.Since(f.born); err != nil || took < test.least || took > test.most {
					t.Errorf("error %v after %v, want none after %v to %v", err, took, test.least, test.most)
				}
				message := ""
				if status.Err != nil {
					message = status.Err.Error()
				}
				want(t, "state", status.State, test.state)
				want(t, "message", message, test.message)
				want(t, "resumes", len(f.log("resume")), test.resumes)
				want(t, "waits", waits, test.resumes)
				want(t, "terminated", len(f.log("terminate")) == 1, test.terminated)
				want(t, "working", f.working, 0)
				if test.state == Succeeded {
					want(t, "outputs", status.Outputs, map[string]any{"out": "a"})
				}
				if do == "stuck" {
					return // before there was a run
				}
				want(t, "handle", handle, Handle{"p", "run-0", "t"})
				want(t, "chunks", told, []Chunk{{"run-0", "llm.response", "once ", true}, {"run-0", "llm.response", "more", true}})
			})
		})
	}
}

// TestStreamIsCancelled while the run works, is suspended, or is not there yet.
func TestStreamIsCancelled(t *testing.T) {
	for do, terminated := range map[string][]string{
		"hang": {"3s terminate a"}, "1s park=10m": {"3s terminate a"}, "1s refuse429=1m": {"3s terminate a"}, "stuck": {}, "1s": {},
	} {
		for _, timeout := range []time.Duration{0, time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				f := newFake(t)
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				one := single(do)
				one.Timeout = timeout
				_, status, err := Stream(ctx, one, streaming{resuming{waiting{f}}}, func(Chunk) {})
				wanted := Cancelled
				if do == "1s" {
					wanted = Succeeded
				}
				if status.State != wanted || err != nil {
					t.Errorf("%s: %+v, error %v", do, status, err)
				}
				want(t, do, f.log("terminate"), terminated)
			})
		}
	}
}

func TestStreamOfAnotherBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t)
		if _, _, err := Stream(t.Context(), single("1s"), waiting{f}, nil); err == nil {
			t.Error("a backend that cannot stream streams")
		}
		ignore := func(Chunk) {}
		_, _, err := Stream(t.Context(), single("misfit"), streaming{resuming{waiting{f}}}, ignore)
		if _, ok := errors.AsType[*InputError](err); !ok {
			t.Errorf("inputs that do not fit: %v", err)
		}
		_, _, err = Stream(t.Context(), single("park=1s refuse"), streaming{resuming{waiting{f}}}, ignore)
		if err == nil || err.Error() != "the run is forgotten" {
			t.Errorf("a run that cannot be resumed: %v", err)
		}
		want(t, "terminated", f.log("terminate"), []string{})

		_, status, err := Stream(t.Context(), single("park=1s"), onlyStreaming{f, streaming{resuming{waiting{f}}}}, ignore)
		if status.State != Failed || !errors.Is(status.Err, errSuspended) || err != nil {
			t.Errorf("suspended for ever: %+v, error %v", status, err)
		}
		want(t, "terminated", f.log("terminate"), []string{"1s terminate a"})
	})
}

// TestStreamDoesNotWaitForEver: the backend does not answer when the run is to
// be terminated.
func TestStreamDoesNotWaitForEver(t *testing.T) {
	for do, wanted := range map[string]Status{
		"hang":         {State: TimedOut},
		"fail503":      {State: Failed},
		"pay=3/4 deny": {State: Failed, Usage: &Usage{InputTokens: 3, OutputTokens: 4, USD: 11e-6}},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			f.slowTerms = true
			one := single(do)
			one.Retry.MaxAttempts = 1
			if do == "hang" {
				one.Timeout = time.Second
			}
			_, status, err := Stream(t.Context(), one, streaming{resuming{waiting{f}}}, func(Chunk) {})
			status.Err = nil
			if diff := gocmp.Diff(wanted, status); diff != "" || err != nil {
				t.Errorf("%s: error %v, status (-want +got):\n%s", do, err, diff)
			}
			if took := time.Since(f.born); took > one.Timeout+terminateWithin {
				t.Errorf("%s took %v", do, took)
			}
		})
	}
}

package runner

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hostedStream is a hosted that can stream.
type hostedStream struct{ hosted }

func (h hostedStream) Stream(ctx context.Context, pipelineID string, in Inputs, opts StartOptions, chunk func(Chunk)) (Handle, Status, error) {
	handle, err := h.Start(ctx, pipelineID, in, opts)
	if err != nil {
		return handle, Status{}, err
	}
	chunk(Chunk{RunID: handle.TaskID})
	status, err := waiting{h.fake}.Wait(ctx, handle)
	return handle, status, err
}

// TestSingleStart: refusals are waited out, by one start and by a stream; what may
// have made a run is never repeated.
func TestSingleStart(t *testing.T) {
	const unknown = "; whether a run came of the start is not known: one may be going on under trace id t"
	for do, test := range map[string]struct {
		starts      int
		err         string
		least, most time.Duration
	}{
		"":                                {1, "", 0, 0},
		"start=429/10s start=503":         {3, "", 10 * time.Second, 12500 * time.Millisecond},
		"start=unsent":                    {2, "", 0, time.Second},
		"start=401":                       {1, "401 Unauthorized: no such key", 0, 0},
		"start=gone":                      {1, unknown, 0, 0},
		"start=lost502":                   {1, unknown, 0, 0},
		"start=429/2s start=gone504":      {2, unknown, 2 * time.Second, 2100 * time.Millisecond},
		strings.Repeat("start=503 ", 4):   {4, "given up after 4 tries: ", 0, 7 * time.Second},
		"start=429/10s start=429/1h":      {2, "given up after 10", 10 * time.Second, 10500 * time.Millisecond},
		"start=429/10s start=slow/1s":     {2, "", 11 * time.Second, 11500 * time.Millisecond},
		"start=slow/30s":                  {1, "", 30 * time.Second, 30 * time.Second},
		"start=503 start=401 start=gone ": {2, "401 Unauthorized", 0, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			waits := 0
			one := single(do)
			one.Retry.MaxElapsed = 5 * time.Minute
			one.Waiting = func(time.Duration, error) { waits++ }
			handle, err := Start(t.Context(), one, newHosted(f))
			if took := time.Since(f.born); took < test.least || took > test.most {
				t.Errorf("%s: it took %v", do, took)
			}
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %s", do, err, test.err)
			}
			if err == nil {
				want(t, "handle", handle, Handle{"p", "run-0", "t"})
			}
			want(t, do+": starts", len(f.log("start")), test.starts)
			if !strings.HasPrefix(test.err, "given up") {
				want(t, "waits", waits, test.starts-1)
			}
		})
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			one := single(do + " 4s")
			one.Retry.MaxElapsed, one.Timeout = 5*time.Minute, 5*time.Second
			if strings.Contains(do, "slow") {
				one.Timeout = time.Hour
			}
			_, status, err := Stream(t.Context(), one, hostedStream{newHosted(f)}, func(Chunk) {})
			if (err == nil) != (test.err == "") || err == nil && status.State != Succeeded {
				t.Errorf("%s, streamed: %+v, %v", do, status, err)
			}
			want(t, do+": streams", len(f.log("start")), test.starts)
		})
	}
}

// TestSingleStartIsInterrupted: drained, a start is waited for, but none is made
// again; where ctx ends nobody knows.
func TestSingleStartIsInterrupted(t *testing.T) {
	for name, test := range map[string]struct {
		do           string
		drain, leave time.Duration // when these happen; 0: never
		err          string
		took         time.Duration
	}{
		"drained in a start":   {"start=slow/9s", 3 * time.Second, 0, "", 9 * time.Second},
		"drained in a pause":   {"start=429/60s", 3 * time.Second, 0, "429 Too Many Requests", 3 * time.Second},
		"left in a start":      {"start=slow/9s", 2 * time.Second, 3 * time.Second, "context canceled; whether a run came", 3 * time.Second},
		"left in a pause":      {"start=429/60s", 0, 3 * time.Second, "429 Too Many Requests", 3 * time.Second},
		"left, nobody listens": {"stuck", 0, 3 * time.Second, "context canceled; whether a run came", 3 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			drain := make(chan struct{})
			if test.drain > 0 {
				time.AfterFunc(test.drain, func() { close(drain) })
			}
			if test.leave > 0 {
				time.AfterFunc(test.leave, cancel)
			}
			one := single(test.do)
			one.Drain = drain
			_, err := Start(ctx, one, newHosted(f))
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v", name, err)
			}
			if err != nil && strings.Contains(test.err, "429") && strings.Contains(err.Error(), "whether") {
				t.Errorf("%s: %v", name, err)
			}
			want(t, name, time.Since(f.born), test.took)
		})
	}
}

// silent is a platform whose stream says nothing until its caller is gone.
type silent struct {
	hosted
	told string // the id that it tells
	ends bool   // it can be terminated
}

func (s silent) Stream(ctx context.Context, _ string, _ Inputs, o StartOptions, _ func(Chunk)) (Handle, Status, error) {
	<-ctx.Done()
	return Handle{PipelineID: "p", TaskID: s.told, TraceID: o.TraceID}, Status{State: Running}, &ConnectionError{Method: "POST", Endpoint: "host.test/run", Err: ctx.Err()}
}

func (s silent) Terminate(context.Context, Handle) error {
	if s.ends {
		return nil
	}
	return answered(403, "no")
}

// TestStreamThatIsGivenUp: a run is said to be terminated where it is, and nowhere else.
func TestStreamThatIsGivenUp(t *testing.T) {
	for name, test := range map[string]struct {
		backend silent
		said    string
	}{
		"before its id": {silent{ends: true}, "may go on, as its id is not known: under trace id trace"},
		"after it":      {silent{told: "t", ends: true}, "was terminated"},
		"it goes on":    {silent{told: "t"}, "may go on, as it could not be terminated: "},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.backend.hosted = newHosted(newFake(t))
				one := Single{PipelineID: "p", Options: StartOptions{TraceID: "trace"}, Timeout: time.Minute}
				_, status, err := Stream(t.Context(), &one, test.backend, func(Chunk) {})
				if err != nil || status.State != TimedOut || !strings.Contains(status.Err.Error(), test.said) {
					t.Errorf("%+v, %v", status, err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				after(time.Second, cancel)
				_, status, err = Stream(ctx, &one, test.backend, func(Chunk) {})
				if err != nil || status.State != Cancelled {
					t.Fatalf("%+v, %v", status, err)
				}
				want(t, "said to go on", status.Err != nil, name != "after it")
			})
		})
	}
}

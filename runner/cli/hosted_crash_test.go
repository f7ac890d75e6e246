package cli

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"nightshift/runner/vectorshift/vectorshifttest"
)

// A batch on the platform is killed at many moments, while calls of all kinds fail,
// starts are refused, and answers to others are lost. No start is repeated because of a
// status call; possible duplicates come of starts that were lost or under way at a
// kill, each is marked, and no other.
func TestHostedKilledAndResumed(t *testing.T) {
	rows, kills := 600, 20
	if testing.Short() {
		rows, kills = 200, 6
	}
	c := newHostedCrowd(t, rows, "")
	c.set(vectorshifttest.Settings{Takes: func(vectorshifttest.Run) time.Duration { return rand.N(40 * time.Millisecond) }})
	slowDown := vectorshifttest.Failure{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"0.01"}}}
	for _, trouble := range []struct {
		op    vectorshifttest.Op
		share float64
		vectorshifttest.Failure
	}{
		{vectorshifttest.Start, 0.01, vectorshifttest.Failure{Cut: true, Done: true}},
		{vectorshifttest.Start, 0.01, vectorshifttest.Failure{Cut: true}},
		{vectorshifttest.Start, 0.01, vectorshifttest.Failure{Status: http.StatusBadGateway, Done: true}},
		{vectorshifttest.Start, 0.01, vectorshifttest.Failure{Status: http.StatusGatewayTimeout}},
		{vectorshifttest.Start, 0.01, vectorshifttest.Failure{Status: 520, Done: true}},
		{vectorshifttest.Start, 0.01, vectorshifttest.Failure{Status: 524, Done: true}},
		{vectorshifttest.Start, 0.02, vectorshifttest.Failure{Status: http.StatusInternalServerError}},
		{vectorshifttest.Start, 0.03, vectorshifttest.RetryAfter(1)}, // they are parked at the next kill
		{vectorshifttest.Start, 0.02, vectorshifttest.Failure{Status: http.StatusServiceUnavailable}},
		{vectorshifttest.Start, 0.02, slowDown},
		{vectorshifttest.Status, 0.05, slowDown},
		{vectorshifttest.Status, 0.05, vectorshifttest.Failure{Status: http.StatusInternalServerError}},
		{vectorshifttest.Status, 0.05, vectorshifttest.HTML(http.StatusBadGateway)},
		{vectorshifttest.Status, 0.05, vectorshifttest.Failure{Cut: true}},
		{vectorshifttest.Status, 0.02, vectorshifttest.Failure{CutAfter: 10}},
		{vectorshifttest.Save, 0.3, vectorshifttest.Failure{Status: http.StatusInternalServerError}},
	} {
		c.server.Sometimes(trouble.op, trouble.share, trouble.Failure)
	}
	for i := range kills {
		starts, longer := 1+c.random.IntN(2*rows/kills), time.Duration(c.random.IntN(6))*time.Millisecond
		if i%5 == 2 {
			starts, longer = 0, time.Duration(c.random.IntN(150))*time.Millisecond // while it loads and saves
		}
		c.kill(starts, longer)
	}
	c.start().ends(exitOK, "re-attached")
	marked := c.whole()
	c.inFlight()
	fates, runs := countFates(c.histories()), len(c.server.Runs())
	t.Logf("%d kills; starts: %v, and %d not sent; %d runs for %d items, %d marked; %d status calls", c.kills, fates, len(c.unsent), runs, rows, marked, len(c.server.Calls(vectorshifttest.Status)))
	if c.kills < kills*3/4 || marked < kills/2 || fates[fateLost] < kills || fates[fateRefused] < kills {
		t.Errorf("too little has happened")
	}
	if n := len(c.server.Pipelines("hosted")); n != 1 {
		t.Errorf("%d pipelines were created", n)
	}
	before := len(c.server.Calls(vectorshifttest.Start, vectorshifttest.Status))
	c.server.Mend()
	c.start().ends(exitOK, "already done, nothing to do")
	if n := len(c.server.Calls(vectorshifttest.Start, vectorshifttest.Status)) - before; n != 0 {
		t.Errorf("with nothing to do, %d calls about runs were made", n)
	}
}

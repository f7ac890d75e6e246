package runner

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Bar is a progress bar on a terminal: rate, time left, failures.
type Bar struct {
	Out    io.Writer
	bar    *progressbar.ProgressBar
	ticks  ticks
	batch  string
	failed int
	parked parkedIDs
}

// Handle moves the bar.
func (p *Bar) Handle(e Event) {
	if p.parked.handle(e) {
		p.describe()
	}
	switch e.Kind {
	case Planned:
		p.batch, p.failed = e.Batch, 0
		p.bar = progressbar.NewOptions(e.Plan.Total,
			progressbar.OptionSetWriter(p.Out),
			progressbar.OptionSetDescription(e.Batch),
			progressbar.OptionShowCount(),
			progressbar.OptionShowIts(),
			progressbar.OptionSetItsString("items"),
			progressbar.OptionSetPredictTime(e.Plan.Total > 0),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(),
			progressbar.OptionUseANSICodes(true),
			progressbar.OptionSetSpinnerChangeInterval(0), // else a goroutine draws on for ever
		)
		p.bar.StartWithoutRender() // else its clock starts with the first item that ends
		_ = p.bar.RenderBlank()
		p.ticks.start(time.Second, func(time.Time) { _ = p.bar.RenderBlank() })
	case Finished:
		if e.Result.Status != Succeeded {
			p.failed++
			p.describe()
		}
		_ = p.bar.Add(1) // an item more than were counted is no reason to fail
	case Ended:
		p.ticks.stop()
		_ = p.bar.Clear()
	}
}

func (p *Bar) describe() {
	text := p.batch
	if p.failed > 0 {
		text += fmt.Sprintf(", %d failed", p.failed)
	}
	if n := len(p.parked); n > 0 {
		text += fmt.Sprintf(", %d waiting", n)
	}
	p.bar.Describe(text)
}

// parkedIDs are those of the items that are parked.
type parkedIDs map[string]bool

// handle follows the items, and tells whether their number has changed.
func (p *parkedIDs) handle(e Event) (changed bool) {
	before := len(*p)
	switch e.Kind {
	case Planned:
		*p = parkedIDs{}
		return false
	case Parked:
		(*p)[e.ID] = true
	case Started, Attached, Resumed, Finished:
		delete(*p, e.ID)
	}
	return len(*p) != before
}

// Lines says how far the batch is every so often, where there is no terminal.
type Lines struct {
	Say   func(line string)
	Every time.Duration

	ticks  ticks
	mu     sync.Mutex
	batch  string
	total  int
	ended  int
	failed int
	parked parkedIDs
	began  time.Time
}

// Handle counts, and says nothing by itself.
func (p *Lines) Handle(e Event) {
	if e.Kind == Ended {
		p.ticks.stop()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parked.handle(e)
	switch e.Kind {
	case Planned:
		p.batch, p.total, p.ended, p.failed, p.began = e.Batch, e.Plan.Total, 0, 0, e.Time
		p.ticks.start(p.Every, func(now time.Time) { p.Say(p.line(now)) })
	case Finished:
		p.ended++
		if e.Result.Status != Succeeded {
			p.failed++
		}
	}
}

// ticks calls a function every so often, between start and stop.
type ticks struct{ end, ended chan struct{} }

func (t *ticks) start(every time.Duration, call func(now time.Time)) {
	t.end, t.ended = make(chan struct{}), make(chan struct{})
	go func(end, ended chan struct{}) {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case now := <-ticker.C:
				call(now)
			case <-end:
				return
			}
		}
	}(t.end, t.ended)
}

// stop returns when the last call has returned.
func (t *ticks) stop() {
	close(t.end)
	<-t.ended
}

// line is what is said at one moment.
func (p *Lines) line(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d", p.batch, p.ended)
	if p.total > 0 {
		fmt.Fprintf(&b, " of %d done (%.1f%%)", p.total, 100*float64(p.ended)/float64(p.total))
	} else {
		b.WriteString(" done")
	}
	rate := float64(p.ended) / now.Sub(p.began).Seconds()
	fmt.Fprintf(&b, ", %d failed", p.failed)
	if n := len(p.parked); n > 0 {
		fmt.Fprintf(&b, ", %d waiting to be tried again", n)
	}
	fmt.Fprintf(&b, ", %.1f/s", rate)
	if left := p.total - p.ended; left > 0 && rate > 0 {
		fmt.Fprintf(&b, ", %s left", round(time.Duration(float64(left)/rate*float64(time.Second))))
	}
	return b.String()
}

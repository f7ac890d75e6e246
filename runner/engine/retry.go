package engine

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"nightshift/runner"
	"nightshift/runner/engine/llm"
	"nightshift/spec"
)

// What retry_on_failure means where the node says nothing else, and at most.
const (
	defaultRetries  = 3
	defaultInterval = time.Second
	maxRetries      = 100
	maxInterval     = time.Hour
)

// retries is how a call of a node stands whose answers were of no use. What the run
// tries again by itself, as a call that was refused, is not counted.
type retries struct {
	tried int
	until time.Time // of the pause before the next try
	last  error
}

// retried makes a step of one that may be tried again. The pause is not waited for
// in the node: its run is suspended, and others have its slot.
func (s *setup) retried(once step) step {
	if !s.retries() {
		return once
	}
	state := s.memo()
	most := s.retryNumber("max_retries", defaultRetries, maxRetries)
	interval := time.Duration(s.retryNumber("retry_interval_ms", int(defaultInterval.Milliseconds()), int(maxInterval.Milliseconds()))) * time.Millisecond
	return func(c *call) error {
		at, _ := c.kept[state].(retries)
		if rest := time.Until(at.until); at.tried > 0 && rest > 0 {
			return &pause{interval, runner.HeldBack{For: rest, Taken: at.until}, at.last} // the run was resumed for another call
		}
		err := once(c)
		if bad, ok := errors.AsType[*llm.BadAnswer](err); !ok || bad == nil || most == 0 {
			return err
		}
		if at.tried >= most {
			return fmt.Errorf("tried %d times: %w", at.tried+1, err)
		}
		at = retries{at.tried + 1, time.Now().Add(interval), err}
		c.kept[state] = at
		return &pause{interval, runner.HeldBack{For: interval, Taken: at.until}, err}
	}
}

// pause is the time until a node is tried again. It wraps a *runner.HeldBack, by which
// a call like it will have been taken at its end: a pause that the author asks for is
// never a reason to give up, however long it is.
type pause struct {
	interval time.Duration
	held     runner.HeldBack
	cause    error
}

func (e *pause) Error() string {
	return fmt.Sprintf("%v; it is tried again after %v", e.cause, e.interval)
}

func (e *pause) Unwrap() error { return &e.held }

// isPause tells whether a node is only to be tried again, which is no reason for
// others to wait.
func isPause(err error) bool {
	_, ok := errors.AsType[*pause](err)
	return ok
}

// retries tells whether the node is to be tried again.
func (s *setup) retries() bool {
	v, place := s.retrySetting("retry_on_failure")
	if v == nil {
		return false
	}
	on, err := spec.Convert(v, "bool")
	if err != nil {
		s.refuse(place, "retry_on_failure: %v", err)
	}
	return on == true
}

// retrySetting gives a setting, of the node or of its group `retry`, and the input
// that it stands in; nil where there is none.
func (s *setup) retrySetting(name string) (v any, place string) {
	v, given := s.spec.Inputs[name]
	place = name
	if !given {
		place = "retry"
		group, isMap := s.spec.Inputs["retry"].(map[string]any)
		if v = group[name]; !isMap {
			v, name = s.spec.Inputs["retry"], "retry" // a reference, if anything
		}
	}
	if _, plain := s.bind(v).Literal(); !plain {
		s.refuse(place, "%s must be written out; it cannot come from another node", name)
		return nil, place
	}
	return v, place
}

// retryNumber gives a setting that is a whole number up to a bound.
func (s *setup) retryNumber(name string, without, most int) int {
	v, place := s.retrySetting(name)
	if v == nil {
		return without
	}
	n, err := strconv.Atoi(spec.Text(v))
	if err != nil || n < 0 || n > most {
		s.refuse(place, "%s is %s, but must be a whole number from 0 to %d", name, spec.Text(v), most)
	}
	return n
}

package cli

import (
	"io"
	"slices"
	"sync"

	"nightshift/spec"
)

// keptServed is how many batch files' secrets are hidden after they are served no more:
// something may still be said of them.
const keptServed = 64

// served hides the secrets of all batch files that a worker serves in what it says.
type served struct {
	out io.Writer

	mu     sync.Mutex
	now    []*spec.Redactor // of files that are served
	before []*spec.Redactor // of others, the latest last
}

// add hides the secrets of one more. release is called when it is served no more.
func (s *served) add(redact *spec.Redactor) (release func()) {
	if !redact.Active() {
		return func() {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = append(s.now, redact)
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		at := slices.Index(s.now, redact)
		s.now = slices.Delete(s.now, at, at+1)
		s.before = append(s.before, redact)
		s.before = s.before[max(0, len(s.before)-keptServed):]
	})
}

// Write takes whole messages.
func (s *served) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := string(p)
	for _, redact := range slices.Concat(s.now, s.before) {
		text = redact.Message(text)
	}
	if _, err := io.WriteString(s.out, text); err != nil {
		return 0, err
	}
	return len(p), nil
}

package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"
)

// LockedError says that somebody writes the same results at this moment.
type LockedError struct {
	Path   string // of the results
	Holder string // the process, where it runs, and since when; "" where that cannot be read
}

func (e *LockedError) Error() string {
	holder := ""
	if e.Holder != "" {
		holder = " (" + e.Holder + ")"
	}
	return fmt.Sprintf("%s: another nightshift writes these results%s; wait for it, or choose another file with --output", e.Path, holder)
}

// resultsLock keeps others from writing the same results. The system gives it
// back when the process ends, in whatever way.
type resultsLock struct {
	path string
	file *flock.Flock
}

// lockResults takes the lock of a results file: PATH.lock, or beside what the path
// links to. The folder is made. It fails at once with a *LockedError where another
// has it, of this process or not, else with a *ResultsError: a file of that name
// that is no lock is left alone. Temporary files that a crash left of the results
// are removed.
func lockResults(path string) (*resultsLock, error) {
	target := followLinks(path)
	l := &resultsLock{path: target + ".lock"}
	if err := os.MkdirAll(filepath.Dir(target), 0o777); err != nil {
		return nil, &ResultsError{path, cause(err)}
	}
	for range 1000 {
		if isForeign(l.path) {
			return nil, &ResultsError{path, fmt.Errorf("its lock %s is another program's file; choose another results path", l.path)}
		}
		l.file = flock.New(l.path, flock.SetPermissions(0o666))
		switch held, err := l.file.TryLock(); {
		case err != nil:
			return nil, &ResultsError{path, fmt.Errorf("its lock %s: %w", l.path, cause(err))}
		case !held:
			return nil, &LockedError{path, readHolder(l.path)}
		case l.stands():
			l.sign()
			RemoveLeftovers(target, ".journal", ".retry") // nobody else may be writing them
			return l, nil
		}
		_ = l.file.Unlock() // its holder removed it in the meantime
	}
	return nil, &ResultsError{path, fmt.Errorf("its lock %s: %w", l.path, errLockMoves)}
}

var errLockMoves = errors.New("is removed all the time")

// stands tells whether the file that is locked is still the one of that name:
// another that opened it after its removal holds nothing.
func (l *resultsLock) stands() bool {
	mine, err := l.file.Stat()
	now, errNow := os.Stat(l.path)
	return err == nil && errNow == nil && os.SameFile(mine, now)
}

// release gives the lock back, and removes its file. Once is enough; a nil lock is
// none.
func (l *resultsLock) release() {
	if l == nil || l.file == nil {
		return
	}
	removed := !l.stands() || os.Remove(l.path) == nil
	_ = l.file.Unlock()
	if !removed && runtime.GOOS == "windows" {
		_ = os.Remove(l.path) // no open file is removed there, so not that of the next holder either
	}
	l.file = nil
}

// maxHolder is more bytes than a holder takes.
const maxHolder = 1 << 10

// holder is what the file of a lock says, for people.
type holder struct {
	Process int       `json:"process"`
	Host    string    `json:"host"`
	Since   time.Time `json:"since"`
}

// isForeign tells whether a file is there that no holder of a lock has left: that
// would be empty, signed, or what a loss of power leaves of a signature.
func isForeign(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	if !info.Mode().IsRegular() || info.Size() > maxHolder {
		return true
	}
	text, err := os.ReadFile(path)
	text = bytes.Trim(text, "\x00")
	signed := []byte(`{"process":`)
	return err == nil && !bytes.HasPrefix(text, signed) && !bytes.HasPrefix(signed, text)
}

// sign writes into the file who has the lock, as far as that is possible: the lock
// holds without.
func (l *resultsLock) sign() {
	host, _ := os.Hostname()
	text, err := json.Marshal(holder{os.Getpid(), host, time.Now().Round(0)})
	if err == nil {
		_ = os.WriteFile(l.path, append(text, '\n'), 0o666)
	}
}

// readHolder says who has a lock, or "".
func readHolder(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	var h holder
	if err := json.NewDecoder(io.LimitReader(file, maxHolder)).Decode(&h); err != nil || h.Process == 0 {
		return ""
	}
	since, form := h.Since.Local(), time.TimeOnly
	if since.Format(time.DateOnly) != time.Now().Format(time.DateOnly) {
		form = time.DateTime
	}
	return fmt.Sprintf("process %d on %s since %s", h.Process, h.Host, since.Format(form))
}

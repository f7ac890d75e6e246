package runner

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"pgregory.net/rapid"
)

// A disk knows of each file how much of it a loss of power would leave.
type disk struct{ files map[string]*powerFile }

// powerFile is a file that others write to as resultsOutput. Its methods may be
// called by several goroutines.
type powerFile struct {
	resultsOutput
	again *os.File // the same file: as long as it is open no other is taken for it

	mu     sync.Mutex
	turn   *sync.Cond // for mu
	size   int64
	synced int64
	held   bool // no sync returns
	dead   bool // the process is gone
}

var errKilledHere = errors.New("killed")

func (f *powerFile) Write(p []byte) (int, error) {
	n, err := f.resultsOutput.Write(p)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size += int64(n)
	return n, err
}

func (f *powerFile) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	size := f.size
	for f.held && !f.dead {
		f.turn.Wait()
	}
	if f.dead {
		return errKilledHere
	}
	f.synced = max(f.synced, size)
	f.turn.Broadcast()
	return nil
}

// open opens a file to append to. What replaced another is on the disk.
func (d *disk) open(path string) (resultsOutput, error) {
	out, err := openOutput(path)
	if err != nil {
		return nil, err
	}
	return d.adopt(path, out)
}

func (d *disk) adopt(path string, out resultsOutput) (*powerFile, error) {
	again, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := again.Stat()
	if err != nil {
		return nil, err
	}
	f := &powerFile{resultsOutput: out, again: again, size: info.Size(), synced: info.Size()}
	f.turn = sync.NewCond(&f.mu)
	if old := d.files[path]; old != nil {
		if was, err := old.again.Stat(); err == nil && os.SameFile(was, info) {
			f.synced = min(old.synced, f.size)
		}
		old.again.Close()
	}
	d.files[path] = f
	return f, nil
}

// begin opens the files of a generation on the disk.
func (d *disk) begin(t rapid.TB, g *Generation) {
	g.openOutput = d.open
	if err := g.Begin(); err != nil {
		t.Fatal(err)
	}
	adopt := func(path string, out resultsOutput, err error) (resultsOutput, error) {
		if err != nil {
			return nil, err
		}
		return d.adopt(path, out)
	}
	var err error
	if g.journal.out, err = adopt(g.journal.path, g.journal.out, nil); err != nil {
		t.Fatal(err)
	}
	g.journal.most = 2000
	g.journal.open = func(path string) (resultsOutput, error) {
		out, err := openToAppend(path)
		return adopt(path, out, err)
	}
}

// hold lets no sync of the results return, or lets all of them return, and waits
// until they have.
func (d *disk) hold(g *Generation, held bool) {
	for _, results := range []*ResultsFile{g.results, g.replacing} {
		if results == nil {
			continue
		}
		f := results.out.(*powerFile)
		f.mu.Lock()
		f.held = held
		f.turn.Broadcast()
		for !held && f.synced < f.size && g.Fsync != FsyncOff {
			f.turn.Wait()
		}
		f.mu.Unlock()
	}
}

// kill ends the process that has a generation open.
func (d *disk) kill(g *Generation) {
	for _, f := range d.files {
		f.mu.Lock()
		f.dead = true
		f.turn.Broadcast()
		f.mu.Unlock()
	}
	crash(g)
}

// lose turns the power off: what was not synced is gone, or some of it, or has
// holes.
func (d *disk) lose(t *rapid.T) {
	for _, path := range slices.Sorted(maps.Keys(d.files)) {
		f := d.files[path]
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		info, _ := os.Stat(path)
		if was, err := f.again.Stat(); err != nil || !os.SameFile(was, info) {
			continue // it was replaced
		}
		synced := int(min(f.synced, int64(len(text))))
		tail := text[synced:]
		switch rapid.SampledFrom([]string{"all", "some", "holes"}).Draw(t, "what is lost of "+path[strings.LastIndex(path, "/"):]) {
		case "all":
			tail = nil
		case "some":
			tail = tail[:rapid.IntRange(0, len(tail)).Draw(t, "left")]
		case "holes":
			const block = 64
			for at := 0; at < len(tail); at += block {
				if rapid.Bool().Draw(t, "hole") {
					clear(tail[at:min(at+block, len(tail))])
				}
			}
		}
		if err := os.WriteFile(path, text[:synced+len(tail)], 0o666); err != nil {
			t.Fatal(err)
		}
		f.size = int64(synced + len(tail))
		f.synced = f.size
	}
}

func (d *disk) close() {
	for _, f := range d.files {
		f.again.Close()
	}
}

// synced are the ids of the results that a loss of power cannot take.
func (d *disk) synced(path string) map[string]bool {
	ids := map[string]bool{}
	for _, p := range []string{path, retryPath(path)} {
		f := d.files[p]
		text, err := os.ReadFile(p)
		if f == nil || err != nil {
			continue
		}
		f.mu.Lock()
		text = text[:min(f.synced, int64(len(text)))]
		f.mu.Unlock()
		_ = ScanLines(strings.NewReader(string(text)), func(s *ScannedLine) bool {
			if s.Err == nil {
				ids[s.Line.ID+s.Line.Digest] = true
			}
			return true
		})
	}
	return ids
}

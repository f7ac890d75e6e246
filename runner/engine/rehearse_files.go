package engine

import (
	"fmt"
	"sync"
)

// mostDry is how many bytes of files a rehearsal keeps.
const mostDry = 64 << 20

// dryFiles are the files that a rehearsal would have stored: the nodes after that find
// them by name, and the disk does not. It is safe for concurrent use; nil holds nothing.
type dryFiles struct {
	mu    sync.Mutex
	files map[string][]byte // by clean name; nil: there was no room for it
	room  int               // bytes
}

func newDryFiles() *dryFiles { return &dryFiles{files: map[string][]byte{}, room: mostDry} }

// save keeps a file, in the place of one of that name; of one that is too large, the
// name.
func (d *dryFiles) save(name string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room += len(d.files[name])
	if d.files[name] = nil; len(data) <= d.room {
		d.files[name] = append([]byte{}, data...)
		d.room -= len(data)
	}
}

// open gives the file of a name, if it was saved.
func (d *dryFiles) open(name string) (data []byte, there bool, err error) {
	if d == nil {
		return nil, false, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	data, there = d.files[name]
	if there && data == nil {
		return nil, false, fmt.Errorf("it was stored in this rehearsal, which writes nothing and keeps no more than %d MB of files; rehearse fewer items (--limit)", mostDry>>20)
	}
	return data, there, nil
}

// names lists some of the files.
func (d *dryFiles) names(most int) (names []string) {
	if d == nil {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.files {
		if len(names) == most {
			break
		}
		names = append(names, name)
	}
	return names
}

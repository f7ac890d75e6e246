package spec

import (
	"errors"
	"os"
)

// reading is what a batch file is read from beside its own text: variables, and the
// files that it names. It keeps what was read, for a [Bundle].
type reading struct {
	env     Environment
	bundled bool // the files are all that there are: the disk is another machine's

	path      string              // of the batch file, absolute
	sets      []string            // --set flags
	files     map[string]fileRead // by absolute path
	variables map[string]string   // those that were looked up and are set
	docs      []*document         // the batch file and its pipeline files
	redact    *Redactor           // what the file by itself gives to hide
}

// fileRead is a file as it was read.
type fileRead struct {
	name    string // its path as it is shown
	content []byte
}

func newReading(opts Options) *reading {
	r := &reading{env: opts.Env, sets: opts.Set, files: map[string]fileRead{}, variables: map[string]string{}}
	if r.env == nil {
		r.env = os.LookupEnv
	}
	return r
}

// variable is an Environment.
func (r *reading) variable(name string) (string, bool) {
	value, set := r.env(name)
	if set {
		r.variables[name] = value
	}
	return value, set
}

// keep remembers the content of a file.
func (r *reading) keep(path string, content []byte) {
	r.files[absolute(path)] = fileRead{path, content}
}

// file reads a file; more than most bytes are an error.
func (r *reading) file(path string, most int) ([]byte, error) {
	if r.bundled {
		f, there := r.files[absolute(path)]
		switch {
		case !there:
			return nil, errors.New("it did not come along with the batch file")
		case len(f.content) > most:
			return nil, tooLarge(most)
		}
		return f.content, nil
	}
	content, err := readWhole(path, "", most)
	if err == nil {
		r.keep(path, content)
	}
	return content, err
}

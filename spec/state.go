package spec

import (
	"path/filepath"
	"strings"
)

// StateDir gives the folder of what is kept from one invocation to the next:
// the variable NIGHTSHIFT_STATE or, where it is not set, .nightshift in the
// folder that the results path names before its first {{ }}. For results that
// go to no file it stands beside the batch file.
func (f *File) StateDir(env Environment) string {
	if dir, _ := env("NIGHTSHIFT_STATE"); dir != "" {
		return dir
	}
	fixed := f.Results
	if at := bareReference().FindStringIndex(fixed); at != nil {
		fixed = fixed[:at[0]]
	}
	if strings.HasPrefix(fixed, "/dev/") {
		fixed = "-"
	}
	return f.besides(filepath.Join(filepath.Dir(fixed), ".nightshift"))
}

// CachePath gives the file in which answers of models are kept.
func (f *File) CachePath(env Environment) string {
	if path := f.Run.Cache.Path; path != "" {
		return f.besides(path)
	}
	return filepath.Join(f.StateDir(env), "answers.db")
}

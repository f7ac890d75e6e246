package spec

import (
	"path/filepath"
	"strings"
)

// Temporal is what backend temporal needs to know beside how it is reached.
type Temporal struct {
	TaskQueue string
	ShardSize int    // items that a worker is handed at once
	Store     string // folder or address that client and workers share, as written; "": see [File.StorePath]
}

// StorePath gives the folder, or the address such as s3://bucket/prefix, that client and
// workers of backend temporal share: what run.temporal.store names, else the variable
// NIGHTSHIFT_STORE, else a folder in the state folder. That of a folder is absolute.
func (f *File) StorePath(env Environment) string {
	path := f.Run.Temporal.Store
	switch fromEnv, _ := env("NIGHTSHIFT_STORE"); {
	case path != "" && !isURL(path):
		path = f.besides(path)
	case path == "" && fromEnv != "":
		path = fromEnv
	case path == "":
		path = filepath.Join(f.StateDir(env), "store")
	}
	if isURL(path) {
		return path
	}
	return absolute(path)
}

// isURL tells an address from a path.
func isURL(path string) bool { return strings.Contains(path, "://") }

// absolute is a path that means the same wherever it is used; where there is no working
// folder it stays as it is.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

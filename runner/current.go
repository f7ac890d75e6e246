package runner

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Current is the generation that a batch is at: what to go on with, also on
// another day.
type Current struct {
	Generation string
	Date       string // what {{ date }} was filled with
	Results    string // path of the results file
}

// ErrCurrentDamaged says that the state folder has a file for the batch that
// tells nothing. It may be written over.
var ErrCurrentDamaged = errors.New("is damaged, so that it does not tell which generation the batch is at")

// currentFile is what the state folder has of a batch. Its paths are relative to
// that folder, with slashes: the folder and the results may be moved together.
type currentFile struct {
	Batch      string `json:"batch"`
	Pattern    string `json:"pattern"`
	Generation string `json:"generation"`
	Date       string `json:"date"`
	Results    string `json:"results"`
}

// ReadCurrent tells which generation a batch is at; nil if there is none. The
// pattern is the results path, from here, in which only {{ date }} is not filled
// in. A file that is no such file is an ErrCurrentDamaged.
func ReadCurrent(stateDir, batch, pattern string) (*Current, error) {
	path, kept, err := currentPath(stateDir, batch, pattern)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := kept
	if err := json.Unmarshal(text, &found); err != nil || found.Generation == "" || found.Results == "" {
		return nil, fmt.Errorf("%s %w", path, ErrCurrentDamaged)
	}
	if found.Batch != kept.Batch || found.Pattern != kept.Pattern {
		return nil, nil // another, whose name happens to come out the same
	}
	return &Current{found.Generation, found.Date, fromDir(stateDir, found.Results)}, nil
}

// WriteCurrent keeps which generation a batch is at; ReadCurrent says what the
// pattern is. It makes the folder. Errors are a *ResultsError.
func WriteCurrent(stateDir, batch, pattern string, c Current) error {
	path, kept, err := currentPath(stateDir, batch, pattern)
	if err == nil {
		kept.Generation, kept.Date = c.Generation, c.Date
		kept.Results, err = relativeTo(stateDir, c.Results)
	}
	var text bytes.Buffer
	if err == nil {
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		err = encoder.Encode(kept)
	}
	if err == nil {
		err = os.MkdirAll(stateDir, 0o777)
	}
	if err != nil {
		return &ResultsError{stateDir, cause(err)}
	}
	return ReplaceFile(path, func(w io.Writer) error {
		_, err := w.Write(text.Bytes())
		return err
	})
}

// currentPath gives the name of the file for a batch, and what it says of that.
func currentPath(stateDir, batch, pattern string) (string, currentFile, error) {
	pattern, err := relativeTo(stateDir, pattern)
	if err != nil {
		return "", currentFile{}, err
	}
	sum := sha256.Sum256([]byte(batch + "\n" + pattern))
	const longest = 100 // file names have an end
	name := batch[:min(len(batch), longest)] + "-" + hex.EncodeToString(sum[:4]) + ".json"
	return filepath.Join(stateDir, name), currentFile{Batch: batch, Pattern: pattern}, nil
}

// relativeTo gives a path, with slashes, as seen from a folder; or whole, where the
// folder is on another volume.
func relativeTo(dir, path string) (string, error) {
	from, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if relative, err := filepath.Rel(from, to); err == nil {
		return filepath.ToSlash(relative), nil
	}
	return filepath.ToSlash(to), nil
}

// fromDir undoes relativeTo.
func fromDir(dir, path string) string {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

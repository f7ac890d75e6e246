package spec

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// MaxFile is the most that a file may have that a run works with, in bytes.
const MaxFile = 25 << 20

// IsFileType tells whether values of a type are files, or lists of them.
func IsFileType(typ string) bool {
	switch innermost(typ) {
	case "file", "image", "audio":
		return true
	}
	return false
}

// FileValue makes the plain value of a file: {type: file, raw_bytes: BASE64,
// metadata: {name, path, mime_type}}. The name is the last part of the path.
func FileValue(name string, data []byte) map[string]any {
	return map[string]any{
		"type": "file", "raw_bytes": base64.StdEncoding.EncodeToString(data),
		"metadata": map[string]any{"name": path.Base(filepath.ToSlash(name)), "path": name, "mime_type": MIMEType(name, data)},
	}
}

// IsFile tells whether a value is that of a file.
func IsFile(v any) bool {
	m, _ := v.(map[string]any)
	_, ok := m["raw_bytes"].(string)
	return ok && m["type"] == "file"
}

// NamedFile gives the path of {file: path}, or {path: path}; named is false where v
// is neither.
func NamedFile(v any) (name string, named bool, err error) {
	m, _ := v.(map[string]any)
	written, file := m["file"]
	if !file {
		if written, named = m["path"]; !named || len(m) != 1 {
			return "", false, nil
		}
	}
	if name, _ = written.(string); name == "" || len(m) != 1 {
		return "", true, errors.New("a file is given as {file: path}")
	}
	return name, true, nil
}

// ReadFile reads the file of a path that an author wrote, relative to dir. It must
// be a file and have no more than most bytes.
func ReadFile(name, dir string, most int) ([]byte, error) {
	data, err := readWhole(name, dir, most)
	return data, unread(name, err)
}

// LookFile says why ReadFile would not read a file, as far as that is seen from outside.
func LookFile(name, dir string, most int) error {
	_, err := lookFile(PathIn(dir, name), most)
	return unread(name, err)
}

func unread(name string, err error) error {
	if err != nil {
		return fmt.Errorf("cannot read the file %s: %w", name, reason(err))
	}
	return nil
}

// PathIn gives a path relative to dir.
func PathIn(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func lookFile(path string, most int) (os.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("it is a folder")
	case !info.Mode().IsRegular(): // a pipe would be waited for
		return nil, errors.New("it is no file")
	case info.Size() > int64(most):
		return nil, tooLarge(most)
	}
	return info, nil
}

func tooLarge(most int) error {
	return fmt.Errorf("it has more than %d MB, which is the most that is read", most>>20)
}

func readWhole(name, dir string, most int) ([]byte, error) {
	name = PathIn(dir, name)
	info, err := lookFile(name, most)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadMost(f, info.Size(), most)
}

// ReadMost reads all of r, which likely holds size bytes; more than most are an error.
func ReadMost(r io.Reader, size int64, most int) ([]byte, error) {
	if size > int64(most) {
		return nil, tooLarge(most)
	}
	data := make([]byte, 0, size+512) // a large file is not copied while it grows
	for {
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case len(data) > most:
			return nil, tooLarge(most)
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return nil, err
		case len(data) == cap(data):
			data = append(data, 0)[:len(data)]
		}
	}
}

// mimeTypes are those that tables of systems do not agree on, or lack.
var mimeTypes = map[string]string{
	".txt": "text/plain", ".md": "text/markdown", ".csv": "text/csv", ".tsv": "text/tab-separated-values",
	".json": "application/json", ".jsonl": "application/jsonl", ".yaml": "application/yaml", ".yml": "application/yaml",
	".mp3": "audio/mpeg", ".wav": "audio/wav",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

// MIMEType tells by the bytes what pictures and PDFs are, as their names are often
// wrong, and by the ending of the name what the rest is.
func MIMEType(name string, data []byte) string {
	seen := http.DetectContentType(data)
	if !strings.HasPrefix(seen, "image/") && seen != "application/pdf" {
		ending := strings.ToLower(filepath.Ext(name))
		seen = cmp.Or(mimeTypes[ending], mime.TypeByExtension(ending), seen)
	}
	kind, _, _ := strings.Cut(seen, ";")
	return kind
}

package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct{ address, name string }{
		{dir, dir},
		{dir + "/made/here/", dir + "/made/here"},
		{"file://" + dir + "/made%20too", dir + "/made too"},
		{"file://localhost" + dir, dir},
		{dir + "/what?a=%20", dir + "/what?a=%20"},
	} {
		s, err := Open(t.Context(), test.address)
		fine(t, err)
		want(t, test.address, s.String(), test.name)
		info, err := os.Stat(test.name)
		fine(t, err)
		if test.name != dir {
			want(t, "mode", info.Mode().Perm(), fs.FileMode(0o700))
		}
		entries, err := os.ReadDir(test.name)
		fine(t, err)
		for _, e := range entries {
			if !e.IsDir() {
				t.Errorf("%s is left over", e.Name())
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	fine(t, os.WriteFile(dir+"/file", nil, 0o600))
	fine(t, os.Mkdir(dir+"/locked", 0o500))
	for _, test := range []struct{ address, says string }{
		{"", "there is no store: name a folder or s3://bucket/prefix"},
		{"folder", "store folder: the path is not absolute"},
		{dir + "/file", "store " + dir + "/file: cannot open it: not a directory; a store is a folder"},
		{dir + "/file/below", "a store is a folder"},
		{dir + "/locked", "store " + dir + "/locked: cannot open it: permission denied; make the folder readable and writable for this user"},
		{dir + "/locked/below", "permission denied; make the folder"},
		{"file://host" + dir, "a folder is written as /folder or file:///folder"},
		{"file://" + dir + "?metadata=skip", "with nothing behind it"},
		{"gs://bucket", `store gs://bucket: "gs" is not known; a store is an absolute path or s3://bucket/prefix`},
		{"s3:///prefix", "the bucket is missing"},
		{"s3://key:secret@bucket/prefix", "store s3://bucket/prefix: the address holds credentials; leave them out, and set AWS_ACCESS_KEY_ID"},
		{"s3://key:secret%zz@bucket", "the address of the store is no URL"},
		{"s3://bucket?password=secret", "store s3://bucket: cannot open it: unknown query parameter"},
	} {
		if os.Geteuid() == 0 && strings.Contains(test.says, "permission") {
			continue // nothing is forbidden
		}
		_, err := Open(t.Context(), test.address)
		says(t, test.address, err, test.says)
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the secret is told: %v", err)
		}
	}
}

// TestKeys are keys from payloads, which may not lead out of the store.
func TestKeys(t *testing.T) {
	s := open(t)
	fine(t, os.WriteFile(filepath.Join(filepath.Dir(s.String()), "secret.json"), []byte("{}"), 0o600))
	for _, key := range []string{"../secret.json", "/etc/passwd", "specs/../../secret.json", "", ".", `..\secret.json`, "specs//a", "specs/\x00"} {
		_, err := s.Bundle(t.Context(), key)
		says(t, key, err, "is no key of an object")
		says(t, key, s.Forget(t.Context(), key), "is not the key of a pass or a run")
	}
	for _, key := range []string{"passes", "passes/g", "passes/g/b", "runs", "specs/a", "passes/g/b/n/items", "runs/a/b", "passes/g/b/"} {
		says(t, key, s.Forget(t.Context(), key), "is not the key of a pass or a run")
	}
	_, err := s.Bundle(t.Context(), "specs/none.json")
	says(t, "nothing", err, "store "+s.String()+": there is no specs/none.json; it was removed, or this is not the store that the client uses")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Error("it is not told apart")
	}
}

func TestPassKey(t *testing.T) {
	want(t, "plain", PassKey("20240501-aa", "night-1_b.c", "x"), "passes/20240501-aa/night-1_b.c/x")
	want(t, "others", PassKey("g", "../ä:b", ""), "passes/g/%2E.%2F%C3%A4%3Ab/%")
	long := strings.Repeat("x", 500)
	a, b := PassKey("g", long+"a", "n"), PassKey("g", long+"b", "n")
	if a == b || len(a) > 300 {
		t.Errorf("%s and %s", a, b)
	}
	want(t, "run", RunKey("run-a/b"), "runs/run-a%2Fb")
}

package llm

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCacheFilesAreOnlyForTheOwner(t *testing.T) {
	top := t.TempDir()
	old := filepath.Join(top, "old")
	if err := os.Mkdir(old, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		umask  string
		folder string
		mode   fs.FileMode // of the folder
	}{
		{"000", filepath.Join(top, "wide", "state"), 0o700},
		{"027", filepath.Join(top, "usual", "state"), 0o700},
		{"000", old, 0o755},
	} {
		path := filepath.Join(test.folder, "answers.db")
		child := cacheChild(t, path, "0")
		sh := exec.CommandContext(t.Context(), "sh", append([]string{"-c", "umask " + test.umask + `; exec "$@"`, "sh"}, child.Args...)...)
		sh.Env = child.Env
		if out, err := sh.CombinedOutput(); err != nil {
			t.Fatalf("umask %s: %v\n%s", test.umask, err, out)
		}
		wantMode(t, test.folder, test.mode)
		wantMode(t, path, 0o600)
	}
	wide, err := os.Stat(filepath.Join(top, "wide"))
	if err != nil || wide.Mode().Perm() == 0o700 {
		t.Errorf("folders above the one of the cache are like any other: mode %v, %v", wide.Mode(), err)
	}

	path := filepath.Join(old, "answers.db") // one that was copied, say
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	c := openTestCache(t, path, 0)
	mustPut(t, c, 1)
	wantKept(t, c, 1)
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		wantMode(t, name, 0o600)
	}
}

func wantMode(t testing.TB, path string, mode fs.FileMode) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != mode {
		t.Errorf("%s has mode %o, wanted %o", path, got, mode)
	}
}

// sqlOn runs statements on a database of any kind.
func sqlOn(t testing.TB, path string, statements ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return db
}

func TestOpenCacheSaysWhatIsWrong(t *testing.T) {
	filled := func(t *testing.T, path string) {
		c := openTestCache(t, path, 0)
		fillCache(t, c, 200)
		c.Close()
	}
	for _, test := range []struct {
		name string
		make func(t *testing.T, path string)
		says string
	}{
		{"text", func(t *testing.T, path string) { putText(t, path, strings.Repeat("some text\n", 1000)) }, "it is not a database: remove it, and it is made anew"},
		{"short text", func(t *testing.T, path string) { putText(t, path, "x\n") }, "it is not a database: remove it, and it is made anew"},
		{"folder", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
		}, "it is not a file"},
		{"newer", func(t *testing.T, path string) {
			filled(t, path)
			sqlOn(t, path, "pragma user_version = 9").Close()
		}, "it has format 9, and this version of nightshift knows none above 2"},
		{"other program", func(t *testing.T, path string) {
			sqlOn(t, path, "create table mine (a text)", "insert into mine values ('precious')").Close()
		}, "it is a database of another program"},
		{"torn", func(t *testing.T, path string) {
			filled(t, path)
			if err := os.Truncate(path, 3*4096); err != nil {
				t.Fatal(err)
			}
		}, "it is damaged: remove it, and it is made anew"},
		{"locked", func(t *testing.T, path string) {
			filled(t, path)
			sqlOn(t, path, "pragma locking_mode = exclusive", "begin exclusive", "create table other (a)")
		}, "another process has locked it"},
		{"written to", func(t *testing.T, path string) {
			filled(t, path)
			sqlOn(t, path, "begin immediate")
		}, "another process has locked it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "answers.db")
			test.make(t, path)
			before, _ := os.ReadFile(path)
			mode, _ := os.Stat(path)
			c, err := openCache(path, time.Hour, 50*time.Millisecond)
			if err == nil {
				c.Close()
				t.Fatal("it was opened")
			}
			wanted := fmt.Sprintf("cannot keep answers in %s: %s", path, test.says)
			if err.Error() != wanted {
				t.Errorf("error: %v\nwanted: %s", err, wanted)
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file has changed")
			}
			if now, _ := os.Stat(path); now.Mode() != mode.Mode() {
				t.Errorf("the mode has changed from %v to %v", mode.Mode(), now.Mode())
			}
		})
	}
	t.Run("below a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		putText(t, file, "")
		for _, path := range []string{filepath.Join(file, "answers.db"), filepath.Join(file, "state", "answers.db")} {
			_, err := OpenCache(path, 0)
			if wanted := "cannot keep answers in " + path + ": not a directory"; err == nil || !strings.HasPrefix(err.Error(), wanted) {
				t.Errorf("error: %v\nwanted: %s", err, wanted)
			}
		}
	})
}

func putText(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestCacheTakesAnEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.db")
	putText(t, path, "")
	c := openTestCache(t, path, 0)
	mustPut(t, c, 1)
	wantKept(t, c, 1)
	wantMode(t, path, 0o600)
}

// An answer that is not what was put is none; others are still found.
func TestCacheMissesWhatIsDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "answers.db")
	c := openTestCache(t, path, 0)
	for i := range 200 {
		mustPut(t, c, i)
	}
	c.Close()
	damaged := strings.Replace(textOf(t, path), "answer 50", "answer 51", 1)
	putText(t, path, damaged)
	c = openTestCache(t, path, 0)
	wantMissing(t, c, 50)
	wantKept(t, c, 51)
	mustPut(t, c, 50) // takes its place
	wantKept(t, c, 50)
	c.Close()

	// The first page, which is looked at on opening, stays; all others are lost.
	const page = 4096
	putText(t, path, damaged[:page]+strings.Repeat("lost", (len(damaged)-page)/4))
	c = openTestCache(t, path, 0)
	for i := range 200 {
		wantMissing(t, c, i)
	}
	if err := c.Put(context.Background(), cacheKey(1), asked, answerOf(1)); err == nil || !strings.HasSuffix(err.Error(), "it is damaged: remove it, and it is made anew") {
		t.Errorf("a put into what is damaged: %v", err)
	}
}

func TestCachePathMayBeAnything(t *testing.T) {
	for _, name := range []string{"with space", "what?", "a#b", "100%41", "a&b=c;d+e@f:g", "ünï", "file:x", "-"} {
		path := filepath.Join(t.TempDir(), name, name+".db")
		c := openTestCache(t, path, 0)
		mustPut(t, c, 1)
		c.Close()
		if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 || entries[0].Name() != name+".db" {
			t.Errorf("%s: made %v, %v", name, entries, err)
		}
		wantKept(t, openTestCache(t, path, 0), 1)
	}
	t.Chdir(t.TempDir())
	mustPut(t, openTestCache(t, "answers.db", 0), 1)
	wantKept(t, openTestCache(t, filepath.Join("..", filepath.Base(workDir(t)), "answers.db"), 0), 1)
}

func workDir(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Whoever is first makes the file, and none of the others trips over that.
func TestCacheIsMadeOnce(t *testing.T) {
	for range 5 {
		path := filepath.Join(t.TempDir(), "state", "answers.db")
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				c, err := OpenCache(path, time.Hour)
				if err != nil {
					t.Error(err)
					return
				}
				mustPut(t, c, i)
				wantKept(t, c, i)
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		c := openTestCache(t, path, 0)
		for i := range 8 {
			wantKept(t, c, i)
		}
	}
}

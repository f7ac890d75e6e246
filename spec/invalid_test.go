package spec

import (
	"bufio"
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"nightshift/schema"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestInvalid holds what is said about each file of testdata/invalid against
// its golden. Comments `# env: NAME=value` and `# set: path=value` at the head
// of a file give variables and --set flags.
func TestInvalid(t *testing.T) {
	t.Chdir("..")
	files, err := filepath.Glob("testdata/invalid/*.yaml")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d files in testdata/invalid (%v)", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			problems := validate(t, path)
			if len(problems) == 0 {
				t.Fatal("nothing is found to be wrong")
			}
			checkPlaces(t, problems)
			got := problems.Error() + "\n"
			golden := strings.TrimSuffix(path, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v; go test ./spec -run TestInvalid -update writes it", err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("other problems than in %s (-want +got):\n%s", golden, diff)
			}
		})
	}
}

// TestGoldensHaveFiles finds goldens that nothing is compared with any more.
func TestGoldensHaveFiles(t *testing.T) {
	goldens, _ := filepath.Glob("../testdata/invalid/*.golden")
	for _, golden := range goldens {
		if _, err := os.Stat(strings.TrimSuffix(golden, ".golden") + ".yaml"); err != nil {
			t.Errorf("%s: %v", golden, err)
		}
	}
}

// validate does what the command of that name does.
func validate(t *testing.T, path string) schema.Problems {
	t.Helper()
	vars, sets := directives(t, path)
	env := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	file, problems := Load(path, Options{Env: env, Set: sets})
	if errs, _ := problems.Split(); len(errs) > 0 {
		return problems
	}
	for _, b := range file.Batches {
		if b.Source.Rereadable() {
			problems = append(problems, b.Scan(nil).Problems...)
		}
	}
	return problems
}

func directives(t *testing.T, path string) (vars map[string]string, sets []string) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	vars = map[string]string{}
	for s := bufio.NewScanner(bytes.NewReader(source)); s.Scan(); {
		if text, ok := strings.CutPrefix(s.Text(), "# env: "); ok {
			name, value, _ := strings.Cut(text, "=")
			vars[name] = value
		}
		if text, ok := strings.CutPrefix(s.Text(), "# set: "); ok {
			sets = append(sets, text)
		}
	}
	return vars, sets
}

// jsonschemaisms are words of the libraries below, which mean nothing to an author.
var jsonschemaisms = regexp.MustCompile(`additionalProperties|anyOf|oneOf|propertyNames|minItems|\bnull\b|schema|unmarshal|jsontext|!!(str|int|map|seq|bool|float)|goroutine|0x[0-9a-f]{6}|%!`)

// checkPlaces holds what is true of every problem: it has a file, a line that
// exists where it has one at all, a message without a final stop.
func checkPlaces(t *testing.T, problems schema.Problems) {
	t.Helper()
	for _, p := range problems {
		switch {
		case p.File == "":
			t.Errorf("no file: %s", p)
		case strings.HasPrefix(p.File, "--set "), p.Line > 0 && p.Col > 0:
		case p.Line != 0 || p.Col != 0 || !strings.Contains(p.Message, "cannot read"):
			t.Errorf("no place: %s", p)
		}
		if strings.HasSuffix(p.Message, ".") || p.Message == "" || strings.HasPrefix(p.Message, " ") {
			t.Errorf("message is not a phrase: %q", p.Message)
		}
		if m := jsonschemaisms.FindString(p.Message); m != "" {
			t.Errorf("message says %q: %s", m, p)
		}
	}
}

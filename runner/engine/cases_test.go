package engine

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gopkg.in/yaml.v3"
)

// nodeCase is one case of testdata/nodes/TYPE.yaml, a list of them: a node called
// n of that type, and what becomes of it. Only outputs that are named are looked
// at, exactly, with their types; `complete`, and the paths of a condition or an
// ai_routing, are true or false. An error is the whole message, of the batch
// file, of the save or of the run, several on a line each, without positions.
//
// In inputs, {{ v.a }} to {{ v.f }} are the members of given with the types that
// they have there; a member that is not given is the text null. Of an input node,
// `in` is what the run gives it, and other members are given by their names. Of
// an output node, n is the output. The nodes time and wait_node run at
// 2000-01-01T00:00:00Z, and all others that say now or waits.
//
// In outputs, errors and what was asked, DIR is the folder of the batch file, and
// SERVER the address and port of the server.
type nodeCase struct {
	Name          string               `yaml:"name"`
	Given         map[string]yaml.Node `yaml:"given"`
	Inputs        yaml.Node            `yaml:"inputs"`
	ExecutionMode string               `yaml:"execution_mode"`
	CyclicInputs  yaml.Node            `yaml:"cyclic_inputs"`
	Outputs       map[string]yaml.Node `yaml:"outputs"`
	Error         string               `yaml:"error"`
	At            string               `yaml:"at"` // input of n at whose place in the batch file the error stands; n: at the node's

	Nodes     yaml.Node            `yaml:"nodes"`     // others of the pipeline
	After     string               `yaml:"after"`     // a text that is made once n has run; it is the output `after`
	Variables yaml.Node            `yaml:"variables"` // of the pipeline
	Pipelines map[string]yaml.Node `yaml:"pipelines"` // files beside the batch file: name and nodes
	Files     map[string]string    `yaml:"files"`     // in the folder of the batch file
	Stored    map[string]string    `yaml:"stored"`    // in the file area before
	Saved     map[string]string    `yaml:"saved"`     // all that is in the file area afterwards
	Answers   *caseAnswers         `yaml:"answers"`   // of the model; where neither the inputs nor the catalogue name a provider, it is custom and its model m
	Asked     []yaml.Node          `yaml:"asked"`     // prompts, or members of the requests
	Serve     *caseServer          `yaml:"serve"`     // a web server at {{ v.server }}; private addresses are allowed
	Now       time.Time            `yaml:"now"`       // when the run begins
	Waits     *time.Duration       `yaml:"waits"`     // how long it takes

	typ string
}

// members are those that can be given.
var members = []string{"a", "b", "c", "d", "e", "f"}

// TestCases runs the cases of all node types.
func TestCases(t *testing.T) {
	t.Parallel()
	for typ, cases := range readCases(t) {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			for _, c := range cases {
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					if c.isTimed() {
						synctest.Test(t, c.test)
					} else {
						c.test(t)
					}
				})
			}
		})
	}
}

// casesToCome are types whose cases are not written yet.
var casesToCome = []string{}

// TestEveryTypeHasCases wants five cases for every type that the engine runs.
func TestEveryTypeHasCases(t *testing.T) {
	t.Parallel()
	all := readCases(t)
	for typ := range nodeTypes {
		if !slices.Contains(casesToCome, typ) && len(all[typ]) < 5 {
			t.Errorf("testdata/nodes/%s.yaml has %d cases, but must have 5 at least", typ, len(all[typ]))
		}
	}
	for typ := range all {
		if !Runs(typ) {
			t.Errorf("testdata/nodes/%s.yaml: there is no such type", typ)
		}
		if slices.Contains(casesToCome, typ) {
			t.Errorf("%s has cases: take it off the list casesToCome", typ)
		}
	}
}

func readCases(t *testing.T) map[string][]*nodeCase {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/nodes/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]*nodeCase{}
	for _, path := range paths {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		decoder := yaml.NewDecoder(file)
		decoder.KnownFields(true)
		var cases []*nodeCase
		if err := decoder.Decode(&cases); err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("%s: %v", path, err)
		}
		typ := strings.TrimSuffix(filepath.Base(path), ".yaml")
		names := map[string]bool{}
		for _, c := range cases {
			switch {
			case c.Name == "" || names[c.Name]:
				t.Errorf("%s: case %q: each has a name of its own", path, c.Name)
			case c.Error == "" && c.Outputs == nil && c.Saved == nil && c.Asked == nil && c.Waits == nil:
				t.Errorf("%s: case %q looks at nothing", path, c.Name)
			case c.Error != "" && c.Outputs != nil:
				t.Errorf("%s: case %q has an error and outputs", path, c.Name)
			}
			names[c.Name], c.typ = true, typ
			if c.isTimed() && (c.Answers != nil || c.Serve != nil) {
				t.Errorf("%s: case %q: no server can be asked at a time of its own", path, c.Name)
			}
		}
		all[typ] = cases
	}
	return all
}

// isTimed tells whether the case has a clock of its own.
func (c *nodeCase) isTimed() bool {
	return c.typ == "time" || c.typ == "wait_node" || !c.Now.IsZero() || c.Waits != nil
}

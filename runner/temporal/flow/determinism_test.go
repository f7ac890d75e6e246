package flow

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowed is what workflow code may import, and what of it: nil is all. Time comes as
// durations, and text is made, not written.
var allowed = map[string][]string{
	"cmp":                         nil,
	"errors":                      nil,
	"slices":                      nil,
	"fmt":                         {"Sprintf", "Errorf"},
	"time":                        {"Time", "Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour"},
	"go.temporal.io/api/enums/v1": nil,
	"go.temporal.io/sdk/temporal": nil,
	"go.temporal.io/sdk/workflow": nil,
}

// TestWorkflowCodeDecidesTheSameEveryTime, as far as its source can tell. The analyser
// of make lint looks at what it calls, too.
func TestWorkflowCodeDecidesTheSameEveryTime(t *testing.T) {
	pkg, err := build.ImportDir(".", 0)
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{}
	for _, name := range pkg.GoFiles {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources[name] = string(text)
	}
	if len(sources) < 5 {
		t.Fatalf("only %d files", len(sources))
	}
	want(t, "findings", indeterminate(t, sources), []string(nil))
}

func TestWhatIsNotDeterminateIsFound(t *testing.T) {
	for _, c := range []struct{ imports, code, finding string }{
		{``, `func f() {}`, ``},
		{`"time"`, `const wait = 2 * time.Second`, ``},
		{``, `func f(s []int) (sum int) { for _, n := range s { sum += n }; for i := range 3 { sum += i }; return }`, ``},
		{`"time"`, `func f() time.Time { return time.Now() }`, `time.Now is not for workflow code`},
		{`t "time"`, `func f() { t.Sleep(t.Second) }`, `t.Sleep is not for workflow code`},
		{`. "time"`, `func f() { Sleep(Second) }`, `imports time without its name`},
		{`"math/rand/v2"`, `func f() int { return rand.Int() }`, `imports math/rand/v2`},
		{`"os"`, `func f() string { return os.Getenv("A") }`, `imports os`},
		{`"maps"`, `func f(m map[int]int) { maps.Clear(m) }`, `imports maps`},
		{`"nightshift/spec"`, `var _ spec.File`, `imports nightshift/spec`},
		{`"fmt"`, `func f() { fmt.Println() }`, `fmt.Println is not for workflow code`},
		{``, `func f(m map[int]int) { for range m { return } }`, `ranges over map[int]int`},
		{``, `type set map[int]bool; type s struct { set }; func (s s) f() { for k := range s.set { _ = k } }`, `ranges over set`},
		{`"slices"`, `func f(s []int) { for range slices.Values(s) { return } }`, `ranges over what this test does not know`},
		{``, `func f(seq func(func(int) bool)) { for range seq { return } }`, `ranges over func(`},
		{``, `func f() { go f() }`, `a go statement`},
		{``, `func f(c chan int) {}`, `a channel`},
		{``, `func f() { select {} }`, `a select statement`},
		{``, `var last int`, `a variable of the package`},
	} {
		source := "package flow\n"
		if c.imports != "" {
			source += "import " + c.imports + "\n"
		}
		findings := indeterminate(t, map[string]string{"planted.go": source + c.code})
		if c.finding == "" {
			want(t, c.code, findings, []string(nil))
		} else if !slices.ContainsFunc(findings, func(f string) bool { return strings.Contains(f, c.finding) }) {
			t.Errorf("%s: not found to be one that %s: %q", c.code, c.finding, findings)
		}
	}
}

// indeterminate finds in the sources of a package, by file name, what may decide
// otherwise when it is executed again.
func indeterminate(t *testing.T, sources map[string]string) (findings []string) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		file, err := parser.ParseFile(fset, name, sources[name], parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	// What others declare stays unknown: so does what a range over it would yield, which
	// therefore is a finding.
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}}
	checker := types.Config{Importer: stranger{}, Error: func(error) {}}
	_, _ = checker.Check("flow", fset, files, info)
	for _, file := range files {
		find := func(n ast.Node, format string, args ...any) {
			findings = append(findings, fmt.Sprintf("%v: %s", fset.Position(n.Pos()), fmt.Sprintf(format, args...)))
		}
		for _, imported := range file.Imports {
			path, _ := strconv.Unquote(imported.Path.Value)
			if _, ok := allowed[path]; !ok {
				find(imported, "imports %s", path)
			}
			if imported.Name != nil && imported.Name.Name == "." {
				find(imported, "imports %s without its name", path)
			}
		}
		for _, declared := range file.Decls {
			if d, ok := declared.(*ast.GenDecl); ok && d.Tok == token.VAR {
				find(d, "a variable of the package")
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				find(n, "a go statement")
			case *ast.SelectStmt:
				find(n, "a select statement")
			case *ast.ChanType:
				find(n, "a channel")
			case *ast.RangeStmt:
				if wrong := rangeOver(info.TypeOf(n.X)); wrong != "" {
					find(n, "%s", wrong)
				}
			case *ast.SelectorExpr:
				if of, ok := packageOf(info, n); ok {
					if names := allowed[of]; names != nil && !slices.Contains(names, n.Sel.Name) {
						find(n, "%s.%s is not for workflow code", n.X, n.Sel.Name)
					}
				}
			}
			return true
		})
	}
	return findings
}

// rangeOver says what is wrong with a range over a type, nil where it is not known.
func rangeOver(over types.Type) string {
	if over == nil || over == types.Typ[types.Invalid] {
		return "ranges over what this test does not know"
	}
	switch over.Underlying().(type) {
	case *types.Slice, *types.Array, *types.Basic:
		return ""
	}
	return "ranges over " + types.TypeString(over, func(*types.Package) string { return "" })
}

// packageOf is the path of the package that a name is of, if it is of one.
func packageOf(info *types.Info, n *ast.SelectorExpr) (string, bool) {
	id, ok := n.X.(*ast.Ident)
	if !ok {
		return "", false
	}
	name, ok := info.Uses[id].(*types.PkgName)
	if !ok {
		return "", false
	}
	return name.Imported().Path(), true
}

// stranger imports packages without what is in them.
type stranger struct{}

var _ types.Importer = stranger{}

func (stranger) Import(path string) (*types.Package, error) {
	name := path[strings.LastIndex(path, "/")+1:]
	if strings.HasPrefix(name, "v") && strings.Contains(path, "/") {
		name = strings.Split(path, "/")[strings.Count(path, "/")-1]
	}
	p := types.NewPackage(path, name)
	p.MarkComplete()
	return p, nil
}

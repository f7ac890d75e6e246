package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"nightshift/runner/vectorshift/vectorshifttest"
)

// scriptedPlatform does what the inputs of runs ask for, with words in brackets:
//
//	[5s] [50ms]     the run takes that long; [never]: it does not end by itself
//	[fail]          it fails
//	[429] [500] [503]  the first start is refused with that
//	[502] [504] [cut]  the first start is taken, but its answer is that, or none
//	[look-500]      the first look at the run fails with that; any code
type scriptedPlatform struct {
	*vectorshifttest.Server

	mu    sync.Mutex
	met   map[string]bool // words that count once, by the inputs or the task
	asked map[vectorshifttest.Op]int
}

func newScriptedPlatform(settings vectorshifttest.Settings) *scriptedPlatform {
	s := &scriptedPlatform{Server: vectorshifttest.New(), met: map[string]bool{}, asked: map[vectorshifttest.Op]int{}}
	settings.Takes = func(r vectorshifttest.Run) time.Duration {
		for _, word := range wordsOf(r.Inputs) {
			if d, err := time.ParseDuration(word); err == nil {
				return d
			} else if word == "never" {
				return -1
			}
		}
		return 0
	}
	settings.Ends = func(r vectorshifttest.Run) (map[string]any, string) {
		if slices.Contains(wordsOf(r.Inputs), "fail") {
			return nil, "the run was told to fail"
		}
		return nil, ""
	}
	settings.Before = s.before
	s.Set(settings)
	return s
}

var bracketed = regexp.MustCompile(`\[([\w-]+)\]`)

// wordsOf gives the words in brackets of inputs.
func wordsOf(inputs map[string]any) []string {
	text, _ := json.Marshal(inputs)
	var words []string
	for _, m := range bracketed.FindAllStringSubmatch(string(text), -1) {
		words = append(words, m[1])
	}
	return words
}

func (s *scriptedPlatform) before(c vectorshifttest.Call) *vectorshifttest.Failure {
	inputs, _ := c.Body["inputs"].(map[string]any)
	of, prefix := fmt.Sprint(inputs), ""
	switch c.Op {
	case vectorshifttest.Status:
		for _, r := range s.Runs() {
			if r.TaskID == c.TaskID {
				of, prefix, inputs = c.TaskID, "look-", r.Inputs
			}
		}
	case vectorshifttest.Start, vectorshifttest.RunSync, vectorshifttest.Stream:
	default:
		return nil
	}
	for _, word := range wordsOf(inputs) {
		rest, ok := strings.CutPrefix(word, prefix)
		if f := failureOf(rest); ok && f != nil && s.once(of+word) {
			return f
		}
	}
	return nil
}

func (s *scriptedPlatform) once(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	first := !s.met[what]
	s.met[what] = true
	return first
}

// failureOf is what a word says: an HTTP code, cut, html or hang; nil where it
// says nothing of the kind.
func failureOf(word string) *vectorshifttest.Failure {
	switch word {
	case "cut":
		return &vectorshifttest.Failure{Cut: true, Done: true}
	case "html":
		f := vectorshifttest.HTML(http.StatusOK)
		return &f
	case "hang":
		return &vectorshifttest.Failure{Delay: vectorshifttest.Forever}
	}
	code, err := strconv.Atoi(word)
	if err != nil || code < 300 || code > 599 {
		return nil
	}
	f := &vectorshifttest.Failure{Status: code, Done: code == http.StatusBadGateway || code == http.StatusGatewayTimeout}
	if code == http.StatusTooManyRequests {
		f.Header = http.Header{"Retry-After": {"0.05"}}
	}
	return f
}

// scriptedPlatforms are those of scripts, by the script's folder.
var scriptedPlatforms sync.Map

func startPlatform(ts *testscript.TestScript, neg bool, args []string) {
	var settings vectorshifttest.Settings
	for _, arg := range args {
		most, limited := strings.CutPrefix(arg, "max=")
		n, err := strconv.Atoi(most)
		switch {
		case limited && err == nil:
			settings.MaxRuns = n
		case arg == "guide":
			settings.Words, settings.Results, settings.NoTrace = vectorshifttest.GuideWords, "outputs", true
		default:
			neg = true
		}
	}
	if neg {
		ts.Fatalf("usage: platform [guide] [max=N]")
	}
	s := newScriptedPlatform(settings)
	ts.Defer(s.Close)
	scriptedPlatforms.Store(ts.Getenv("WORK"), s)
	ts.Setenv("VECTORSHIFT_BASE_URL", s.URL)
	ts.Setenv("VECTORSHIFT_API_KEY", s.Key)
}

// platformOf gives the platform of a script; the usage says what a command wants.
func platformOf(ts *testscript.TestScript, usage string, fits bool) *scriptedPlatform {
	s, there := scriptedPlatforms.Load(ts.Getenv("WORK"))
	if !fits || !there {
		ts.Fatalf("usage: %s, after platform", usage)
	}
	return s.(*scriptedPlatform)
}

func failCalls(ts *testscript.TestScript, neg bool, args []string) {
	s := platformOf(ts, "fail OP N CODE|cut|html|hang", !neg && len(args) == 3)
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	f := failureOf(args[2])
	if f == nil {
		ts.Fatalf("%s is no failure", args[2])
	}
	s.Fail(vectorshifttest.Op(args[0]), n, *f)
}

func called(ts *testscript.TestScript, neg bool, args []string) {
	s := platformOf(ts, "called OP N", !neg && len(args) == 2)
	op := vectorshifttest.Op(args[0])
	s.mu.Lock()
	defer s.mu.Unlock()
	all := len(s.Calls(op))
	if n := all - s.asked[op]; strconv.Itoa(n) != args[1] {
		ts.Fatalf("there were %d calls of kind %s, not %s", n, op, args[1])
	}
	s.asked[op] = all
}

func started(ts *testscript.TestScript, neg bool, args []string) {
	s := platformOf(ts, "started N [STATUS]", !neg && (len(args) == 1 || len(args) == 2))
	n := 0
	for _, r := range s.Runs() {
		if len(args) == 1 || string(r.State) == args[1] {
			n++
		}
	}
	if strconv.Itoa(n) != args[0] {
		ts.Fatalf("there are %d runs %s, not %s", n, strings.Join(args[1:], ""), args[0])
	}
}

// putPipeline keeps the object of a JSON file as a pipeline; $PIPELINE is its id.
func putPipeline(ts *testscript.TestScript, neg bool, args []string) {
	s := platformOf(ts, "put FILE", !neg && len(args) == 1)
	var object map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &object))
	ts.Setenv("PIPELINE", s.Put(object))
}

// getPipeline writes the newest pipeline of a name to a file; $PIPELINE is its id.
func getPipeline(ts *testscript.TestScript, neg bool, args []string) {
	s := platformOf(ts, "get NAME FILE", !neg && len(args) == 2)
	ids := s.Pipelines(args[0])
	if len(ids) == 0 {
		ts.Fatalf("there is no pipeline %s", args[0])
	}
	text, err := json.MarshalIndent(s.Object(ids[0]), "", "  ")
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), append(text, '\n'), 0o600))
	ts.Setenv("PIPELINE", ids[0])
}

func countPipelines(ts *testscript.TestScript, neg bool, args []string) {
	s := platformOf(ts, "pipelines NAME N", !neg && len(args) == 2)
	if n := len(s.Pipelines(args[0])); strconv.Itoa(n) != args[1] {
		ts.Fatalf("there are %d pipelines %s, not %s", n, args[0], args[1])
	}
}

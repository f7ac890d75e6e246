// Package script runs JavaScript of others: in processes of its own, so that
// time and memory are really limited and nothing of this process can be reached.
// Scripts have the language and what belongs to it, such as JSON, Math and Date
// (in UTC), but no files, network, modules, timers or variables of the environment.
//
// The processes are this program, started again with an empty environment: a
// program that runs scripts calls Worker before all else.
package script

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"nightshift/spec"
)

// MaxCode is how long the text of a script may be, in bytes.
const MaxCode = 1 << 20

// A process knows that it is a worker by the variable marker and by its name,
// which is its only argument: a variable alone may come from anywhere.
const (
	marker     = "NIGHTSHIFT_SCRIPT_WORKER"
	workerName = "nightshift-script"
)

// prepared is whether this program hands its workers over to Worker. Without
// that, a worker would be the whole program once more.
var prepared atomic.Bool

// Worker does a worker's work and never returns in processes that were started
// for that; in others it does nothing. It belongs at the beginning of main, and
// of TestMain.
func Worker() {
	if os.Getenv(marker) == "" || len(os.Args) != 1 || os.Args[0] != workerName {
		prepared.Store(true)
		return
	}
	if err := work(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	os.Exit(0)
}

// Limits are those of one call.
type Limits struct {
	Time   time.Duration // 0: 10 s
	Memory int64         // bytes, of values and garbage together; 0: 128 MB
	Answer int           // bytes of the outputs as JSON; 0: 10 MB
}

func (l Limits) withDefaults() Limits {
	if l.Time == 0 {
		l.Time = 10 * time.Second
	}
	if l.Memory == 0 {
		l.Memory = 128 << 20
	}
	if l.Answer == 0 {
		l.Answer = 10 << 20
	}
	return l
}

func (l Limits) errTime() error   { return fmt.Errorf("the code ran longer than %v", l.Time) }
func (l Limits) errMemory() error { return fmt.Errorf("the code needed more than %d MB", l.Memory>>20) }
func (l Limits) errAnswer() error {
	return fmt.Errorf("the outputs have more than %d MB", l.Answer>>20)
}

// Call is what to run.
type Call struct {
	Name     string // what errors call the code, as in NAME:3:7: TypeError: ...
	Code     string
	Function string         // is called with one object of the inputs
	Inputs   map[string]any // plain values

	// Variables makes each input a global variable, too. The function need not be
	// there then: outputs may be assigned to variables of their names, and the
	// function is called only where the code itself has not assigned all of them.
	Variables bool
	// Outputs are the members of the object that the function returns which are
	// wanted; where there is one only, it may be returned plainly. Nil: all members.
	Outputs []string
}

// exact is the largest whole number up to which numbers of JavaScript are.
var exact = big.NewInt(1 << 53)

// inexact gives the first whole number, at any depth, that JavaScript would
// change.
func inexact(v any) (json.Number, bool) {
	switch v := v.(type) {
	case json.Number:
		if len(v) < 16 || strings.ContainsAny(string(v), ".eE") {
			return "", false
		}
		n, ok := new(big.Int).SetString(string(v), 10)
		return v, ok && n.CmpAbs(exact) > 0
	case []any:
		for _, item := range v {
			if n, found := inexact(item); found {
				return n, true
			}
		}
	case map[string]any:
		for _, item := range v {
			if n, found := inexact(item); found {
				return n, true
			}
		}
	}
	return "", false
}

// request makes what is sent to a worker of a call.
func (c Call) request() (request, error) {
	if err := checkSize(c.Code); err != nil {
		return request{}, err
	}
	for name, v := range c.Inputs {
		if n, found := inexact(v); found {
			return request{}, fmt.Errorf("input %q: %s has more digits than a number of JavaScript; pass it as text", name, n)
		}
	}
	return request{
		Name: c.Name, Function: c.Function, Inputs: spec.AppendJSON(nil, c.Inputs),
		Variables: c.Variables, Outputs: slices.Clone(c.Outputs), All: c.Outputs == nil,
	}, nil
}

func checkSize(code string) error {
	if len(code) > MaxCode {
		return fmt.Errorf("the code has more than %d MB", MaxCode>>20)
	}
	return nil
}

var errNotPrepared = errors.New("this program cannot run JavaScript: its main must begin with script.Worker()")

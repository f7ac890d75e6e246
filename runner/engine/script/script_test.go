package script

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"nightshift/spec"
)

func TestMain(m *testing.M) {
	Worker()
	os.Exit(m.Run())
}

// newPool makes a pool that is closed when the test ends.
func newPool(t testing.TB, o Options) *Pool {
	t.Helper()
	p := NewPool(o)
	t.Cleanup(p.Close)
	return p
}

// pids are the idle workers of a pool.
func (p *Pool) pids() (pids []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.free {
		pids = append(pids, w.cmd.Process.Pid)
	}
	return pids
}

func TestRun(t *testing.T) {
	p := newPool(t, Options{Workers: 2})
	for _, test := range []struct {
		name, code, inputs string
		outputs            []string
		want, err          string
	}{
		{name: "variables", code: "output_1 = input_1 + 1", inputs: `{"input_1": 4}`, outputs: []string{"output_1"}, want: `{"output_1":5}`},
		{name: "let, const and var", code: "let a = 1; const b = 'x'; var c = [true]", outputs: []string{"a", "b", "c"}, want: `{"a":1,"b":"x","c":[true]}`},
		{name: "the only output may be called output", code: "output = 1", outputs: []string{"sum"}, want: `{"sum":1}`},
		{name: "of several none may", code: "output = 1; a = 2", outputs: []string{"a", "b"}, err: `output "b" is not assigned`},
		{name: "an input is overwritten", code: "let text = 'new'", inputs: `{"text": "old"}`, outputs: []string{"text"}, want: `{"text":"new"}`},
		{name: "an input may be an output", code: "n = 1", inputs: `{"text": "old"}`, outputs: []string{"text", "n"}, err: ``, want: `{"n":1,"text":"old"}`},
		{name: "function", code: "function main({a, b}) { return {sum: a + b, all: [a, b]} }", inputs: `{"a": 1, "b": 2.5}`, outputs: []string{"sum", "all"}, want: `{"all":[1,2.5],"sum":3.5}`},
		{name: "arrow function", code: "const main = ({a}) => a * 2", inputs: `{"a": 4}`, outputs: []string{"double"}, want: `{"double":8}`},
		{name: "function of the same names", code: "function main({text}) { return {text: text.trim()} }", inputs: `{"text": " a "}`, outputs: []string{"text"}, want: `{"text":"a"}`},
		{name: "function that assigns", code: "function main() { a = 1 }", outputs: []string{"a"}, want: `{"a":1}`},
		{name: "function that does half", code: "a = 1; function main() { return {b: 2} }", outputs: []string{"a", "b"}, want: `{"a":1,"b":2}`},
		{name: "a function that the code calls itself", code: "function main(n) { return n * 2 }; a = main(n)", inputs: `{"n": 4}`, outputs: []string{"a"}, want: `{"a":8}`},
		{name: "async function", code: "async function main() { return {a: await Promise.resolve(1)} }", outputs: []string{"a"}, want: `{"a":1}`},
		{name: "async function that throws", code: "async function main() { throw new Error('no') }", outputs: []string{"a"}, err: `code: Error: no`},
		{name: "promise never kept", code: "async function main() { await new Promise(() => {}) }", outputs: []string{"a"}, err: `main returned a promise that is never kept: there is nothing to wait for here, as there are no timers and no network`},
		{name: "one object is one output", code: "function main() { return {x: 1} }", outputs: []string{"a"}, want: `{"a":{"x":1}}`},
		{name: "null is a value", code: "a = null", outputs: []string{"a"}, want: `{"a":null}`},
		{name: "nothing returned", code: "function main() {}", outputs: []string{"a"}, err: `output "a" is neither returned by main nor assigned`},
		{name: "half returned", code: "function main() { return {a: 1} }", outputs: []string{"a", "b"}, err: `output "b" is neither returned by main nor assigned`},
		{name: "other members returned", code: "function main() { return {c: 1} }", outputs: []string{"a", "b"}, err: `main returned an object without any of the outputs a, b; it has c`},
		{name: "no object returned", code: "function main() { return 5 }", outputs: []string{"a", "b"}, err: `main must return an object of the outputs, but returned 5`},
		{name: "not assigned", code: "let b = 1", outputs: []string{"a"}, err: `output "a" is not assigned`},
		{name: "an output that no variable can be", code: "function main() { return {'a-b': 1, class: 2} }", outputs: []string{"a-b", "class"}, want: `{"a-b":1,"class":2}`},

		{name: "whole numbers", code: "a = [5.0, 2 ** 53 - 1, -0, 1e21, 0.1 + 0.2, 1e-7, 12345678901234567890n]", outputs: []string{"a"}, want: `{"a":[5,9007199254740991,0,1e+21,0.30000000000000004,1e-7,12345678901234567890]}`},
		{name: "a number with too many digits", code: "a = 1", inputs: `{"list": [{"id": 9007199254740993}]}`, outputs: []string{"a"}, err: `input "list": 9007199254740993 has more digits than a number of JavaScript; pass it as text`},
		{name: "unicode", code: "a = s + 'é' + s.length", inputs: `{"s": "日本😀"}`, outputs: []string{"a"}, want: `{"a":"日本😀é4"}`},
		{name: "half a character", code: "a = ['😀', '\ufffd', {b: 'x😀'.slice(0, 2)}]", outputs: []string{"a"}, err: `output "a"[2].b is text with one half of a character, as a cut inside of it leaves (cut with [...text].slice(0, n).join('') instead), which has no form in JSON`},
		{name: "the other half", code: "a = '😀'.slice(1) + 'x'", outputs: []string{"a"}, err: `output "a" is text with one half of a character, as a cut inside of it leaves (cut with [...text].slice(0, n).join('') instead), which has no form in JSON`},
		{name: "half a character in a name", code: "a = {'\ufffd': 1, ['😀'.slice(0, 1)]: 2}", outputs: []string{"a"}, err: `output "a" is an object with one half of a character in a name, which has no form in JSON`},
		{name: "what JSON leaves out", code: "a = {x: undefined, y: [undefined], z: null}", outputs: []string{"a"}, want: `{"a":{"y":[null],"z":null}}`},
		{name: "dates and boxes", code: "a = [new Date(0), new Number(1), new String('s'), new Boolean(false), new Date(2020, 0, 1)]", outputs: []string{"a"}, want: `{"a":["1970-01-01T00:00:00.000Z",1,"s",false,"2020-01-01T00:00:00.000Z"]}`},
		{name: "NaN", code: "a = {rows: [1, {x: 0 / 0}]}", outputs: []string{"a"}, err: `output "a".rows[1].x is NaN, which has no form in JSON`},
		{name: "infinity", code: "a = -1 / 0", outputs: []string{"a"}, err: `output "a" is -Infinity, which has no form in JSON`},
		{name: "function as a value", code: "a = [() => 1]", outputs: []string{"a"}, err: `output "a"[0] is a function, which has no form in JSON`},
		{name: "symbol", code: "a = Symbol('x')", outputs: []string{"a"}, err: `output "a" is a symbol, which has no form in JSON`},
		{name: "map", code: "a = new Map([[1, 2]])", outputs: []string{"a"}, err: `output "a" is of type Map, which has no form in JSON`},
		{name: "bytes", code: "a = {b: new Uint8Array(3)}", outputs: []string{"a"}, err: `output "a".b is of type Uint8Array, which has no form in JSON`},
		{name: "error as a value", code: "a = [new Error('x')]", outputs: []string{"a"}, err: `output "a"[0] is of type Error, which has no form in JSON`},
		{name: "objects of classes", code: "class P { constructor() { this.x = 1 } get y() { return 2 } }; a = new P()", outputs: []string{"a"}, want: `{"a":{"x":1}}`},
		{name: "invalid date", code: "a = new Date('x')", outputs: []string{"a"}, err: `output "a" is an invalid date, which has no form in JSON`},
		{name: "cycle", code: "a = {b: []}; a.b.push(a)", outputs: []string{"a"}, err: `output "a".b[0] contains itself`},
		{name: "twice is no cycle", code: "let x = [1]; a = [x, x]", outputs: []string{"a"}, want: `{"a":[[1],[1]]}`},
		{name: "too deep", code: "a = []; for (let i = 0; i < 5000; i++) a = [a]", outputs: []string{"a"}, err: `output "a"[0][0] is nested more than 1000 deep`},

		{name: "exception", code: "let x = 1;\nlet y = x.z.w", outputs: []string{"a"}, err: `code:2:13: TypeError: Cannot read property 'w' of undefined`},
		{name: "thrown by a function inside", code: "function f() {\n  throw new RangeError('far')\n}\n[1].map(f)", outputs: []string{"a"}, err: `code:2:9: RangeError: far`},
		{name: "syntax error", code: "let a = 1\nlet b = = 2", outputs: []string{"a"}, err: `code:2:9: SyntaxError: Unexpected token =`},
		{name: "syntax error found late", code: "let a = 1\nlet a = 2", outputs: []string{"a"}, err: `code:2:5: SyntaxError: Identifier 'a' has already been declared`},
		{name: "properties of Unicode", code: "let é = 1; a = s.replace(/\\p{L}/gu, '')", outputs: []string{"a"}, err: `code:1:27: properties of Unicode, as in \p{L}, are not known to this engine; write the letters that are meant`},
		{name: "throw text", code: "throw 'no such row'", outputs: []string{"a"}, err: `code:1:1: no such row`},
		{name: "throw a number", code: "throw 5", outputs: []string{"a"}, err: `code:1:1: 5 was thrown`},
		{name: "throw null", code: "throw null", outputs: []string{"a"}, err: `code:1:1: null was thrown`},
		{name: "throw an object", code: "throw {code: 7}", outputs: []string{"a"}, err: `code:1:1: {"code":7} was thrown`},
		{name: "throw what throws", code: "throw {get message() { throw 1 }}", outputs: []string{"a"}, err: `code:1:1: a value without text was thrown`},
		{name: "console", code: "console.log(1); console.error(2); a = 1", outputs: []string{"a"}, want: `{"a":1}`},
		{name: "a name that the language keeps", code: "a = 1", inputs: `{"undefined": 1}`, outputs: []string{"a"}, err: `input "undefined": the language keeps this name to itself`},
		{name: "a name of something else", code: "a = JSON + __proto__", inputs: `{"JSON": 1, "__proto__": 2}`, outputs: []string{"a"}, want: `{"a":3}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := Call{Name: "code", Code: test.code, Function: "main", Variables: true, Outputs: test.outputs}
			if test.inputs != "" {
				v, err := spec.ParseJSON([]byte(test.inputs))
				if err != nil {
					t.Fatal(err)
				}
				c.Inputs = v.(map[string]any)
			}
			got, err := p.Run(t.Context(), c)
			if message := fmt.Sprint(err); test.err != "" && message != test.err {
				t.Fatalf("error: %s\n want: %s", message, test.err)
			} else if test.err == "" && err != nil {
				t.Fatalf("error: %v", err)
			} else if test.err == "" {
				if got := string(spec.AppendJSON(nil, got)); got != test.want {
					t.Errorf("outputs: %s\n   want: %s", got, test.want)
				}
			}
		})
	}
}

func TestRunFunctionOnly(t *testing.T) {
	p := newPool(t, Options{Workers: 1})
	run := func(code string) (map[string]any, error) {
		return p.Run(t.Context(), Call{Name: "clean.js", Code: code, Function: "main", Inputs: map[string]any{"a": json.Number("1")}})
	}
	got, err := run("function main(inputs) { return {x: inputs.a, y: [typeof a], z: undefined} }")
	if diff := cmp.Diff(map[string]any{"x": json.Number("1"), "y": []any{"undefined"}}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for code, want := range map[string]string{
		"x = 1":                                "clean.js has no function main, which is called with an object of the inputs and returns one of the outputs",
		"function main() {}":                   "main returned nothing; it must return an object of the outputs",
		"function main() { return [1] }":       "main must return an object of the outputs, but returned [1]",
		"function main() { return 'text' }":    "main must return an object of the outputs, but returned text",
		"\nfunction main(x) { return x.y.z }":  "clean.js:2:31: TypeError: Cannot read property 'z' of undefined",
		"function main() { return {a: main} }": `output "a" is a function, which has no form in JSON`,
	} {
		if _, err := run(code); err == nil || err.Error() != want {
			t.Errorf("%s: %v\n want: %s", code, err, want)
		}
	}
}

// sourceMap, at the end of a code, would have it read a file, here one without end.
const sourceMap = "\n//# sourceMappingURL=file:///dev/zero"

// TestHostile runs what is made to take the process, or its secrets. Each is
// followed by a script that must find the world as it should be.
func TestHostile(t *testing.T) {
	const (
		late  = "the code ran longer than 500ms"
		large = "the code needed more than 64 MB"
		deep  = "the functions of the code call one another too deeply, or without end"
		long  = "the outputs have more than 1 MB"
	)
	limits := Limits{Time: 500 * time.Millisecond, Memory: 64 << 20, Answer: 1 << 20}
	quick := newPool(t, Options{Workers: 1, Limits: limits})
	limits.Time = time.Minute
	patient := newPool(t, Options{Workers: 1, Limits: limits}) // for all that must not take long by itself
	t.Setenv("OPENAI_API_KEY", "sk-secret")
	for _, test := range []struct {
		name, code string
		errs       []string // one of these; nil: none
		want       string
	}{
		{name: "loop", code: "for (;;);", errs: []string{late}},
		{name: "loop in finally", code: "for (;;) try { for (;;); } finally { for (;;); }", errs: []string{late}},
		{name: "loop in a getter of the result", code: "a = {get x() { for (;;); }}", errs: []string{late}},
		{name: "loop in toJSON", code: "a = {toJSON() { for (;;); }}", errs: []string{late}},
		{name: "loop in what is thrown", code: "throw {get message() { for (;;); }}", errs: []string{late}},
		{name: "loop of promises", code: "function f() { Promise.resolve().then(f) } f()", errs: []string{late, large}},
		{name: "native loop", code: "new Array(4e9).join()", errs: []string{late, large}},
		{name: "native loop, no memory", code: "Array.prototype.indexOf.call({length: 2 ** 53 - 1}, 1)", errs: []string{late}},
		{name: "regular expression", code: "/^(a+)+$/.test('a'.repeat(100) + 'b'); /^(?=(a+)+$)\\1/.test('a'.repeat(100) + 'b')", errs: []string{late}},
		{name: "text that doubles", code: "let s = 'aaaa'; for (;;) s += s", errs: []string{large}},
		{name: "repeat", code: "'aaaaaaaaaa'.repeat(1e9)", errs: []string{large}},
		{name: "repeat beyond all", code: "'aaaaaaaaaa'.repeat(2 ** 60)", errs: []string{large}},
		{name: "a list that grows", code: "let l = []; for (;;) l.push({})", errs: []string{large, late}},
		{name: "buffer", code: "new ArrayBuffer(1e11)", errs: []string{large}},
		{name: "buffers", code: "let l = []; for (;;) l.push(new ArrayBuffer(1e6))", errs: []string{large}},
		{name: "a little too much", code: "let l = []; for (let i = 0; i < 90; i++) l.push(new ArrayBuffer(1e6)); let end = Date.now() + 200; while (Date.now() < end); a = l.length", errs: []string{large}},
		{name: "array filled", code: "new Array(1e8).fill(0)", errs: []string{large, late}},
		{name: "recursion", code: "(function f() { f() })()", errs: []string{deep}},
		{name: "recursion, caught", code: "function f() { try { f() } catch { f() } } f()", errs: []string{deep}},
		{name: "native recursion", code: "let a = []; for (let i = 0; i < 1e6; i++) a = [a]; JSON.stringify(a)", errs: []string{deep, large, late}},
		{name: "recursion through native functions", code: "function f() { [1].forEach(f) } f()", errs: []string{deep, large, late}},
		{name: "nested text", code: strings.Repeat("(", 500_000), errs: []string{deep, large, late}},
		{name: "text that is slow to parse", code: strings.Repeat("a=>", 300_000) + "1", errs: []string{deep, large, late}},
		{name: "nested text inside", code: "eval('('.repeat(5e5))", errs: []string{deep, large, late}},
		{name: "large answer", code: "a = 'x'.repeat(2e6)", errs: []string{long}},
		{name: "endless list", code: "a = new Proxy([], {get(t, k) { return k === 'length' ? 2 ** 52 : 1 }})", errs: []string{long, large, late}},
		{name: "wide list", code: "a = []; a.length = 4e9", errs: []string{long, large, late}},
		{name: "a message without end", code: "throw new Error('x'.repeat(5e6))", errs: []string{"code:1:7: Error: " + strings.Repeat("x", 993) + "…"}},

		{name: "a proxy as the result", code: "a = new Proxy({x: 1}, {ownKeys() { return ['x', 'y'] }, getOwnPropertyDescriptor() { return {enumerable: true, configurable: true, value: 1} }})", want: `{"x":1}`},
		{name: "a getter that throws", code: "a = {get x() { throw new Error('got') }}", errs: []string{"code:1:22: Error: got"}},
		{name: "a getter that changes", code: "let n = 0; a = {get x() { return n++ }}", want: `{"x":0}`},
		{name: "JSON replaced", code: "JSON.stringify = () => '\"forged\"'; Array.isArray = () => { throw 1 }; Object.keys = null; a = {x: [1]}", want: `{"x":[1]}`},
		{name: "toString replaced", code: "let e = new Error('x'); e.toString = () => { for (;;); }; throw e", errs: []string{"code:1:9: Error: x"}},
		{name: "polluted", code: "Object.prototype.then = 1; Object.prototype.polluted = 1; Array.prototype[0] = 5; globalThis.leak = 1; Object.freeze(Object.prototype); a = 1", want: `1`},

		{name: "what there is not", code: "a = ['process', 'require', 'fetch', 'setTimeout', 'XMLHttpRequest', 'Deno', 'module', 'exports', 'global', 'WebAssembly', 'importScripts'].filter(n => n in globalThis)", want: `[]`},
		{name: "import", code: "import fs from 'fs'", errs: []string{"code:1:1: SyntaxError: Unexpected reserved word", "code:1:1: SyntaxError: Unexpected token import"}},
		{name: "dynamic import", code: "import('fs')", errs: []string{"code:1:1: SyntaxError: Unexpected reserved word", "code:1:1: SyntaxError: Unexpected token import"}},
		{name: "constructors", code: "a = globalThis.constructor.constructor('return typeof process + typeof require')()", want: `"undefinedundefined"`},
		{name: "function of functions", code: "a = Object.getOwnPropertyNames(console.log).concat(Object.getOwnPropertyNames(console)).join()", want: `"length,name,log,info,warn,error,debug"`},
		{name: "source map", code: "a = 1" + sourceMap, want: "1"},
		{name: "source map inside", code: "a = eval(`1" + sourceMap + "`)", want: "1"},
		{name: "stack", code: "try { null.x } catch (e) { a = e.stack.includes('/') }", want: `false`},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := patient
			if slices.Contains(test.errs, late) {
				p = quick
			}
			c := Call{Name: "code", Code: test.code, Function: "main", Variables: true, Outputs: []string{"a"}}
			got, err := p.Run(t.Context(), c)
			switch {
			case test.errs != nil && (err == nil || !slices.Contains(test.errs, err.Error())):
				t.Errorf("error: %.300v\n want: %s\noutputs: %.100v", err, strings.Join(test.errs, "\n   or: "), got)
			case test.errs == nil && err != nil:
				t.Errorf("error: %v", err)
			case test.errs == nil && string(spec.AppendJSON(nil, got["a"])) != test.want:
				t.Errorf("output: %s, want %s", spec.AppendJSON(nil, got["a"]), test.want)
			}
			c.Code = "a = [typeof leak, ({}).polluted, [undefined].concat()[0], JSON.stringify([1]), typeof e, 6 * 7]"
			got, err = p.Run(t.Context(), c)
			if want := `{"a":["undefined",null,null,"[1]","undefined",42]}`; err != nil || string(spec.AppendJSON(nil, got)) != want {
				t.Errorf("the script after it: %s, %v, want %s", spec.AppendJSON(nil, got), err, want)
			}
		})
	}
}

// TestLateIsNoDeath has a worker go on after a script that it could interrupt.
func TestLateIsNoDeath(t *testing.T) {
	p := newPool(t, Options{Workers: 1, Limits: Limits{Time: 100 * time.Millisecond}})
	run := func(code string) error {
		_, err := p.Run(t.Context(), Call{Name: "code", Code: code, Variables: true, Outputs: []string{"a"}})
		return err
	}
	err := run("a = 1")
	before := p.pids()
	if err != nil || run("for (;;);") == nil || !slices.Equal(before, p.pids()) {
		t.Errorf("%v; workers %v, which were %v", err, p.pids(), before)
	}
}

func TestGarbageIsNotMemory(t *testing.T) {
	p := newPool(t, Options{Workers: 1, Limits: Limits{Memory: 64 << 20}})
	got, err := p.Run(t.Context(), Call{Name: "code", Variables: true, Outputs: []string{"a"},
		Code: "let s = 'x'.repeat(1000), n = 0; for (let i = 0; i < 1000; i++) n += s.repeat(1000).length; a = n === 1e9"})
	if err != nil || got["a"] != true {
		t.Errorf("%v, %v", got, err)
	}
}

func TestCancel(t *testing.T) {
	p := newPool(t, Options{Workers: 1})
	for _, code := range []string{"for (;;);", "Array.prototype.indexOf.call({length: 2 ** 53 - 1}, 1)"} {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		start := time.Now()
		_, err := p.Run(ctx, Call{Name: "code", Code: code})
		if took := time.Since(start); !errors.Is(err, context.Canceled) || took > 5*time.Second {
			t.Errorf("%s: %v after %v", code, err, took)
		}
	}
	if pids := p.pids(); pids != nil {
		t.Errorf("workers of cancelled scripts are left: %v", pids)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Run(ctx, Call{Name: "code"}); !errors.Is(err, context.Canceled) {
		t.Errorf("of a context that has ended: %v", err)
	}
}

// TestWaitIsNoTime has many scripts share one worker: they wait for longer than
// each may run.
func TestWaitIsNoTime(t *testing.T) {
	p := newPool(t, Options{Workers: 1, Limits: Limits{Time: 800 * time.Millisecond}})
	const spin = "let end = Date.now() + 40; while (Date.now() < end); a = 1"
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			if _, err := p.Run(t.Context(), Call{Name: "code", Code: spin, Variables: true, Outputs: []string{"a"}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(p.pids()); n != 1 {
		t.Errorf("%d workers, of which there should be one", n)
	}
	hold := make(chan struct{})
	go func() {
		defer close(hold)
		_, _ = p.Run(t.Context(), Call{Name: "code", Code: "let end = Date.now() + 500; while (Date.now() < end);"})
	}()
	for len(p.slots) == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := p.Run(ctx, Call{Name: "code"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who waits does not heed the context: %v", err)
	}
	<-hold
}

func TestDeadWorkerIsReplaced(t *testing.T) {
	p := newPool(t, Options{Workers: 1})
	one := Call{Name: "code", Code: "a = 1", Variables: true, Outputs: []string{"a"}}
	if _, err := p.Run(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	first := p.pids()
	process, err := os.FindProcess(first[0])
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(t.Context(), one); err != nil {
		t.Errorf("after the worker was killed: %v", err)
	}
	if second := p.pids(); slices.Equal(first, second) {
		t.Errorf("workers %v, as before", second)
	}
}

func TestIdleWorkersEnd(t *testing.T) {
	p := newPool(t, Options{Workers: 1, Idle: 20 * time.Millisecond})
	if _, err := p.Run(t.Context(), Call{Name: "code", Code: "a = 1", Variables: true, Outputs: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); len(p.pids()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the worker is still there")
		}
	}
	p.Close()
	if _, err := p.Run(t.Context(), Call{Name: "code"}); err == nil {
		t.Error("a closed pool runs scripts")
	}
}

func TestPrograms(t *testing.T) {
	p := newPool(t, Options{Workers: 1})
	for i := range 600 { // more than a worker keeps
		code := fmt.Sprintf("a = %d", i%300)
		got, err := p.Run(t.Context(), Call{Name: "code", Code: code, Variables: true, Outputs: []string{"a"}})
		if want := json.Number(fmt.Sprint(i % 300)); err != nil || got["a"] != want {
			t.Fatalf("%d: %v, %v", i, got, err)
		}
	}
	if err := p.Check(t.Context(), "code", strings.Repeat(" ", MaxCode+1)); err == nil || err.Error() != "the code has more than 1 MB" {
		t.Errorf("a text that is too long: %v", err)
	}
	for range 2 {
		if err := p.Check(t.Context(), "x.js", "for (;;); }"); err == nil || err.Error() != "x.js:1:11: SyntaxError: Unexpected token }" {
			t.Errorf("check: %v", err)
		}
		if err := p.Check(t.Context(), "x.js", "for (;;);"); err != nil {
			t.Errorf("check runs the code: %v", err)
		}
	}
}

func TestNotPrepared(t *testing.T) {
	prepared.Store(false)
	defer prepared.Store(true)
	p := newPool(t, Options{})
	if _, err := p.Run(t.Context(), Call{Name: "code"}); !errors.Is(err, errNotPrepared) {
		t.Errorf("a program that is no worker would be started again: %v", err)
	}
}

func BenchmarkRun(b *testing.B) {
	p := newPool(b, Options{Workers: 1})
	c := Call{Name: "code", Code: "a = x + 1", Variables: true, Outputs: []string{"a"}, Inputs: map[string]any{"x": json.Number("1")}}
	for b.Loop() {
		if _, err := p.Run(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

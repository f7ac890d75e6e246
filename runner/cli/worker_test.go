package cli

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"nightshift/spec"
)

// TestServedSecretsAreHidden: those of all files that are served, also when they are
// served no more, but not for ever.
func TestServedSecretsAreHidden(t *testing.T) {
	var out strings.Builder
	s := &served{out: &out}
	say := func(message string) string {
		out.Reset()
		if _, err := io.WriteString(s, message); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	first := s.add(spec.NewRedactor([]string{"first-secret"}))
	s.add(&spec.Redactor{})()
	second := s.add(spec.NewRedactor([]string{"second-secret"}))
	const message, hidden = "first-secret, second-secret", "[hidden], [hidden]"
	if got := say(message); got != hidden {
		t.Errorf("while both are served: %s", got)
	}
	first()
	first()
	if got := say(message); got != hidden {
		t.Errorf("after the first: %s", got)
	}
	for range 2 * keptServed {
		s.add(spec.NewRedactor([]string{"another-secret"}))()
	}
	if got := say(message); got != "first-secret, [hidden]" {
		t.Errorf("after many others: %s", got)
	}
	if second(); len(s.now) != 0 || len(s.before) > keptServed {
		t.Errorf("%d are kept, and %d are served", len(s.before), len(s.now))
	}
}

// hostOf makes the host of a worker with these variables.
func hostOf(t *testing.T, o workerOptions, variables map[string]string) (*host, *strings.Builder) {
	t.Helper()
	var said strings.Builder
	std := streams{err: &console{w: &said}}
	env := func(name string) (string, bool) {
		value, set := variables[name]
		return value, set
	}
	h, err := o.host(env, &served{out: &said}, std)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h, &said
}

func parsed(t *testing.T, text string) *spec.File {
	t.Helper()
	file, problems := spec.Parse("/elsewhere/batch.yaml", []byte(text), spec.Options{Env: func(string) (string, bool) { return "", false }})
	if errs, _ := problems.Split(); len(errs) > 0 {
		t.Fatal(errs)
	}
	return file
}

const askingBatch = `version: 1
pipeline:
  name: asks
  nodes:
    in: {type: input}
    ask: {type: llm, inputs: {provider: openai, model: gpt-5.1, prompt: "{{ in.text }}"}}
    out: {type: output, inputs: {value: "{{ ask.response }}"}}
batches:
  a: {inputs: [{in: x}]}
  b: {inputs: [{in: x}], node_input_overrides: {ask.provider: anthropic, ask.model: claude-opus-4-6}}
run: {backend: temporal, cache: {ttl: 1h}, rate: {requests_per_minute: 600}}
`

// TestWorkerLacksKeys: a file that none of its batches can be run of is refused, with the
// variable that is missing; the keys that are there are hidden.
func TestWorkerLacksKeys(t *testing.T) {
	t.Chdir(t.TempDir())
	none := func(string) ([]byte, error) { return nil, fs.ErrNotExist }
	const openai, anthropic = "an-openai-key-0123456789", "an-anthropic-key-0123456789"
	for name, test := range map[string]struct {
		variables map[string]string
		lacks     string
	}{
		"nothing is there": {nil, "OPENAI_API_KEY"},
		"one is there":     {map[string]string{"ANTHROPIC_API_KEY": anthropic}, ""},
		"all are there":    {map[string]string{"OPENAI_API_KEY": openai, "ANTHROPIC_API_KEY": anthropic}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h, said := hostOf(t, workerOptions{}, test.variables)
			file := parsed(t, askingBatch)
			opened, err := h.open(t.Context(), file, none)
			if test.lacks != "" {
				if err == nil || !strings.Contains(err.Error(), test.lacks) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Release()
			for _, key := range test.variables {
				if file.Redactor.Text(key) == key {
					t.Errorf("%s is not hidden in results", key)
				}
				said.Reset()
				h.say("it is " + key)
				if said.String() != "it is [hidden]\n" {
					t.Errorf("it said %q", said.String())
				}
			}
			if opened.SetShare == nil {
				t.Error("run.rate is not shared")
			}
		})
	}
}

// TestWorkerKeepsAnswers: one file of answers for all batches, one handle of it for each
// age that they may have, and none where a batch file or the worker wants none.
func TestWorkerKeepsAnswers(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	none := func(string) ([]byte, error) { return nil, fs.ErrNotExist }
	key := map[string]string{"OPENAI_API_KEY": "an-openai-key-0123456789", "NIGHTSHIFT_STATE": filepath.Join(dir, "state")}
	for _, test := range []struct {
		name    string
		options workerOptions
		ttls    []string
		caches  int
		path    string
	}{
		{"of the state folder", workerOptions{}, []string{"1h", "2h", "1h"}, 2, "state/answers.db"},
		{"of the flag", workerOptions{cache: "own.db"}, []string{"1h"}, 1, "own.db"},
		{"none", workerOptions{noCache: true}, []string{"1h"}, 0, "none.db"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, _ := hostOf(t, test.options, key)
			var releases []func()
			for _, ttl := range test.ttls {
				opened, err := h.open(t.Context(), parsed(t, strings.Replace(askingBatch, "1h", ttl, 1)), none)
				if err != nil {
					t.Fatal(err)
				}
				releases = append(releases, opened.Release)
			}
			if _, err := h.open(t.Context(), parsed(t, strings.Replace(askingBatch, "{ttl: 1h}", "false", 1)), none); err != nil {
				t.Fatal(err)
			}
			_, err := os.Stat(filepath.Join(dir, test.path))
			if len(h.caches) != test.caches || (err == nil) != (test.caches > 0) {
				t.Errorf("%d caches are open, want %d; %v", len(h.caches), test.caches, err)
			}
			for _, release := range releases {
				if len(h.caches) == 0 && test.caches > 0 {
					t.Error("answers are closed that are in use")
				}
				release()
				release()
			}
			if len(h.caches) != 0 {
				t.Errorf("%d caches are open that nobody uses", len(h.caches))
			}
		})
	}
}

// TestWorkerSaysWhoLacksLeave: that it is the worker which has to be given a flag.
func TestWorkerSaysWhoLacksLeave(t *testing.T) {
	t.Chdir(t.TempDir())
	none := func(string) ([]byte, error) { return nil, fs.ErrNotExist }
	const calls = `version: 1
pipeline:
  name: calls
  nodes:
    in: {type: input}
    call: {type: api, inputs: {url: "http://127.0.0.1:1/"}}
    out: {type: output, inputs: {value: "{{ call.output }}{{ in.text }}"}}
batches:
  a: {inputs: [{in: x}]}
run: {backend: temporal}
`
	h, _ := hostOf(t, workerOptions{}, nil)
	if _, err := h.open(t.Context(), parsed(t, calls), none); err == nil || !strings.Contains(err.Error(), "--allow-private-network of nightshift worker lets") {
		t.Errorf("a private address: %v", err)
	}
	if _, err := h.open(t.Context(), parsed(t, askingBatch), none); err == nil || !strings.HasSuffix(err.Error(), "it is this worker that needs it, in its environment or as its flag") {
		t.Errorf("a key: %v", err)
	}
}

// TestWorkerSignals: SIGINT and SIGTERM alike drain first, and terminate then.
func TestWorkerSignals(t *testing.T) {
	for sig, code := range map[os.Signal]int{syscall.SIGINT: exitInterrupt, syscall.SIGTERM: exitTerm} {
		var said []string
		s := &signals{drain: make(chan struct{}), onInterrupt: onInterruptDrain, words: workerWords, alike: true, say: func(m string) { said = append(said, m) }}
		s.ctx, s.cancel = context.WithCancelCause(t.Context())
		s.interrupt(sig)
		select {
		case <-s.drain:
		default:
			t.Errorf("%v: it does not drain", sig)
		}
		if s.ctx.Err() != nil {
			t.Errorf("%v: it terminates at once", sig)
		}
		s.interrupt(sig)
		if got := interruptCode(s.ctx); s.ctx.Err() == nil || got != code {
			t.Errorf("%v twice: exit code %d", sig, got)
		}
		want := []string{"nightshift: " + workerWords.drain, "nightshift: " + workerWords.again}
		if !slices.Equal(said, want) {
			t.Errorf("%v: it said %q", sig, said)
		}
	}
}

// TestDrainTimeout: runs that do not end are terminated when their time is over, not
// before, and only once nothing more is taken.
func TestDrainTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := ""
		h := &host{say: func(m string) { said = m }}
		s := &signals{drain: make(chan struct{})}
		s.ctx, s.cancel = context.WithCancelCause(t.Context())
		go h.endDrain(s, time.Minute)
		time.Sleep(time.Hour)
		if s.ctx.Err() != nil {
			t.Fatal("it is over although nobody asked for that")
		}
		close(s.drain)
		time.Sleep(time.Minute - time.Second)
		if s.ctx.Err() != nil {
			t.Fatal("it is over too early")
		}
		time.Sleep(2 * time.Second)
		if s.ctx.Err() == nil || !h.late.Load() || !strings.Contains(said, "runs have not ended within 1m0s") {
			t.Errorf("%v, late %v, said %q", s.ctx.Err(), h.late.Load(), said)
		}
	})
}

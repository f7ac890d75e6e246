package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"nightshift/runner/engine/llm"
	"nightshift/runner/vectorshift/vectorshifttest"
	"nightshift/schema"
	"nightshift/spec"
)

var (
	fence   = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")
	heading = regexp.MustCompile(`^# (\S+\.yaml)\n`)
)

// TestReadme runs every command of the README, on the files that it shows.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := copyWithoutResults(filepath.Join(dir, "examples"), "../../examples"); err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("questions.txt", "why?\n")
	write("articles.txt", "The sea is deep.\nThe sky is high.\n")
	model := serveModel(t, 0, never)
	t.Setenv("OLLAMA_HOST", model.URL)
	platform := vectorshifttest.New()
	defer platform.Close()
	t.Setenv("VECTORSHIFT_BASE_URL", platform.URL)
	t.Setenv("VECTORSHIFT_API_KEY", platform.Key)
	shell(t, dir, "mkdir bin && ln -s "+os.Args[0]+" bin/nightshift")

	ran := map[string]int{}
	for _, block := range fence.FindAllStringSubmatch(string(text), -1) {
		kind, body := block[1], block[2]
		ran[kind]++
		switch kind {
		case "yaml":
			name := heading.FindStringSubmatch(body)[1]
			write(name, body)
			_, problems := spec.Load(filepath.Join(dir, name), spec.Options{Env: func(string) (string, bool) { return "x-secret", true }})
			if len(problems) > 0 {
				t.Errorf("%s: %v", name, problems)
			}
			if name == "facts.yaml" {
				write("batch.yaml", body) // what the crontab runs
			}
		case "sh":
			for line := range strings.Lines(body) {
				if line == "make test\n" {
					continue // this is it
				}
				shell(t, dir, strings.Replace(line, "go run .", "nightshift", 1))
			}
		case "json":
			v, err := spec.ParseJSON([]byte(strings.TrimSpace(body)))
			if err == nil {
				err = schema.ResultValidator().Validate(v)
			}
			if err != nil {
				t.Errorf("the result line: %v", err)
			}
		case "crontab":
			_, command, _ := strings.Cut(body, "&& ")
			shell(t, dir, strings.ReplaceAll(command, `\%`, "%"))
			if night, _ := filepath.Glob(filepath.Join(dir, "out/*-*-*/facts.jsonl")); len(night) != 1 {
				t.Errorf("the crontab's command wrote %v", night)
			}
		case "make":
			write("Makefile", body)
			shell(t, dir, "rm -r results && make facts.done && test -s results/facts.jsonl && make -q facts.done")
		}
	}
	for _, kind := range []string{"sh", "yaml", "json", "crontab", "make"} {
		if ran[kind] == 0 {
			t.Errorf("the README has no %s block any more", kind)
		}
	}
}

// shell runs a command with nightshift on its path; it must succeed.
func shell(t *testing.T, dir, command string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", command)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asCommand+"=1", "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.TrimSpace(command), err, out)
	}
}

// TestReadmeTables holds the tables of the README against the code.
func TestReadmeTables(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	d := spec.Defaults()
	r := d.Run
	for key, value := range map[string]string{
		"run.backend":               r.Backend,
		"run.concurrency":           strconv.Itoa(r.Concurrency),
		"run.timeout":               strings.TrimSuffix(r.Timeout.String(), "0s"),
		"run.poll_interval":         r.PollInterval.String(),
		"run.retry.max_attempts":    strconv.Itoa(r.Retry.MaxAttempts),
		"run.retry.max_elapsed":     strings.TrimSuffix(r.Retry.MaxElapsed.String(), "0s"),
		"run.retry.unknown_start":   r.Retry.UnknownStart,
		"run.retry.failed_runs":     spec.Text(r.Retry.FailedRuns),
		"run.retry.backoff.initial": r.Retry.Backoff.Initial.String(),
		"run.retry.backoff.factor":  strconv.FormatFloat(r.Retry.Backoff.Factor, 'g', -1, 64),
		"run.retry.backoff.max":     strconv.Itoa(int(r.Retry.Backoff.Max.Seconds())) + "s",
		"run.cache":                 spec.Text(r.Cache.Enabled),
		"results.path":              d.Results,
		"rehearse.latency":          d.Rehearse.Latency.String(),
		"rehearse.failures":         strconv.FormatFloat(100*d.Rehearse.Failures, 'g', -1, 64) + "%",
	} {
		if !strings.Contains(string(text), "| `"+key+"` | `"+value+"`") {
			t.Errorf("the README does not say that %s is %s", key, value)
		}
	}
	for _, name := range llm.Providers() {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("the README does not name provider %s", name)
		}
	}
	for _, code := range []int{exitOK, exitItems, exitUsage, exitStopped, exitBackend, exitLocked, exitResults} {
		if !strings.Contains(string(text), "\n| "+strconv.Itoa(code)+" | ") {
			t.Errorf("the README does not explain exit code %d", code)
		}
	}
}

package llm

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"nightshift/runner"
)

func TestProviders(t *testing.T) {
	t.Parallel()
	want(t, "providers", Providers(), []string{"anthropic", "custom", "fireworks", "google", "groq", "ollama", "openai", "perplexity", "together", "xai"})
	for _, p := range providers {
		if p.protocol == nil || len(p.urls) == 0 || len(p.keys) == 0 || !strings.HasSuffix(p.url, p.path) {
			t.Errorf("%+v", p)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{})
	for _, test := range []struct {
		request Request
		want    string
	}{
		{Request{Provider: "openai", Model: "m"}, ""},
		{Request{Provider: "custom", Model: "m", BaseURL: "http://h"}, ""},
		{Request{}, "no provider is given"},
		{Request{Provider: "opanai", Model: "m"}, `provider "opanai" is unknown; did you mean "openai"?`},
		{Request{Provider: "elsewhere", Model: "m"}, `provider "elsewhere" is unknown; there are anthropic, custom, fireworks, google, groq, ollama, openai, perplexity, together, xai`},
		{Request{Provider: "azure", Model: "m"}, "provider azure is not called by this engine: set provider: custom, and base_url to its OpenAI-compatible endpoint"},
		{Request{Provider: "bedrock", Model: "m"}, "provider bedrock is not called by this engine: set provider: custom, and base_url to its OpenAI-compatible endpoint"},
		{Request{Provider: "openai"}, "no model of openai is given"},
		{Request{Provider: "custom", Model: "m"}, "provider custom needs base_url, or CUSTOM_BASE_URL"},
		{Request{Provider: "openai", Model: "m", ReasoningEffort: "low", Verbosity: "low"}, ""},
		{Request{Provider: "anthropic", Model: "m", ReasoningEffort: "default", Verbosity: "default"}, ""},
		{Request{Provider: "anthropic", Model: "m", ReasoningEffort: "low"}, ""},
		{Request{Provider: "anthropic", Model: "m", ReasoningEffort: "max"}, ""},
		{Request{Provider: "anthropic", Model: "m", ReasoningEffort: "minimal"}, "reasoning_effort is minimal: anthropic takes low, medium, high, xhigh, max; set one of them, or leave it out"},
		{Request{Provider: "anthropic", Model: "m", ReasoningEffort: "none"}, "reasoning_effort is none: anthropic takes low, medium, high, xhigh, max; set one of them, or leave it out"},
		{Request{Provider: "perplexity", Model: "m", ReasoningEffort: "low"}, "provider perplexity takes no reasoning_effort: leave it out"},
		{Request{Provider: "groq", Model: "m", Verbosity: "low"}, "provider groq takes no verbosity: leave it out"},
		{Request{Provider: "openai", Model: "m", ThinkingTokens: 2000}, "provider openai takes no thinking_token_limit: leave it out"},
		{Request{Provider: "google", Model: "m", ThinkingTokens: 1}, ""},
		{Request{Provider: "google", Model: "m", ThinkingTokens: 2000, ReasoningEffort: "low"}, "reasoning_effort and thinking_token_limit exclude one another: leave one out"},
		{Request{Provider: "google", Model: "m", ThinkingTokens: -1}, "thinking_token_limit is -1: it must be more than 0"},
		{Request{Provider: "openai", Model: "m", MaxTokens: -1}, "max_tokens is -1: it must be more than 0"},
		{Request{Provider: "openai", Model: "m", JSON: true, Schema: []byte("[]")}, "json_schema is not a JSON object"},
		{Request{Provider: "anthropic", Model: "m", ThinkingTokens: 1000}, "thinking_token_limit is 1000: anthropic takes 1024 or more"},
		{Request{Provider: "anthropic", Model: "m", ThinkingTokens: 2000, MaxTokens: 2000}, "max_tokens is 2000: thinking counts, so it must be more than thinking_token_limit, which is 2000"},
		{Request{Provider: "anthropic", Model: "m", ThinkingTokens: 2000, Temperature: new(0.5)}, "with thinking_token_limit anthropic takes no temperature: leave one of the two out"},
		{Request{Provider: "anthropic", Model: "m", ThinkingTokens: 2000, TopP: new(0.5)}, "with thinking_token_limit anthropic takes no top_p below 0.95: leave one of the two out"},
		{Request{Provider: "anthropic", Model: "m", ThinkingTokens: 2000, Temperature: new(1.0), TopP: new(0.95)}, ""},
	} {
		err := c.Check(test.request)
		if test.want != "" {
			wantError(t, "check", err, test.want)
		} else if err != nil {
			t.Errorf("%+v: %v", test.request, err)
		}
		if _, asked := c.Ask(t.Context(), test.request, Call{}); test.want != "" {
			wantError(t, "ask", asked, test.want)
		}
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	c := newClient(t, Options{Env: variables(
		"OPENAI_API_KEY", " sk-1\n", "GEMINI_API_KEY", "", "GOOGLE_API_KEY", "g-2", "GROQ_API_KEY", " ", "XAI_API_KEY", "two words",
	)})
	for _, test := range []struct{ provider, given, want, err string }{
		{provider: "openai", want: "sk-1"},
		{provider: "openai", given: "sk-own", want: "sk-own"},
		{provider: "google", want: "g-2"}, // an empty variable is not set
		{provider: "ollama"},
		{provider: "custom"},
		{provider: "anthropic", err: "no key for anthropic: set ANTHROPIC_API_KEY, or give api_key: ${...}"},
		{provider: "groq", err: "no key for groq: set GROQ_API_KEY, or give api_key: ${...}"},
		{provider: "xai", err: "the key in XAI_API_KEY is no key: it holds white space or other characters that cannot be sent"},
		{provider: "openai", given: "sk\n1", err: "the key in api_key is no key: it holds white space or other characters that cannot be sent"},
		{provider: "none", err: `provider "none" is unknown; there are ` + strings.Join(Providers(), ", ")},
	} {
		key, err := c.Key(Request{Provider: test.provider, Model: "m", APIKey: test.given})
		want(t, test.provider, key, test.want)
		if test.err != "" {
			wantError(t, test.provider, err, test.err)
		} else if err != nil {
			t.Error(err)
		}
	}
	_, err := newClient(t, Options{}).Key(Request{Provider: "google"})
	wantError(t, "two variables", err, "no key for google: set GEMINI_API_KEY or GOOGLE_API_KEY, or give api_key: ${...}")
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ provider, given, variable, value, want string }{
		{provider: "openai", want: "https://api.openai.com/v1/chat/completions"},
		{provider: "openai", variable: "OPENAI_BASE_URL", value: "https://h/v1/", want: "https://h/v1/chat/completions"},
		{provider: "openai", variable: "OPENAI_BASE_URL", value: "http://h:8080", want: "http://h:8080/chat/completions"},
		{provider: "openai", given: "http://own/v1", variable: "OPENAI_BASE_URL", value: "https://h/v1", want: "http://own/v1/chat/completions"},
		{provider: "openai", variable: "OPENAI_BASE_URL", value: "", want: "https://api.openai.com/v1/chat/completions"},
		{provider: "openai", variable: "XAI_BASE_URL", value: "https://h", want: "https://api.openai.com/v1/chat/completions"},
		{provider: "anthropic", want: "https://api.anthropic.com/v1/messages"},
		{provider: "anthropic", variable: "ANTHROPIC_BASE_URL", value: "https://h/proxy/", want: "https://h/proxy/v1/messages"},
		{provider: "anthropic", given: "https://h/v1", want: "https://h/v1/messages"},
		{provider: "google", want: "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"},
		{provider: "google", variable: "GOOGLE_GEMINI_BASE_URL", value: "https://h/", want: "https://h/v1beta/openai/chat/completions"},
		{provider: "google", variable: "GOOGLE_GEMINI_BASE_URL", value: "https://h/own", want: "https://h/own/chat/completions"},
		{provider: "groq", want: "https://api.groq.com/openai/v1/chat/completions"},
		{provider: "groq", variable: "GROQ_BASE_URL", value: "https://h", want: "https://h/openai/v1/chat/completions"},
		{provider: "together", want: "https://api.together.xyz/v1/chat/completions"},
		{provider: "fireworks", want: "https://api.fireworks.ai/inference/v1/chat/completions"},
		{provider: "perplexity", want: "https://api.perplexity.ai/chat/completions"},
		{provider: "xai", want: "https://api.x.ai/v1/chat/completions"},
		{provider: "xai", variable: "XAI_BASE_URL", value: "https://h/v2", want: "https://h/v2/chat/completions"},
		{provider: "custom", variable: "CUSTOM_BASE_URL", value: "https://h", want: "https://h/chat/completions"},
		{provider: "ollama", given: "http://h:1", want: "http://h:1/v1/chat/completions"},
		{provider: "ollama", variable: "OLLAMA_BASE_URL", value: "http://h:1", want: "http://h:1/v1/chat/completions"},
		{provider: "ollama", variable: "OLLAMA_BASE_URL", value: "http://h:1/v1", want: "http://h:1/v1/chat/completions"},
	} {
		c := newClient(t, Options{Env: variables(test.variable, test.value)})
		_, w, err := c.prepare(Request{Provider: test.provider, Model: "m", BaseURL: test.given})
		if err != nil {
			t.Errorf("%+v: %v", test, err)
			continue
		}
		want(t, test.provider+" "+test.variable+" "+test.given, w.url, test.want)
	}
	for value, message := range map[string]string{
		"h/v1":                   "OPENAI_BASE_URL must begin with http:// or https:// and name a host",
		"ftp://h":                "OPENAI_BASE_URL must begin with http:// or https:// and name a host",
		"http://:80":             "OPENAI_BASE_URL must begin with http:// or https:// and name a host",
		"http://h:port/secret":   `OPENAI_BASE_URL: invalid port ":port" after host`,
		"https://me:secret@h/v1": "OPENAI_BASE_URL must hold neither a user name nor a query; a key is given as api_key",
		"https://h/v1?k=secret":  "OPENAI_BASE_URL must hold neither a user name nor a query; a key is given as api_key",
		"https://h/v1#secret":    "OPENAI_BASE_URL must hold neither a user name nor a query; a key is given as api_key",
	} {
		c := newClient(t, Options{Env: variables("OPENAI_BASE_URL", value)})
		wantError(t, value, c.Check(Request{Provider: "openai", Model: "m"}), message)
		wantError(t, value, c.Check(Request{Provider: "openai", Model: "m", BaseURL: value}), strings.Replace(message, "OPENAI_BASE_URL", "base_url", 1))
	}
}

func TestOllamaHost(t *testing.T) {
	t.Parallel()
	for value, wanted := range map[string]string{
		"":                           "http://127.0.0.1:11434",
		"host":                       "http://host:11434",
		"host:1":                     "http://host:1",
		" host:1 ":                   "http://host:1",
		":1":                         "http://127.0.0.1:1",
		"1.2.3.4":                    "http://1.2.3.4:11434",
		"0.0.0.0":                    "http://127.0.0.1:11434",
		"0.0.0.0:1":                  "http://127.0.0.1:1",
		"[::]:1":                     "http://[::1]:1",
		"::":                         "http://[::1]:11434",
		"::1":                        "http://[::1]:11434",
		"[fe80::1]":                  "http://[fe80::1]:11434",
		"host:port":                  "http://host:11434",
		"host:65536":                 "http://host:11434",
		"host/":                      "http://host:11434",
		"host/prefix/":               "http://host:11434/prefix",
		"http://host":                "http://host:80",
		"http://host:1":              "http://host:1",
		"https://host":               "https://host:443",
		"https://host/prefix":        "https://host:443/prefix",
		"http://0.0.0.0:11434":       "http://127.0.0.1:11434",
		"http://0.0.0.0":             "http://127.0.0.1:80",
		"https://host.example:8443/": "https://host.example:8443",
	} {
		c := newClient(t, Options{Env: variables("OLLAMA_HOST", value)})
		_, w, err := c.prepare(Request{Provider: "ollama", Model: "m"})
		if err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		want(t, value, w.url, wanted+"/v1/chat/completions")
	}
	c := newClient(t, Options{Env: variables("OLLAMA_HOST", "ftp://host")})
	wantError(t, "ftp", c.Check(Request{Provider: "ollama", Model: "m"}), "OLLAMA_HOST must begin with http:// or https:// and name a host")
	c = newClient(t, Options{Env: variables("OLLAMA_HOST", "host:1", "OLLAMA_BASE_URL", "http://other/v1")})
	if _, w, err := c.prepare(Request{Provider: "ollama", Model: "m"}); err != nil || w.base != "http://other/v1" {
		t.Errorf("%+v, %v", w, err)
	}
}

// What the SDKs would read for themselves must not get into the calls of others.
func TestVariablesStayWithTheirProvider(t *testing.T) {
	for name, value := range map[string]string{
		"OPENAI_API_KEY": "sk-process", "OPENAI_BASE_URL": "http://127.0.0.1:1", "OPENAI_ORG_ID": "org-process", "OPENAI_PROJECT_ID": "proj-process",
		"OPENAI_CUSTOM_HEADERS": "X-Process: 1", "ANTHROPIC_CUSTOM_HEADERS": "X-Process: 1", "ANTHROPIC_AUTH_TOKEN": "token-process",
		"ANTHROPIC_API_KEY": "sk-process", "ANTHROPIC_BASE_URL": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	s := provide(t, says("ok"))
	c := newClient(t, Options{Env: variables("OPENAI_ORG_ID", "org-1", "OPENAI_PROJECT_ID", "proj-1")})
	for _, provider := range Providers() {
		r := s.at(provider)
		if _, err := c.Ask(t.Context(), r, Call{}); err != nil {
			t.Errorf("%s: %v", provider, err)
			continue
		}
		header := s.requests()[len(s.requests())-1].header
		var wanted []string
		if provider == "openai" {
			wanted = []string{"org-1", "proj-1"}
		}
		want(t, provider, slices.Concat(header["Openai-Organization"], header["Openai-Project"]), wanted)
		for name, values := range header {
			if strings.Contains(strings.Join(values, " "), "process") || name == "X-Process" {
				t.Errorf("%s: %s: %q", provider, name, values)
			}
		}
	}
	process := New(Options{})
	if key, err := process.Key(Request{Provider: "openai"}); err != nil || key != "sk-process" {
		t.Errorf("%s, %v; want the key of the process's environment", key, err)
	}
}

func TestNoCredential(t *testing.T) {
	t.Parallel()
	s := provide(t, says("ok"))
	c := newClient(t, Options{Env: variables("OLLAMA_API_KEY", "o-1")})
	for provider, wanted := range map[string][]string{"custom": nil, "ollama": {"Bearer o-1"}} {
		r := s.at(provider)
		r.APIKey = ""
		if _, err := c.Ask(t.Context(), r, Call{}); err != nil {
			t.Error(err)
		}
		want(t, provider, s.requests()[len(s.requests())-1].header["Authorization"], wanted)
	}
}

// refusesSchemas is a provider whose models take no schema.
func refusesSchemas(status int, message string, answer func(http.ResponseWriter, *http.Request, int)) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, r *http.Request, n int) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), `"type":"json_schema"`) {
			answer(w, r, n)
			return
		}
		w.WriteHeader(status)
		reply(w, `{"error": {"message": %s, "type": "invalid_request_error"}}`, quoted(message))
	}
}

func TestSchemaInWords(t *testing.T) {
	t.Parallel()
	const (
		fits   = `{"type": "object", "properties": {"a": {"type": "integer"}}}`
		system = `be kind\n\nAnswer with one JSON object that fits this JSON Schema: {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}}`
	)
	for _, test := range []struct {
		provider string
		status   int
		message  string
		want     string // the body that has no schema
	}{
		{"groq", 400, "This model does not support response format `json_schema`. See supported models",
			`{"model": "m", "response_format": {"type": "json_object"}, "messages": [{"role": "system", "content": "` + system + `"}, {"role": "user", "content": "hello"}]}`},
		{"openai", 400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",
			`{"model": "m", "response_format": {"type": "json_object"}, "messages": [{"role": "system", "content": "` + system + `"}, {"role": "user", "content": "hello"}]}`},
		{"custom", 422, "body.response_format: extra input",
			`{"model": "m", "response_format": {"type": "json_object"}, "messages": [{"role": "system", "content": "` + system + `"}, {"role": "user", "content": "hello"}]}`},
		{"anthropic", 400, "'m' does not support output format.",
			`{"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
				"system": [{"type": "text", "text": "` + system + `\n\nAnswer with one JSON object and nothing else."}]}`},
	} {
		t.Run(test.provider, func(t *testing.T) {
			t.Parallel()
			s := provide(t, refusesSchemas(test.status, test.message, says(`{"a": 1}`)))
			cache := tempCache(t)
			var lines []string
			options := Options{Cache: cache, Log: func(line string) { lines = append(lines, line) }}
			c := newClient(t, options)
			r := s.at(test.provider)
			r.System, r.JSON, r.Schema, r.MaxTokens = "be kind", true, []byte(fits), 0
			if test.provider == "anthropic" {
				r.MaxTokens = 9
			}
			checked := 0
			ask := func(what string, c *Client, r Request, requests int, cached bool) {
				t.Helper()
				before := len(s.requests())
				a, err := c.Ask(t.Context(), r, Call{Check: func(text string) error {
					checked++
					if text != `{"a": 1}` {
						return errors.New("another")
					}
					return nil
				}})
				if err != nil || a.Text != `{"a": 1}` || a.FromCache != cached {
					t.Errorf("%s: %+v, %v", what, a, err)
				}
				want(t, what+": requests", len(s.requests())-before, requests)
			}
			ask("first", c, r, 2, false)
			want(t, "body", decoded(t, s.requests()[1].body), decoded(t, test.want))
			ask("again", c, r, 0, true)
			ask("in another process", newClient(t, options), r, 0, true)
			other := r
			other.Prompt = "bye"
			ask("another question", c, other, 1, false)
			other.Model = "n"
			ask("another model", c, other, 2, false)
			want(t, "checks", checked, 5)
			host := runner.Endpoint(s.url) + strings.TrimPrefix(s.requests()[0].path, "POST ")
			want(t, "lines", lines, []string{
				"m does not take a JSON Schema, and is told it in words from now on: POST " + host + " answered " + fmt.Sprint(test.status, " ", http.StatusText(test.status)) + ": " + test.message,
				"n does not take a JSON Schema, and is told it in words from now on: POST " + host + " answered " + fmt.Sprint(test.status, " ", http.StatusText(test.status)) + ": " + test.message,
			})
			if _, err := c.Ask(t.Context(), r, Call{Since: time.Now(), Check: func(string) error { return errors.New("no good") }}); err == nil {
				t.Error("an answer that is of no use is an answer")
			}
		})
	}
}

// What else is refused is not asked for again.
func TestSchemaIsNotTheMatter(t *testing.T) {
	t.Parallel()
	const about = "response_format of type json_schema is not supported"
	for _, test := range []struct {
		name, provider string
		status         int
		message        string
		change         func(*Request)
	}{
		{"something else", "openai", 400, "no such model", nil},
		{"a key", "openai", 401, about, nil},
		{"too many calls", "openai", 429, about, nil},
		{"effort", "anthropic", 400, "output_config.effort: this model has none", nil},
		{"a provider that knows schemas only", "perplexity", 400, about, nil},
		{"JSON of a provider that knows schemas only", "perplexity", 400, about, func(r *Request) { r.Schema = nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := provide(t, refusesSchemas(test.status, test.message, says("{}")))
			r := s.at(test.provider)
			r.JSON, r.Schema = true, []byte(`{"type": "object"}`)
			if test.change != nil {
				test.change(&r)
			}
			c := newClient(t, Options{})
			for i := range 2 {
				_, err := c.Ask(t.Context(), r, Call{})
				if e, ok := errors.AsType[*runner.APIError](err); !ok || e.StatusCode != test.status {
					t.Errorf("error %v", err)
				}
				want(t, "requests", len(s.requests()), i+1)
			}
		})
	}
}

// Who refuses both gets one request more, once; and the limiter hears of it.
func TestSchemaInWordsIsRefused(t *testing.T) {
	t.Parallel()
	s := provide(t, refusesSchemas(400, "no json_schema", func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
		reply(w, `{"error": "slow down"}`)
	}))
	c := newClient(t, Options{})
	r := s.at("custom")
	r.JSON, r.Schema = true, []byte(`{"type": "object"}`)
	asked := 0
	for range 200 {
		_, err := c.Ask(t.Context(), r, Call{})
		if _, held := errors.AsType[*runner.HeldBack](err); held {
			break
		}
		asked++
		if e, ok := errors.AsType[*runner.APIError](err); !ok || !e.Refused() {
			t.Fatalf("error %v, want the second refusal", err)
		}
		want(t, "requests", len(s.requests()), asked+1)
	}
	if asked == 200 {
		t.Error("200 refusals, and no call was held back")
	}
}

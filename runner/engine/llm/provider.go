package llm

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"nightshift/schema"
)

// provider is one who answers for models, and what its API is like.
type provider struct {
	name     string
	protocol protocol
	url      string            // base URL of its own API; "": it has none
	path     string            // of its API, where a base URL names a host only
	urls     []string          // variables that may hold a base URL, the first counts
	keys     []string          // variables that may hold the key, the first counts
	keyless  bool              // it may answer without a key
	headers  map[string]string // further headers, and the variables that hold them

	effort, verbosity, thinking bool // whether it takes these options
	completionTokens            bool // max_tokens is called max_completion_tokens
	onlySchemas                 bool // JSON is to be had by a schema only
}

// providers are those that can be asked, by name.
var providers = []*provider{
	{
		name: "anthropic", protocol: messages{}, url: "https://api.anthropic.com", effort: true, thinking: true,
		urls: []string{"ANTHROPIC_BASE_URL"}, keys: []string{"ANTHROPIC_API_KEY"},
	}, {
		name: "custom", protocol: chat{}, effort: true, verbosity: true, keyless: true,
		urls: []string{"CUSTOM_BASE_URL"}, keys: []string{"CUSTOM_API_KEY"},
	}, {
		name: "fireworks", protocol: chat{}, url: "https://api.fireworks.ai/inference/v1", effort: true,
		urls: []string{"FIREWORKS_BASE_URL"}, keys: []string{"FIREWORKS_API_KEY"},
	}, {
		name: "google", protocol: chat{}, url: "https://generativelanguage.googleapis.com/v1beta/openai", path: "/v1beta/openai", effort: true, thinking: true,
		urls: []string{"GOOGLE_GEMINI_BASE_URL"}, keys: []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"},
	}, {
		name: "groq", protocol: chat{}, url: "https://api.groq.com/openai/v1", path: "/openai/v1", effort: true,
		urls: []string{"GROQ_BASE_URL"}, keys: []string{"GROQ_API_KEY"},
	}, {
		name: "ollama", protocol: chat{}, url: "http://127.0.0.1:11434/v1", path: "/v1", effort: true, keyless: true,
		urls: []string{"OLLAMA_BASE_URL", "OLLAMA_HOST"}, keys: []string{"OLLAMA_API_KEY"},
	}, {
		name: "openai", protocol: chat{}, url: "https://api.openai.com/v1", effort: true, verbosity: true, completionTokens: true,
		urls: []string{"OPENAI_BASE_URL"}, keys: []string{"OPENAI_API_KEY"},
		headers: map[string]string{"OpenAI-Organization": "OPENAI_ORG_ID", "OpenAI-Project": "OPENAI_PROJECT_ID"},
	}, {
		name: "perplexity", protocol: chat{}, url: "https://api.perplexity.ai", onlySchemas: true,
		urls: []string{"PERPLEXITY_BASE_URL"}, keys: []string{"PERPLEXITY_API_KEY"},
	}, {
		name: "together", protocol: chat{}, url: "https://api.together.xyz/v1", effort: true,
		urls: []string{"TOGETHER_BASE_URL"}, keys: []string{"TOGETHER_API_KEY"},
	}, {
		name: "xai", protocol: chat{}, url: "https://api.x.ai/v1", effort: true, completionTokens: true,
		urls: []string{"XAI_BASE_URL"}, keys: []string{"XAI_API_KEY"},
	},
}

// elsewhere are providers that the platform knows, with APIs of their own.
var elsewhere = []string{"aws", "azure", "bedrock", "cohere"}

// Providers are the names of those that can be asked, sorted.
func Providers() []string {
	names := make([]string, len(providers))
	for i, p := range providers {
		names[i] = p.name
	}
	return names
}

func findProvider(name string) (*provider, error) {
	for _, p := range providers {
		if p.name == name {
			return p, nil
		}
	}
	switch {
	case name == "":
		return nil, errors.New("no provider is given")
	case slices.Contains(elsewhere, name):
		return nil, fmt.Errorf("provider %s is not called by this engine: set provider: custom, and base_url to its OpenAI-compatible endpoint", name)
	}
	hint := schema.DidYouMean(name, Providers())
	if hint == "" {
		hint = "; there are " + strings.Join(Providers(), ", ")
	}
	return nil, fmt.Errorf("provider %q is unknown%s", name, hint)
}

// refuse says which option of a request the provider does not take.
func (p *provider) refuse(r Request) error {
	for _, o := range []struct {
		name         string
		asked, takes bool
	}{
		{"reasoning_effort", set(r.ReasoningEffort), p.effort},
		{"verbosity", set(r.Verbosity), p.verbosity},
		{"thinking_token_limit", r.ThinkingTokens != 0, p.thinking},
	} {
		if o.asked && !o.takes {
			return fmt.Errorf("provider %s takes no %s: leave it out", p.name, o.name)
		}
	}
	switch {
	case r.MaxTokens < 0:
		return fmt.Errorf("max_tokens is %d: it must be more than 0", r.MaxTokens)
	case r.ThinkingTokens < 0:
		return fmt.Errorf("thinking_token_limit is %d: it must be more than 0", r.ThinkingTokens)
	case r.JSON && r.Schema != nil && !isObject(r.Schema):
		return errors.New("json_schema is not a JSON object")
	}
	return p.protocol.refuse(r)
}

// form is a request as it is sent.
type form struct {
	Request
	body []byte
	key  Key // of its answer
}

// forms are the ways to put a request: as it is and, where it has a schema that
// may be refused, with the schema in words.
func (p *provider) forms(w *wire, r Request) ([]form, error) {
	requests := []Request{r}
	if r.JSON && r.Schema != nil && !p.onlySchemas {
		requests = append(requests, inWords(r))
	}
	forms := make([]form, len(requests))
	for i, r := range requests {
		body, err := p.protocol.body(r, p)
		if err != nil {
			return nil, err
		}
		forms[i] = form{r, body, w.cacheKey(body)}
	}
	return forms, nil
}

// onlyJSON is said to a model that is to answer with any object.
const onlyJSON = "Answer with one JSON object and nothing else."

// inWords is the request for a model that takes no schema.
func inWords(r Request) Request {
	r.System = andSay(r.System, "Answer with one JSON object that fits this JSON Schema: "+string(r.Schema))
	r.Schema = nil
	return r
}

// andSay puts a sentence behind a system text.
func andSay(system, sentence string) string {
	if system == "" {
		return sentence
	}
	return system + "\n\n" + sentence
}

// inPieces tells whether an answer is the stream that was asked for: not all who
// speak a protocol know that, and types are often wrong. It waits for the beginning.
func inPieces(resp *http.Response) bool {
	body := bufio.NewReader(resp.Body)
	resp.Body = struct {
		io.Reader
		io.Closer
	}{body, resp.Body}
	for {
		first, err := body.Peek(1)
		switch {
		case err != nil:
			return !strings.Contains(resp.Header.Get("Content-Type"), "json")
		case !strings.Contains(" \r\n\t", string(first)):
			return !strings.Contains("{[<n", string(first)) // n of null
		}
		_, _ = body.Discard(1)
	}
}

// readWhole reads an answer that comes in one piece.
func readWhole(resp *http.Response, into any) error {
	body, err := io.ReadAll(resp.Body) // that it broke off says more than where its JSON ends
	if err != nil {
		return err
	}
	return json.NewDecoder(bytes.NewReader(body)).Decode(into)
}

// set tells whether a word asks for something else than the default.
func set(word string) bool { return word != "" && word != "default" }

func isObject(text json.RawMessage) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(text, &members) == nil && members != nil
}

// baseURL gives the URL that the paths of the API are added to.
func (p *provider) baseURL(given string, env func(string) string) (string, error) {
	text, from := strings.TrimSpace(given), "base_url"
	for _, name := range p.urls {
		if text == "" {
			text, from = env(name), name
		}
	}
	switch {
	case text == "" && p.url == "":
		return "", fmt.Errorf("provider %s needs base_url, or %s", p.name, strings.Join(p.urls, " or "))
	case text == "":
		return p.url, nil
	case from == "OLLAMA_HOST":
		text = ollamaURL(text)
	}
	u, err := url.Parse(text)
	if parse, ok := errors.AsType[*url.Error](err); ok {
		err = parse.Err // without the URL: it may hold a password
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", from, err)
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "", fmt.Errorf("%s must begin with http:// or https:// and name a host", from)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%s must hold neither a user name nor a query; a key is given as api_key", from)
	}
	base := u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/")
	if strings.Trim(u.Path, "/") == "" {
		base += p.path
	}
	return base, nil
}

// ollamaURL reads OLLAMA_HOST, in which every part may be left out. It may be
// written for the server: one that listens at every address is called at the
// loopback.
func ollamaURL(value string) string {
	scheme, rest, found := strings.Cut(value, "://")
	port := map[string]string{"http": "80", "https": "443"}[scheme]
	if !found {
		scheme, rest, port = "http", scheme, "11434"
	}
	authority, path, _ := strings.Cut(rest, "/")
	host := strings.Trim(authority, "[]")
	if h, p, err := net.SplitHostPort(authority); err == nil {
		host = h
		if _, err := strconv.ParseUint(p, 10, 16); err == nil {
			port = p
		}
	}
	if ip := net.ParseIP(host); host == "" || ip.Equal(net.IPv4zero) {
		host = "127.0.0.1"
	} else if ip.Equal(net.IPv6zero) {
		host = "::1"
	}
	return scheme + "://" + net.JoinHostPort(host, port) + "/" + strings.TrimLeft(strings.TrimRight(path, "/")+"/v1", "/")
}

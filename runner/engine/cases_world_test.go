package engine

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"gopkg.in/yaml.v3"

	"nightshift/spec"
)

// caseAnswers are what the model of a case answers: a list, in order, or a map
// from prompts, in any order. An answer is a text, or {text, finish, status},
// where a status other than 200 is a refusal.
type caseAnswers struct {
	inOrder  []caseAnswer
	byPrompt map[string]caseAnswer
}

type caseAnswer struct {
	Text   string `yaml:"text"`
	Finish string `yaml:"finish"`
	Status int    `yaml:"status"`
}

func (a *caseAnswers) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.MappingNode {
		return n.Decode(&a.byPrompt)
	}
	return n.Decode(&a.inOrder)
}

func (a *caseAnswer) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&a.Text)
	}
	type fields caseAnswer
	return n.Decode((*fields)(a))
}

// caseModel is the model of a case; nil where it has none.
type caseModel struct {
	answers *caseAnswers

	mu    sync.Mutex
	asked []caseQuestion
}

// caseQuestion is a request: its body, and what says the same in all of the
// providers' forms.
type caseQuestion map[string]any

// serve starts the model, and sets the variables that name it.
func (a *caseAnswers) serve(t *testing.T, env map[string]string) *caseModel {
	if a == nil {
		return nil
	}
	m := &caseModel{answers: a}
	server := httptest.NewServer(m)
	t.Cleanup(server.Close)
	for _, name := range []string{"OPENAI_BASE_URL", "CUSTOM_BASE_URL", "GOOGLE_GEMINI_BASE_URL"} {
		env[name] = server.URL + "/v1"
	}
	env["ANTHROPIC_BASE_URL"] = server.URL
	for _, name := range []string{"OPENAI_API_KEY", "GEMINI_API_KEY", "ANTHROPIC_API_KEY"} {
		env[name] = "key"
	}
	return m
}

func (m *caseModel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := readQuestion(r)
	m.mu.Lock()
	n := len(m.asked)
	m.asked = append(m.asked, q)
	m.mu.Unlock()
	answer, known := m.answers.byPrompt[q["prompt"].(string)]
	if n < len(m.answers.inOrder) {
		answer, known = m.answers.inOrder[n], true
	}
	if !known {
		answer.Status, answer.Text = http.StatusBadRequest, fmt.Sprintf("the case has no answer to %s", q["prompt"])
	}
	if answer.Finish == "" {
		answer.Finish = "stop"
	}
	text, _ := json.Marshal(answer.Text)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case answer.Status != 0 && answer.Status != http.StatusOK:
		w.WriteHeader(answer.Status)
		fmt.Fprintf(w, `{"error": {"message": %s}}`, text)
	case strings.HasSuffix(r.URL.Path, "/messages"):
		fmt.Fprintf(w, `{"id": "x", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
			"content": [{"type": "text", "text": %s}], "usage": {"input_tokens": 10, "output_tokens": 5}}`, text)
	case q["stream"] == true:
		stream(w, reply{text: answer.Text, finish: answer.Finish})
	default:
		fmt.Fprintf(w, `{"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0, "finish_reason": %q,
			"message": {"role": "assistant", "content": %s}}], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}`, answer.Finish, text)
	}
}

// readQuestion adds to the members of a request: prompt, its last text; system;
// image, an address or data; key.
func readQuestion(r *http.Request) caseQuestion {
	body, _ := io.ReadAll(r.Body)
	parsed, _ := spec.ParseJSON(body)
	members, _ := parsed.(map[string]any)
	q := caseQuestion{"prompt": "", "system": members["system"]}
	maps.Copy(q, members)
	q["key"] = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") + r.Header.Get("X-Api-Key")
	messages, _ := members["messages"].([]any)
	for _, v := range messages {
		message, _ := v.(map[string]any)
		text, image := readContent(message["content"])
		switch message["role"] {
		case "system", "developer":
			q["system"] = text
		case "user":
			q["prompt"] = text
			if image != "" {
				q["image"] = image
			}
		}
	}
	return q
}

// readContent takes a text, or a list of parts in the form of OpenAI or Anthropic.
func readContent(content any) (text, image string) {
	parts, ok := content.([]any)
	if !ok {
		return spec.Text(content), ""
	}
	for _, v := range parts {
		part, _ := v.(map[string]any)
		text += spec.Text(part["text"])
		if url, ok := part["image_url"].(map[string]any); ok {
			image = spec.Text(url["url"])
		}
		if source, ok := part["source"].(map[string]any); ok {
			image = spec.Text(source["url"])
			if source["type"] == "base64" {
				image = "data:" + spec.Text(source["media_type"]) + ";base64," + spec.Text(source["data"])
			}
		}
	}
	return text, image
}

// check compares what was asked: whole prompts, or those members of the requests
// that the case names.
func (m *caseModel) check(t *testing.T, asked []yaml.Node, written func(string) string) {
	t.Helper()
	if m == nil {
		if asked != nil {
			t.Error("asked: there is no model, as the case has no answers")
		}
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.answers.inOrder); n > len(m.asked) {
		t.Errorf("%d of %d answers were not asked for", n-len(m.asked), n)
	}
	if asked == nil {
		return
	}
	if len(asked) != len(m.asked) {
		t.Errorf("the model was asked %d times, but must be %d times", len(m.asked), len(asked))
		return
	}
	var got, want []string
	for i, node := range asked {
		members, ok := plain(t, &node).(map[string]any)
		if !ok {
			members = map[string]any{"prompt": plain(t, &node)}
		}
		named := map[string]any{}
		for name := range members {
			named[name] = m.asked[i][name]
		}
		got, want = append(got, written(jsonOf(named))), append(want, jsonOf(members))
	}
	if m.answers.byPrompt != nil {
		slices.Sort(got)
		slices.Sort(want)
	}
	same(t, "asked", got, want)
}

// caseServer is what the web server of a case answers: the same to all, or by
// path.
type caseServer struct {
	casePage `yaml:",inline"`
	Paths    map[string]casePage `yaml:"paths"` // a path that is not there is answered with 404
}

type casePage struct {
	Status  int               `yaml:"status"` // 0: 200
	Type    string            `yaml:"type"`   // "": told from the body
	Headers map[string]string `yaml:"headers"`
	Body    string            `yaml:"body"`
	Echo    bool              `yaml:"echo"` // the body is the request: method and path, type, X-Key headers, body
}

// start gives the server's address; "" where the case has none.
func (s *caseServer) start(t *testing.T) string {
	if s == nil {
		return ""
	}
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, known := s.Paths[r.URL.Path]
		switch {
		case s.Paths == nil:
			page = s.casePage
		case !known:
			http.NotFound(w, r)
			return
		}
		if page.Type != "" {
			w.Header().Set("Content-Type", page.Type)
		}
		for name, value := range page.Headers {
			w.Header().Set(name, strings.ReplaceAll(value, "SERVER", strings.TrimPrefix(server.URL, "http://")))
		}
		if page.Status != 0 {
			w.WriteHeader(page.Status)
		}
		if page.Echo {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s\ntype %s\nkey %v\nbody %s", r.Method, r.RequestURI, r.Header.Get("Content-Type"), r.Header["X-Key"], body)
		}
		_, _ = io.WriteString(w, page.Body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

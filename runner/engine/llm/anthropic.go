package llm

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/packages/ssestream"
)

// messages is the protocol of Anthropic's messages.
type messages struct{}

func (messages) address(base string) string { return messagesBase(base) + "/v1/messages" }

// messagesBase takes off the version that base URLs end with elsewhere.
func messagesBase(base string) string { return strings.TrimSuffix(base, "/v1") }

// minThinking is the least that a model can be told to think, in tokens.
const minThinking = 1024

// efforts are the depths of reasoning that the API knows.
var efforts = []string{"low", "medium", "high", "xhigh", "max"}

func (messages) refuse(r Request) error {
	switch {
	case set(r.ReasoningEffort) && !slices.Contains(efforts, r.ReasoningEffort):
		return fmt.Errorf("reasoning_effort is %s: anthropic takes %s; set one of them, or leave it out", r.ReasoningEffort, strings.Join(efforts, ", "))
	case r.ThinkingTokens == 0:
		return nil
	case r.ThinkingTokens < minThinking:
		return fmt.Errorf("thinking_token_limit is %d: anthropic takes %d or more", r.ThinkingTokens, minThinking)
	case r.MaxTokens > 0 && r.MaxTokens <= r.ThinkingTokens:
		return fmt.Errorf("max_tokens is %d: thinking counts, so it must be more than thinking_token_limit, which is %d", r.MaxTokens, r.ThinkingTokens)
	case r.Temperature != nil && *r.Temperature != 1:
		return errors.New("with thinking_token_limit anthropic takes no temperature: leave one of the two out")
	case r.TopP != nil && *r.TopP < 0.95:
		return errors.New("with thinking_token_limit anthropic takes no top_p below 0.95: leave one of the two out")
	}
	return nil
}

// mostTokens is how long an answer may be, thinking included. The API wants to be
// told; where the author does not say, it is as much as the model can do.
func mostTokens(r Request) int {
	if r.MaxTokens > 0 {
		return r.MaxTokens
	}
	for _, old := range []struct {
		name   string
		tokens int
	}{
		{"claude-3-haiku", 4096}, {"claude-3-opus", 4096}, {"claude-3-sonnet", 4096}, {"claude-3-5", 8192},
	} {
		if strings.Contains(r.Model, old.name) { // gateways put a name of theirs in front
			return old.tokens + r.ThinkingTokens
		}
	}
	return 32000 + r.ThinkingTokens
}

// asksForJSON tells whether the answer may come with a fence around it.
func asksForJSON(r Request) bool { return r.JSON && r.Schema == nil }

func (messages) body(r Request, _ *provider) ([]byte, error) {
	params := anthropic.MessageNewParams{Model: r.Model}
	params.MaxTokens = int64(mostTokens(r))
	system := r.System
	if asksForJSON(r) { // there is a mode for schemas only
		system = andSay(system, onlyJSON)
	}
	if system != "" {
		params.System = []anthropic.TextBlockParam{{Text: system}}
	}
	var blocks []anthropic.ContentBlockParamUnion
	for i, image := range r.Images {
		block, err := image.block()
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", i+1, err)
		}
		blocks = append(blocks, block)
	}
	if r.Prompt != "" || len(blocks) == 0 {
		blocks = append(blocks, anthropic.NewTextBlock(r.Prompt))
	}
	params.Messages = []anthropic.MessageParam{anthropic.NewUserMessage(blocks...)}
	if r.JSON && r.Schema != nil {
		params.OutputConfig.Format.Schema = outputSchema(r.Schema)
	}
	if set(r.ReasoningEffort) {
		params.OutputConfig.Effort = anthropic.OutputConfigEffort(r.ReasoningEffort)
	}
	if r.Temperature != nil {
		params.Temperature = anthropic.Float(*r.Temperature)
	}
	if r.TopP != nil {
		params.TopP = anthropic.Float(*r.TopP)
	}
	if r.ThinkingTokens > 0 {
		params.Thinking = anthropic.ThinkingConfigParamOfEnabled(int64(r.ThinkingTokens))
	}
	return params.MarshalJSON()
}

// block gives an image in the form of the API, which takes no data: URLs.
func (i Image) block() (anthropic.ContentBlockParamUnion, error) {
	if i.Data != nil {
		return anthropic.NewImageBlockBase64(i.mime(), base64.StdEncoding.EncodeToString(i.Data)), nil
	}
	rest, inline := strings.CutPrefix(i.URL, "data:")
	if !inline {
		return anthropic.NewImageBlock(anthropic.URLImageSourceParam{URL: i.URL}), nil
	}
	mime, data, ok := strings.Cut(rest, ";base64,")
	if !ok {
		return anthropic.ContentBlockParamUnion{}, errors.New("the data: URL is not in base64")
	}
	return anthropic.NewImageBlockBase64(mime, data), nil
}

// outputSchema gives a schema as the API takes it. One that it takes as it is
// keeps the order of its properties, which is that of the answer's; of another
// the SDK makes one that is taken.
func outputSchema(schema json.RawMessage) map[string]any {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(schema, &members) // it is an object, as was checked
	asWritten := make(map[string]any, len(members))
	for name, member := range members {
		asWritten[name] = member
	}
	if strict(schema, strictKeywords) {
		return asWritten
	}
	if made, ok := anthropic.BetaJSONSchemaOutputFormat(asWritten).Schema.(map[string]any); ok && made != nil {
		return made
	}
	return asWritten
}

// streamFrom is how many tokens may take so long that a connection on which
// nothing comes would be given up on the way.
const streamFrom = 16000

func (messages) ask(ctx context.Context, w *wire, r Request, text func(string)) (Answer, error) {
	var resp *http.Response
	options := []option.RequestOption{
		option.WithBaseURL(messagesBase(w.base)), option.WithAPIKey(w.key), option.WithHTTPClient(w.http),
		option.WithMaxRetries(0), option.WithMiddleware(w.send), option.WithRequestBody("application/json", w.body),
		option.WithRequestTimeout(24 * time.Hour), option.WithHeaderDel("X-Stainless-Timeout"), // ctx has the say on time
		option.WithoutOpenTelemetry(), // whose variables it would read
		option.WithResponseBodyInto(&resp),
	}
	most := mostTokens(r)
	stream := r.Stream || most > streamFrom
	if stream {
		options = append(options, option.WithJSONSet("stream", true))
	}
	service := anthropic.NewMessageService(options...)
	if _, err := service.New(ctx, anthropic.MessageNewParams{}); err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	if asksForJSON(r) {
		text = func(string) {} // the fence is not to be seen
	}
	var message *anthropic.Message
	var err error
	if stream && inPieces(resp) {
		message, err = messagePieces(w, resp, text)
	} else {
		err = readWhole(resp, &message)
	}
	if err != nil || message == nil { // it is nil where the answer is null
		return Answer{}, cmp.Or(err, errors.New("it is null"))
	}
	u := message.Usage
	a := Answer{
		InputTokens:       u.InputTokens + u.CacheCreationInputTokens + u.CacheReadInputTokens,
		CachedInputTokens: u.CacheReadInputTokens,
		OutputTokens:      u.OutputTokens,
		Cut:               cut(string(message.StopReason)),
	}
	for _, block := range message.Content {
		if block.Type == "text" {
			a.Text += block.Text
		}
	}
	if asksForJSON(r) {
		a.Text = withoutFence(a.Text)
	}
	if message.StopReason == anthropic.StopReasonMaxTokens && r.MaxTokens == 0 && strings.TrimSpace(a.Text) != "" {
		return a, &BadAnswer{fmt.Errorf("it was cut at %d tokens, which is the most that is asked for where max_tokens is left out: set max_tokens", most)}
	}
	return a, nil
}

// messagePieces reads an answer that comes piece by piece.
func messagePieces(w *wire, resp *http.Response, text func(string)) (*anthropic.Message, error) {
	stream := ssestream.NewStream[anthropic.MessageStreamEventUnion](ssestream.NewDecoder(resp), nil)
	message := &anthropic.Message{}
	for stream.Next() {
		event := stream.Current()
		if err := message.Accumulate(event); err != nil {
			return nil, err
		}
		if event.Type == "message_stop" {
			return message, nil // the connection may stay open, or break: nothing follows
		}
		if event.Type == "content_block_delta" && event.Delta.Type == "text_delta" {
			text(event.Delta.Text)
		}
	}
	if event, ok := errors.AsType[*anthropic.Error](stream.Err()); ok {
		return nil, w.refusalInStream([]byte(event.RawJSON()))
	}
	if stream.Err() == nil && message.StopReason == "" {
		return nil, errors.New("it ended before it was whole")
	}
	return message, stream.Err()
}

// withoutFence takes off the marks of code that models like to put around JSON.
func withoutFence(text string) string {
	inner, begun := strings.CutPrefix(strings.TrimSpace(text), "```")
	inner, ended := strings.CutSuffix(inner, "```")
	if !begun || !ended {
		return text
	}
	return strings.TrimSpace(strings.TrimPrefix(inner, "json"))
}

package llm

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/shared"

	"nightshift/runner"
	"nightshift/schema"
	"nightshift/spec"
)

// chat is the protocol of OpenAI's chat completions, which most providers speak.
type chat struct{}

func (chat) address(base string) string { return base + "/chat/completions" }

func (chat) refuse(r Request) error {
	if r.ThinkingTokens > 0 && set(r.ReasoningEffort) {
		return errors.New("reasoning_effort and thinking_token_limit exclude one another: leave one out")
	}
	return nil
}

func (chat) body(r Request, p *provider) ([]byte, error) {
	params := openai.ChatCompletionNewParams{Model: r.Model}
	system := r.System
	if r.JSON && r.Schema == nil && !p.onlySchemas && !strings.Contains(strings.ToLower(r.System+r.Prompt), "json") {
		system = andSay(system, onlyJSON) // that mode is refused to who does not speak of JSON
	}
	if system != "" {
		params.Messages = append(params.Messages, openai.SystemMessage(system))
	}
	if len(r.Images) == 0 {
		params.Messages = append(params.Messages, openai.UserMessage(r.Prompt))
	} else {
		var parts []openai.ChatCompletionContentPartUnionParam
		if r.Prompt != "" {
			parts = append(parts, openai.TextContentPart(r.Prompt))
		}
		for _, image := range r.Images {
			parts = append(parts, openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: image.address()}))
		}
		params.Messages = append(params.Messages, openai.UserMessage(parts))
	}
	if r.JSON {
		params.ResponseFormat = responseFormat(r.Schema, p.onlySchemas)
	}
	switch {
	case r.MaxTokens > 0 && p.completionTokens:
		params.MaxCompletionTokens = openai.Int(int64(r.MaxTokens))
	case r.MaxTokens > 0:
		params.MaxTokens = openai.Int(int64(r.MaxTokens))
	}
	if r.Temperature != nil {
		params.Temperature = openai.Float(*r.Temperature)
	}
	if r.TopP != nil {
		params.TopP = openai.Float(*r.TopP)
	}
	if set(r.ReasoningEffort) {
		params.ReasoningEffort = shared.ReasoningEffort(r.ReasoningEffort)
	}
	if set(r.Verbosity) {
		params.Verbosity = openai.ChatCompletionNewParamsVerbosity(r.Verbosity)
	}
	if r.ThinkingTokens > 0 { // Google's only; the member is called so on the wire, too
		params.SetExtraFields(map[string]any{"extra_body": map[string]any{
			"google": map[string]any{"thinking_config": map[string]any{"thinking_budget": r.ThinkingTokens}},
		}})
	}
	return params.MarshalJSON()
}

// address gives an image as a URL, one that holds it where there are bytes.
func (i Image) address() string {
	if i.Data == nil {
		return i.URL
	}
	return "data:" + i.mime() + ";base64," + base64.StdEncoding.EncodeToString(i.Data)
}

func (i Image) mime() string { return cmp.Or(i.MIME, http.DetectContentType(i.Data)) }

// responseFormat asks for JSON. Where any object will do there is a mode for
// that, but for providers that know schemas only.
func responseFormat(fits json.RawMessage, onlySchemas bool) (format openai.ChatCompletionNewParamsResponseFormatUnion) {
	if fits == nil && !onlySchemas {
		format.OfJSONObject = new(shared.NewResponseFormatJSONObjectParam())
		return format
	}
	if fits == nil {
		fits = json.RawMessage(`{"type":"object"}`)
	}
	format.OfJSONSchema = &shared.ResponseFormatJSONSchemaParam{JSONSchema: shared.ResponseFormatJSONSchemaJSONSchemaParam{
		Name: "answer", Schema: fits, Strict: openai.Bool(strict(fits, chatKeywords)),
	}}
	return format
}

// strictKeywords are what a schema may say for a model to be held to it.
// Numbers, sizes and the like are not understood by all.
var (
	strictKeywords = []string{
		"$defs", "$ref", "additionalProperties", "anyOf", "const", "description", "enum", "items", "properties", "required", "title", "type",
	}
	chatKeywords = append([]string{
		"$schema", "definitions", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maximum", "minItems", "minimum", "multipleOf", "pattern",
	}, strictKeywords...)
)

// strictFormats are those that models can be held to.
var strictFormats = []string{"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}

// strict tells whether a schema is one that an answer can be made to fit: an
// object, of which every part is declared and none may be left out.
func strict(whole json.RawMessage, keywords []string) bool {
	var root struct{ Type, AnyOf any }
	return json.Unmarshal(whole, &root) == nil && root.Type == "object" && root.AnyOf == nil && strictPart(whole, keywords)
}

func strictPart(text json.RawMessage, keywords []string) bool {
	var members map[string]json.RawMessage
	var part struct {
		Type                 any
		Required             []string
		AdditionalProperties any
		Properties           map[string]json.RawMessage
		Defs                 map[string]json.RawMessage `json:"$defs"`
		Definitions          map[string]json.RawMessage
		AnyOf                []json.RawMessage
		Items                json.RawMessage
		Format, Pattern      string
	}
	if json.Unmarshal(text, &members) != nil || members == nil || json.Unmarshal(text, &part) != nil {
		return false
	}
	for name := range members {
		if !slices.Contains(keywords, name) {
			return false
		}
	}
	if !slices.ContainsFunc([]string{"type", "enum", "const", "anyOf", "$ref"}, func(name string) bool { return members[name] != nil }) {
		return false
	}
	for name := range part.Properties {
		if !slices.Contains(part.Required, name) {
			return false
		}
	}
	types, several := part.Type.([]any)
	if !several {
		types = []any{part.Type}
	}
	switch {
	case (part.Properties != nil || slices.Contains(types, any("object"))) && part.AdditionalProperties != false,
		slices.Contains(types, any("array")) && part.Items == nil,
		part.Format != "" && !slices.Contains(strictFormats, part.Format),
		strings.Contains(part.Pattern, "(?"): // looks ahead, or has flags
		return false
	}
	parts := slices.Concat(part.AnyOf, slices.Collect(maps.Values(part.Properties)),
		slices.Collect(maps.Values(part.Defs)), slices.Collect(maps.Values(part.Definitions)))
	if part.Items != nil {
		parts = append(parts, part.Items)
	}
	return !slices.ContainsFunc(parts, func(p json.RawMessage) bool { return !strictPart(p, keywords) })
}

func (chat) ask(ctx context.Context, w *wire, r Request, text func(string)) (Answer, error) {
	var resp *http.Response
	options := []option.RequestOption{
		option.WithResponseBodyInto(&resp),
		option.WithBaseURL(w.base), option.WithAPIKey(w.key), option.WithHTTPClient(w.http),
		option.WithMaxRetries(0), option.WithMiddleware(w.send), option.WithRequestBody("application/json", w.body),
	}
	for name, value := range w.headers {
		options = append(options, option.WithHeader(name, value))
	}
	if r.Stream {
		options = append(options, option.WithJSONSet("stream", true), option.WithJSONSet("stream_options.include_usage", true))
	}
	service := openai.NewChatCompletionService(options...)
	if _, err := service.New(ctx, openai.ChatCompletionNewParams{}); err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	if r.Stream && inPieces(resp) {
		return chatPieces(w, resp, text)
	}
	var reply *openai.ChatCompletion
	if err := readWhole(resp, &reply); err != nil || reply == nil { // it is nil where the answer is null
		return Answer{}, cmp.Or(err, errors.New("it is null"))
	}
	a := Answer{}
	countChat(&a, reply.Usage)
	if len(reply.Choices) == 0 {
		if failed, ok := reply.JSON.ExtraFields["error"]; ok { // gateways report errors so
			return a, w.refusalInStream([]byte(`{"error":` + failed.Raw() + `}`))
		}
		return a, nil
	}
	choice := reply.Choices[0]
	a.Text, a.Cut = choice.Message.Content, cut(choice.FinishReason)
	return a, refused(choice.Message.Refusal, a.Text)
}

// chatPieces reads an answer that comes piece by piece.
func chatPieces(w *wire, resp *http.Response, text func(string)) (Answer, error) {
	stream := ssestream.NewStream[openai.ChatCompletionChunk](noNullErrors{ssestream.NewDecoder(resp)}, nil)
	a := Answer{}
	var said, refusal strings.Builder
	finish := ""
	for stream.Next() {
		chunk := stream.Current()
		countChat(&a, chunk.Usage)
		for _, choice := range chunk.Choices {
			said.WriteString(choice.Delta.Content)
			refusal.WriteString(choice.Delta.Refusal)
			text(choice.Delta.Content)
			finish = cmp.Or(choice.FinishReason, finish)
		}
		if finish != "" && len(chunk.Choices) == 0 && chunk.JSON.Usage.Valid() {
			break // the connection may stay open, or break: nothing follows
		}
	}
	a.Text, a.Cut = said.String(), cut(finish)
	if event, ok := errors.AsType[*ssestream.StreamError](stream.Err()); ok {
		return a, w.refusalInStream(event.Event.Data)
	}
	if stream.Err() == nil && finish == "" {
		return a, errors.New("it ended before it was whole")
	}
	err := stream.Err()
	if broken, ok := errors.AsType[*runner.ConnectionError](err); ok && broken.Began && finish != "" {
		err = nil // it is whole, and only what it took is not known
	}
	return a, cmp.Or(err, refused(refusal.String(), a.Text))
}

// noNullErrors takes the error out of chunks that say there is none: the SDK
// would take it for one.
type noNullErrors struct{ ssestream.Decoder }

// nullError matches no text of a model's: quotes in that have a backslash.
var nullError = spec.Pattern(`"error"\s*:\s*null`)

func (d noNullErrors) Event() ssestream.Event {
	event := d.Decoder.Event()
	event.Data = nullError().ReplaceAllLiteral(event.Data, []byte(`"none":null`))
	return event
}

// refused is for models that say in a place of its own that they will not answer.
func refused(refusal, text string) error {
	if refusal == "" || text != "" {
		return nil
	}
	return &BadAnswer{errors.New("it refuses: " + schema.Shorten(refusal, maxMessage))}
}

// countChat reads what an answer took; nothing where the provider does not say.
func countChat(a *Answer, u openai.CompletionUsage) {
	if u.PromptTokens == 0 && u.CompletionTokens == 0 {
		return
	}
	a.InputTokens, a.CachedInputTokens = u.PromptTokens, u.PromptTokensDetails.CachedTokens
	// Some leave thinking out of the completion, but not out of the total.
	a.OutputTokens = max(u.CompletionTokens, u.TotalTokens-u.PromptTokens)
}

package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"

	"nightshift/runner"
	"nightshift/spec"
)

// openAIBatch writes results as OpenAI's Batch API does, one JSON object a line.
// The API has a second file for what failed; here it is among the rest.
type openAIBatch struct{ out *json.Encoder }

func newOpenAIBatch(w io.Writer) *openAIBatch {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	return &openAIBatch{out}
}

type (
	batchLine struct {
		ID       string         `json:"id"`
		CustomID string         `json:"custom_id"`
		Response *batchResponse `json:"response"`
		Error    *batchError    `json:"error"`
	}
	batchResponse struct {
		StatusCode int        `json:"status_code"`
		RequestID  string     `json:"request_id"`
		Body       completion `json:"body"`
	}
	batchError struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	completion struct {
		ID      string           `json:"id"`
		Object  string           `json:"object"`
		Created int64            `json:"created"` // Unix seconds
		Model   string           `json:"model"`
		Choices [1]choice        `json:"choices"`
		Usage   *completionUsage `json:"usage"`
	}
	choice struct {
		Index        int     `json:"index"`
		Message      message `json:"message"`
		LogProbs     *string `json:"logprobs"` // always null
		FinishReason string  `json:"finish_reason"`
	}
	message struct {
		Role    string  `json:"role"`
		Content string  `json:"content"`
		Refusal *string `json:"refusal"` // always null
	}
	completionUsage struct {
		PromptTokens     int64 `json:"prompt_tokens"`
		CompletionTokens int64 `json:"completion_tokens"`
		TotalTokens      int64 `json:"total_tokens"`
	}
)

func (b *openAIBatch) begin() error { return nil }
func (b *openAIBatch) flush() error { return nil }

func (b *openAIBatch) write(r *runner.Result) error {
	sum := sha256.Sum256([]byte(r.Generation + "\x00" + r.Batch + "\x00" + r.ID))
	line := batchLine{ID: "batch_req_" + hex.EncodeToString(sum[:16]), CustomID: r.ID}
	if r.Status != runner.Succeeded {
		line.Error = &batchError{Code: string(r.Status)}
		if r.Error != nil {
			*line.Error = batchError{r.Error.Class, r.Error.Message}
		}
		return b.out.Encode(line)
	}
	line.Response = &batchResponse{StatusCode: 200, RequestID: r.Handle.TraceID, Body: completion{
		ID:      "chatcmpl-" + r.Handle.TaskID,
		Object:  "chat.completion",
		Created: r.FinishedAt.Unix(),
		Model:   r.Handle.PipelineID, // a result does not say which models were asked
		Choices: [1]choice{{Message: message{Role: "assistant", Content: content(r.Outputs)}, FinishReason: "stop"}},
	}}
	if u := r.Usage; u != nil {
		line.Response.Body.Usage = &completionUsage{u.InputTokens, u.OutputTokens, u.InputTokens + u.OutputTokens}
	}
	return b.out.Encode(line)
}

// content is the text of the only output, else all of them as one JSON object.
func content(outputs map[string]any) string {
	if len(outputs) == 1 {
		for _, value := range outputs {
			return spec.Text(value)
		}
	}
	return spec.Text(outputs)
}

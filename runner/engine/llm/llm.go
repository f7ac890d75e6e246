// Package llm asks language models: over the official SDKs, at their providers'
// own endpoints or at any that speaks the same. It keeps answers, knows what
// they cost, and holds calls back where too many are refused.
package llm

import (
	"encoding/json"
	"time"
)

// Request is one question to a model, and all that the answer depends on.
type Request struct {
	Provider string // openai, anthropic, ollama, ...; see [Providers]
	Model    string
	BaseURL  string // "": that of the provider's variable, else its own
	APIKey   string // "": that of the provider's variable

	System string
	Prompt string
	Images []Image

	JSON   bool            // the answer is to be a JSON object
	Schema json.RawMessage // which the object is to fit; nil: any object will do

	MaxTokens       int      // of the answer; 0: the provider's default
	Temperature     *float64 // nil: the provider's default
	TopP            *float64
	ReasoningEffort string // "" or default: the provider's default
	Verbosity       string
	ThinkingTokens  int  // most tokens of thinking; 0: none is asked for
	Stream          bool // let the answer come piece by piece
}

// Image is a picture that goes with a prompt: an address, or its bytes.
type Image struct {
	URL  string
	MIME string // image/png, ...
	Data []byte
}

// Answer is what a model said, and what that took.
type Answer struct {
	Text              string
	InputTokens       int64  // those read from the provider's own cache included
	CachedInputTokens int64  // of these, read from the provider's own cache
	OutputTokens      int64  // thinking included
	Cut               string // why the answer is not whole: length, content_filter, or the provider's own word; "": it is
	FromCache         bool   // kept from an earlier call: nothing was paid now
}

// Call is how a request is made.
type Call struct {
	Since time.Time               // answers that were kept before are not read; zero: all are
	Text  func(piece string)      // takes the answer as it comes, of a stream also when no good comes of it; nil: nobody watches
	Check func(text string) error // says why an answer is of no use; such a one is not kept
}

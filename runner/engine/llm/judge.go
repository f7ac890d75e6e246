package llm

import (
	"errors"
	"fmt"
	"strings"

	"nightshift/schema"
)

// judge says why an answer is of no use.
func judge(a Answer, r Request, call Call) error {
	empty := strings.TrimSpace(a.Text) == ""
	switch {
	case empty && a.Cut == cutLength:
		return &BadAnswer{errors.New("there is no text in it: all tokens went into thinking, or max_tokens is too low")}
	case empty && a.Cut == "":
		return &BadAnswer{errors.New("there is no text in it")}
	case empty:
		return &BadAnswer{fmt.Errorf("there is no text in it: it ended with %q", schema.Shorten(a.Cut, 60))}
	case a.Cut == cutLength && r.JSON:
		return &BadAnswer{errors.New("the JSON is not whole: it was cut at max_tokens")}
	case a.Cut != "" && a.Cut != cutLength:
		return &BadAnswer{fmt.Errorf("it is not whole: it ended with %q", schema.Shorten(a.Cut, 60))}
	case call.Check == nil:
		return nil
	}
	if err := call.Check(a.Text); err != nil {
		return &BadAnswer{err}
	}
	return nil
}

const cutLength = "length"

// cut tells why an answer is not whole, from the word with which it ended; "" is
// for one that is.
func cut(finish string) string {
	switch finish = strings.ToLower(finish); finish {
	case "", "stop", "eos", "eos_token", "end_turn", "stop_sequence":
		return ""
	case "length", "max_tokens", "model_length", "model_context_window_exceeded":
		return cutLength
	case "content_filter", "refusal", "safety":
		return "content_filter"
	}
	return finish // a word that is not known may mean anything
}

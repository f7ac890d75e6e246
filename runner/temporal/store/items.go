package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"nightshift/runner"
	"nightshift/spec"
)

// Item is an item of a pass, and how it stood when it was handed over.
type Item struct {
	ID     string
	Index  int            // place in the batch, from 0
	Inputs map[string]any // input node name to plain value
	Digest string         // of the inputs

	Attempts     int           // starts before
	Usage        *runner.Usage // what those took
	Duplicate    bool          // one of them may have made a second run
	AnswersSince time.Time     // zero: the pass's
}

// ItemOf is what a pass holds of an item that stands like that.
func ItemOf(it spec.Item, s runner.Standing) Item {
	return Item{it.ID, it.Index, it.Inputs, it.Digest, s.Attempts, s.Usage, s.Duplicate, s.AnswersSince}
}

// Spec is the item as its batch has it.
func (it *Item) Spec() spec.Item {
	return spec.Item{ID: it.ID, Index: it.Index, Inputs: it.Inputs, Digest: it.Digest}
}

// Standing is how the item stands.
func (it *Item) Standing() runner.Standing {
	return runner.Standing{Attempts: it.Attempts, Usage: it.Usage, Duplicate: it.Duplicate, AnswersSince: it.AnswersSince}
}

// appendJSON appends the item as one line.
func (it *Item) appendJSON(b []byte) []byte {
	b = spec.AppendJSON(append(b, `{"id":`...), it.ID)
	b = strconv.AppendInt(append(b, `,"index":`...), int64(it.Index), 10)
	b = appendObject(append(b, `,"inputs":`...), it.Inputs)
	b = spec.AppendJSON(append(b, `,"digest":`...), it.Digest)
	if it.Attempts != 0 {
		b = strconv.AppendInt(append(b, `,"attempts":`...), int64(it.Attempts), 10)
	}
	if it.Usage != nil {
		text, _ := json.Marshal((*usage)(it.Usage)) // numbers alone: it cannot fail
		b = append(append(b, `,"usage":`...), text...)
	}
	if it.Duplicate {
		b = append(b, `,"duplicate":true`...)
	}
	if !it.AnswersSince.IsZero() {
		b = it.AnswersSince.UTC().AppendFormat(append(b, `,"answers_since":`...), `"`+time.RFC3339Nano+`"`)
	}
	return append(b, "}\n"...)
}

// parse reads the line of an item.
func (it *Item) parse(text []byte) error {
	var line struct {
		ID           string         `json:"id"`
		Index        int            `json:"index"`
		Inputs       jsontext.Value `json:"inputs"`
		Digest       string         `json:"digest"`
		Attempts     int            `json:"attempts"`
		Usage        *usage         `json:"usage"`
		Duplicate    bool           `json:"duplicate"`
		AnswersSince time.Time      `json:"answers_since"`
	}
	if err := json.Unmarshal(text, &line, json.RejectUnknownMembers(true)); err != nil {
		return err
	}
	inputs, err := parseObject(line.Inputs)
	if err != nil {
		return fmt.Errorf("inputs: %w", err)
	}
	*it = Item{line.ID, line.Index, inputs, line.Digest, line.Attempts, (*runner.Usage)(line.Usage), line.Duplicate, line.AnswersSince.UTC()}
	return nil
}

// usage is a runner.Usage as objects hold it: unlike a result line, to the last bit.
type usage struct {
	InputTokens  int64   `json:"input_tokens"`
	OutputTokens int64   `json:"output_tokens"`
	USD          float64 `json:"usd"`
	Unpriced     bool    `json:"unpriced"`
	Cached       bool    `json:"cached"`
}

// appendObject appends plain values by name; nil is null.
func appendObject(b []byte, object map[string]any) []byte {
	if object == nil {
		return append(b, "null"...)
	}
	return spec.AppendJSON(b, object)
}

// parseObject is the other way round; text may be nil.
func parseObject(text []byte) (map[string]any, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	value, err := spec.ParseJSON(text)
	if err != nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("not an object")
	}
	return object, nil
}

// Items gives the items of a shard, in their order.
func (s *Store) Items(ctx context.Context, key string, shard int) ([]Item, error) {
	object := itemsObject(key, shard)
	text, err := s.get(ctx, object)
	if err != nil {
		return nil, err
	}
	items := make([]Item, bytes.Count(text, []byte("\n")))
	for i := range items {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		if err := items[i].parse(line); err != nil {
			return nil, s.damaged(object, i+1, err)
		}
		text = rest
	}
	if len(text) > 0 {
		return nil, s.damaged(object, len(items)+1, errors.New("the line has no end"))
	}
	return items, nil
}

package store

import (
	"context"
	"encoding/json"
	"time"

	"nightshift/runner"
)

// Pass is what the shards of a pass need beside their items. It is written last: a
// pass without it was never handed over whole.
type Pass struct {
	Bundle       string        `json:"bundle"` // key of the batch file
	Batch        string        `json:"batch"`
	Generation   string        `json:"generation"`
	Pipeline     string        `json:"pipeline"` // digest of the file, as the client computes it
	Shards       int           `json:"shards"`
	Items        int           `json:"items"`
	Rows         int           `json:"rows"`        // of the whole source; -1: not known
	Concurrency  int           `json:"concurrency"` // runs at once in one shard
	Window       int           `json:"window"`      // shards at once
	Deadline     time.Time     `json:"deadline,omitzero"`
	AnswersSince time.Time     `json:"answers_since,omitzero"`
	Before       *runner.Tally `json:"before,omitempty"` // of results that stay; nil: none do
	GoneFailed   int           `json:"gone_failed"`
	Cluster      string        `json:"cluster"` // it was handed over to, in words
}

// Pass gives the pass of that key. One that was not handed over whole is a
// fs.ErrNotExist.
func (s *Store) Pass(ctx context.Context, key string) (*Pass, error) {
	object := passObject(key)
	text, err := s.get(ctx, object)
	if err != nil {
		return nil, err
	}
	var p Pass
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, s.damaged(object, 0, err)
	}
	return &p, nil
}

// Passes gives the keys of all passes over a batch in a generation, also of those
// that were not handed over whole.
func (s *Store) Passes(ctx context.Context, generation, batch string) ([]string, error) {
	folder := passesOf(generation, batch)
	entries, err := s.list(ctx, folder)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, e := range entries {
		if e.folder {
			keys = append(keys, folder+e.name)
		}
	}
	return keys, nil
}

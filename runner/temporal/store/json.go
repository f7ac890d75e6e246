package store

import (
	"context"
	"encoding/json"
)

// putJSON makes an object of what encoding/json makes of v.
func (s *Store) putJSON(ctx context.Context, key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return s.fail("write", key, err)
	}
	return s.put(ctx, key, append(text, '\n'))
}

// getJSON reads an object into v, and gives the plain values that raw parts of it
// hold: their numbers keep all digits.
func (s *Store) getJSON(ctx context.Context, key string, v any, raw ...*json.RawMessage) ([]map[string]any, error) {
	text, err := s.get(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return nil, s.damaged(key, 0, err)
	}
	values := make([]map[string]any, len(raw))
	for i, part := range raw {
		if values[i], err = parseObject(*part); err != nil {
			return nil, s.damaged(key, 0, err)
		}
	}
	return values, nil
}

package store

import (
	"context"
	"encoding/json"

	"nightshift/spec"
)

// PutBundle keeps a batch file for workers, and gives its key. One that is there
// already is not written again.
func (s *Store) PutBundle(ctx context.Context, b *spec.Bundle) (key string, err error) {
	key = BundleKey(b.Digest())
	if there, err := s.exists(ctx, key); there || err != nil {
		return key, err
	}
	return key, s.put(ctx, key, b.AppendJSON(nil))
}

// Bundle gives the batch file of that key.
func (s *Store) Bundle(ctx context.Context, key string) (*spec.Bundle, error) {
	text, err := s.get(ctx, key)
	if err != nil {
		return nil, err
	}
	var b spec.Bundle
	if err := json.Unmarshal(text, &b); err != nil {
		return nil, s.damaged(key, 0, err)
	}
	return &b, nil
}

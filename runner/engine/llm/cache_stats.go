package llm

import (
	"context"
	"fmt"
	"math"
	"os"
	"time"
)

// CacheStats says what a cache holds.
type CacheStats struct {
	Answers int64        `json:"answers"`
	Bytes   int64        `json:"bytes"`           // on the disk
	Oldest  time.Time    `json:"oldest,omitzero"` // zero: there are no answers
	Newest  time.Time    `json:"newest,omitzero"`
	Models  []ModelStats `json:"models"` // by provider and model
}

// ModelStats says what a cache holds of one model.
type ModelStats struct {
	Provider     string `json:"provider"`
	Model        string `json:"model"`
	Answers      int64  `json:"answers"`
	InputTokens  int64  `json:"input_tokens"`
	OutputTokens int64  `json:"output_tokens"`
	Used         int64  `json:"used"` // how often one of its answers was given
}

const cacheStats = `select provider, model, count(*), sum(input_tokens), sum(output_tokens), coalesce(max(times), 0), min(kept), max(kept)
from answers left join uses using (provider, model) group by provider, model order by provider, model`

// Stats counts what the cache holds.
func (c *Cache) Stats() (CacheStats, error) {
	s, err := c.stats()
	if err != nil {
		return CacheStats{}, fmt.Errorf("cannot read the cache %s: %w", c.path, explain(err))
	}
	return s, nil
}

func (c *Cache) stats() (CacheStats, error) {
	_ = c.commit(nil) // the uses of this process; a locked cache can still be read
	s := CacheStats{Models: []ModelStats{}}
	rows, err := c.read.QueryContext(context.Background(), cacheStats)
	if err != nil {
		return s, err
	}
	defer rows.Close()
	for rows.Next() {
		var m ModelStats
		var first, last int64
		if err := rows.Scan(&m.Provider, &m.Model, &m.Answers, &m.InputTokens, &m.OutputTokens, &m.Used, &first, &last); err != nil {
			return s, err
		}
		if oldest := time.UnixMilli(first); s.Answers == 0 || oldest.Before(s.Oldest) {
			s.Oldest = oldest
		}
		if newest := time.UnixMilli(last); newest.After(s.Newest) {
			s.Newest = newest
		}
		s.Answers += m.Answers
		s.Models = append(s.Models, m)
	}
	for _, name := range []string{c.path, c.path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			s.Bytes += info.Size()
		}
	}
	return s, rows.Err()
}

// Clear removes the answers that are older than that, 0: all of them, and gives
// their space back to the file system. It may be called while the cache is in use.
func (c *Cache) Clear(olderThan time.Duration) (removed int, err error) {
	before := int64(math.MaxInt64)
	if olderThan > 0 {
		before = time.Now().Add(-olderThan).UnixMilli()
	}
	_ = c.commit(nil) // uses of what is about to go must not come after it
	if removed, err = c.removeBefore(before); err == nil {
		err = c.shrink()
	}
	if err != nil {
		return removed, fmt.Errorf("cannot clear the cache %s: %w", c.path, explain(err))
	}
	return removed, nil
}

// Steps of what takes long, each a transaction: between them others may write.
const (
	removeStep = 1_000 // answers
	shrinkStep = 1_000 // pages
)

// removeBefore removes the answers kept before a time in milliseconds.
func (c *Cache) removeBefore(before int64) (removed int, err error) {
	for {
		r, err := c.write.ExecContext(context.Background(),
			"delete from answers where id in (select id from answers where kept < ? order by kept limit ?)", before, removeStep)
		if err != nil {
			return removed, err
		}
		n, err := r.RowsAffected()
		if removed += int(n); err != nil || n < removeStep {
			return removed, err
		}
	}
}

// shrink cuts free pages off the file.
func (c *Cache) shrink() error {
	ctx := context.Background()
	if _, err := c.write.ExecContext(ctx, "delete from uses where (provider, model) not in (select provider, model from answers)"); err != nil {
		return err
	}
	for before := -1; ; {
		var free int
		if err := c.write.QueryRowContext(ctx, "pragma freelist_count").Scan(&free); err != nil {
			return err
		}
		if free == 0 || free == before {
			break
		}
		before = free
		if _, err := c.write.ExecContext(ctx, fmt.Sprintf("pragma incremental_vacuum(%d)", shrinkStep)); err != nil {
			return err
		}
	}
	// Where another process is reading, the file shrinks when that is done.
	_, err := c.write.ExecContext(ctx, "pragma wal_checkpoint(truncate)")
	return err
}

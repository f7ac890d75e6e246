package llm

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"sync"
	"time"
)

// Key stands for a request: the hash of all that its answer depends on.
type Key [32]byte

// Cache keeps answers in a file, so that what was asked once is not paid twice.
// Of a request it holds the key, the provider and the model: no prompt, no
// credential. Several goroutines, and several processes, may use one file at
// once. A nil *Cache keeps nothing.
type Cache struct {
	path        string
	ttl         time.Duration // 0: answers do not age
	write, read *sql.DB       // of one connection each, as every one takes memory
	get, put    *sql.Stmt
	puts        chan *put
	closing     chan struct{}
	written     chan struct{} // closed when the writer has ended
	failed      bool          // the last commit; to be read when written is closed
	close       func() error

	mu   sync.Mutex
	used map[source]int64 // answers given since the last commit
}

// source is who gave an answer.
type source struct{ provider, model string }

// put is an answer on its way into the file.
type put struct {
	key    Key
	from   source
	answer Answer
	done   chan error
}

var errClosed = errors.New("the cache is closed")

// Get gives the answer that was kept under a key, if it was not kept before
// since. Whatever is wrong with the file counts as no answer: the model can be
// asked.
func (c *Cache) Get(key Key, since time.Time) (Answer, bool) {
	if c == nil {
		return Answer{}, false
	}
	var (
		from             source
		kept, nanos, sum int64
		a                = Answer{FromCache: true}
	)
	err := c.get.QueryRowContext(context.Background(), key[:]).
		Scan(&from.provider, &from.model, &a.InputTokens, &a.CachedInputTokens, &a.OutputTokens, &kept, &nanos, &sum, &a.Text)
	if err != nil || kept < c.oldest() || time.UnixMilli(kept).Add(time.Duration(nanos)).Before(since) || sum != checksum(key, a) {
		return Answer{}, false
	}
	c.mu.Lock()
	c.used[from]++
	c.mu.Unlock()
	return a, true
}

// Put keeps the answer to a request under its key, in place of one that is
// there. When it returns nil, the answer survives a kill of the process. An answer
// that was cut short is not kept.
func (c *Cache) Put(ctx context.Context, key Key, r Request, a Answer) error {
	if c == nil || a.Cut != "" {
		return nil
	}
	p := &put{key: key, from: source{r.Provider, r.Model}, answer: a, done: make(chan error, 1)}
	err := errClosed
	select {
	case c.puts <- p:
		select {
		case err = <-p.done:
		case <-ctx.Done(): // it may yet be kept
			err = ctx.Err()
		}
	case <-c.closing:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("cannot keep an answer in %s: %w", c.path, explain(err))
	}
	return nil
}

// Close ends the use of the file, when the puts that are under way are done.
func (c *Cache) Close() error {
	if c == nil {
		return nil
	}
	return c.close()
}

func (c *Cache) end() error {
	close(c.closing)
	<-c.written
	if !c.failed { // or it would wait for the lock once more
		_ = c.commit(nil) // how often answers were used: nothing that is missed
	}
	if err := errors.Join(c.read.Close(), c.write.Close()); err != nil {
		return fmt.Errorf("cannot close the cache %s: %w", c.path, explain(err))
	}
	return nil
}

// maxGroup is how many puts one transaction takes.
const maxGroup = 256

// writer commits puts in groups: those that come in while one group is on its
// way to the disk make up the next.
func (c *Cache) writer() {
	defer close(c.written)
	group := make([]*put, 0, maxGroup)
	for {
		select {
		case p := <-c.puts:
			group = append(group, p)
		case <-c.closing:
			return
		}
		runtime.Gosched() // those whose put has just been done may have the next at hand
		for more := true; more && len(group) < maxGroup; {
			select {
			case p := <-c.puts:
				group = append(group, p)
			default:
				more = false
			}
		}
		err := c.commit(group)
		c.failed = err != nil
		for _, p := range group {
			p.done <- err
		}
		clear(group)
		group = group[:0]
	}
}

// commit writes a group of puts, and how often answers were used since the last
// time, in one transaction.
func (c *Cache) commit(group []*put) error {
	c.mu.Lock()
	used := c.used
	c.used = map[source]int64{}
	c.mu.Unlock()
	if len(group) == 0 && len(used) == 0 {
		return nil
	}
	ctx := context.Background()
	tx, err := c.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	insert, now := tx.StmtContext(ctx, c.put), time.Now()
	for _, p := range group {
		a := p.answer
		_, err := insert.ExecContext(ctx, p.key[:], p.from.provider, p.from.model,
			a.InputTokens, a.CachedInputTokens, a.OutputTokens, now.UnixMilli(), now.Nanosecond()%1e6, checksum(p.key, a), a.Text)
		if err != nil {
			return err
		}
	}
	for from, times := range used {
		if _, err := tx.ExecContext(ctx, countUses, from.provider, from.model, times); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// oldest is when an answer must have been kept to be good still, in milliseconds.
func (c *Cache) oldest() int64 {
	if c.ttl <= 0 {
		return 0
	}
	return time.Now().Add(-c.ttl).UnixMilli()
}

// checksum finds what the database does not: bytes of a row that have changed.
func checksum(key Key, a Answer) int64 {
	b := make([]byte, 0, 64)
	b = append(b, key[:]...)
	for _, n := range []int64{a.InputTokens, a.CachedInputTokens, a.OutputTokens} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	sum := crc32.Update(0, crc32.IEEETable, b)
	return int64(crc32.Update(sum, crc32.IEEETable, []byte(a.Text)))
}

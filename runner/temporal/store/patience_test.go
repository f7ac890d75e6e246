package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// TestBucketHangs are calls to what accepts and never answers.
func TestBucketHangs(t *testing.T) {
	credentials(t, "key")
	backend := s3mem.New()
	fine(t, backend.CreateBucket("bucket"))
	answers := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	var hangs atomic.Bool
	over := make(chan struct{})
	query := serving(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hangs.Load() {
			answers.ServeHTTP(w, r)
			return
		}
		<-over
	}))
	t.Cleanup(func() { close(over) })
	const wait = 100 * time.Millisecond
	u, err := url.Parse("s3://bucket" + query)
	fine(t, err)
	b, err := openBucket(t.Context(), u, time.Minute)
	fine(t, err)
	b.wait = wait
	s := &Store{"s3://bucket", b}
	putItems(t, s, 1)
	k := sinkOf(t, s, 1)
	hangs.Store(true)
	ctx := t.Context()
	for what, test := range map[string]struct {
		call func() error
		says string
	}{
		"open": {func() error {
			_, err := openBucket(ctx, u, wait)
			return s.fail("open it", "", err)
		}, "open it"},
		"get":    {func() error { _, err := s.Pass(ctx, passKey); return err }, "read passes/g/b/n/pass.json"},
		"list":   {func() error { _, err := s.Passes(ctx, "g", "b"); return err }, "list passes/g/b/"},
		"put":    {func() error { k.Record(result("i1", 1e9)); _, err := k.Commit(); return err }, "write passes/g/b/n/results/000001/0001-"},
		"exists": {func() error { _, err := s.exists(ctx, "specs/a.json"); return err }, "read specs/a.json"},
		"remove": {func() error { return s.fail("remove", "runs/r", b.remove(ctx, "runs/r")) }, "remove runs/r"},
		"forget": {func() error { return s.Forget(ctx, passKey) }, "remove passes/g/b/n"},
		"large": {func() error {
			return s.PutFile(ctx, "runs/r", "a", strings.NewReader(strings.Repeat("x", 80<<20)))
		}, "write runs/r/files/"},
	} {
		t.Run(what, func(t *testing.T) {
			begun := time.Now()
			says(t, what, test.call(), "store s3://bucket: cannot "+test.says, ": no answer within 100ms; see whether it can be reached from here")
			if took := time.Since(begun); took < wait {
				t.Errorf("it waited %v only", took)
			}
		})
	}
	// Who is cancelled does not wait, and is told another thing.
	b.wait = time.Hour
	s = &Store{"s3://bucket", b}
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, err = s.Pass(short, passKey)
	says(t, "cancelled", err, "context deadline exceeded")
	want(t, "wait of what is opened", longestWait, time.Minute)
}

// TestBucketTrickles is an object that comes in pieces, until it stops.
func TestBucketTrickles(t *testing.T) {
	credentials(t, "key")
	const piece, pieces = 100, 8
	over := make(chan struct{})
	query := serving(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("list-type") {
			_, _ = io.WriteString(w, `<?xml version="1.0"?><ListBucketResult></ListBucketResult>`)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(piece*pieces))
		w.Header().Set("Last-Modified", "Mon, 01 Jan 2024 00:00:00 GMT")
		for i := range pieces {
			if i == pieces-1 && strings.HasSuffix(r.URL.Path, "stops.json") {
				<-over
				return
			}
			_, _ = w.Write(make([]byte, piece))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(50 * time.Millisecond)
		}
	}))
	t.Cleanup(func() { close(over) })
	u, err := url.Parse("s3://bucket" + query)
	fine(t, err)
	const wait = 300 * time.Millisecond // less than all pieces take
	b, err := openBucket(t.Context(), u, wait)
	fine(t, err)
	s := &Store{"s3://bucket", b}
	text, err := s.get(t.Context(), "specs/goeson.json")
	fine(t, err)
	want(t, "bytes", len(text), piece*pieces)
	_, err = s.get(t.Context(), "specs/stops.json")
	says(t, "stops", err, "cannot read specs/stops.json: no answer within 300ms")
}

// TestFolderHangs reads a pipe that nobody writes to: a mount whose server is away is
// like it.
func TestFolderHangs(t *testing.T) {
	s := open(t)
	f, err := openFolder(s.String(), 50*time.Millisecond)
	fine(t, err)
	s = &Store{s.String(), f}
	path := filepath.Join(s.String(), passObject(passKey))
	fine(t, os.MkdirAll(filepath.Dir(path), 0o700))
	fine(t, syscall.Mkfifo(path, 0o600))
	_, err = s.Pass(t.Context(), passKey)
	says(t, "get", err, "store "+s.String()+": cannot read passes/g/b/n/pass.json: no answer within 50ms; see whether")
	pipe, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0) // for the call that was left behind
	fine(t, err)
	fine(t, pipe.Close())
}

// TestWritesHang writes more than a pipe takes. What is written is the caller's again,
// though the write was left behind.
func TestWritesHang(t *testing.T) {
	r, w, err := os.Pipe()
	fine(t, err)
	defer w.Close()
	file := &writtenFile{newCalls(50 * time.Millisecond), w, nil}
	text := bytes.Repeat([]byte("x"), 1<<20)
	n, err := file.Write(text)
	clear(text)
	if _, late := errors.AsType[noAnswer](err); !late || n >= len(text) {
		t.Error(n, err)
	}
	left := make([]byte, mostWritten)
	_, err = io.ReadFull(r, left)
	fine(t, err)
	want(t, "bytes that were changed", bytes.Count(left, []byte{0}), 0)
	fine(t, r.Close())
}

// TestAwait are calls to a file system that hang: not more than a number of them do.
func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCalls(time.Minute)
		back := make(chan struct{})
		hanging := 0
		for range mostCalls + 10 {
			go func() {
				err := awaitError(c, func() error { hanging++; <-back; hanging--; return nil })
				if !errors.Is(err, noAnswer(time.Minute)) || err.Error() != "no answer within 1m0s" {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		want(t, "hang", hanging, mostCalls)
		time.Sleep(time.Hour)
		want(t, "hang", hanging, mostCalls)
		for range mostCalls {
			back <- struct{}{}
			synctest.Wait()
		}
		n, err := await(c, func() (int, error) { time.Sleep(time.Second); return 7, nil })
		fine(t, err)
		want(t, "value", n, 7)
	})
}

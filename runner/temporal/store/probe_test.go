package store

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"nightshift/runner"
)

// TestProbe leaves nothing, and sees nothing of what is there.
func TestProbe(t *testing.T) {
	bucket, err := Open(t.Context(), "s3://bucket/prefix"+s3Query(t))
	fine(t, err)
	for _, s := range []*Store{open(t), bucket} {
		fine(t, s.Probe(t.Context(), passKey, 1))
		want(t, "objects", len(objectsOf(t, s)), 0)
		record(t, sinkOf(t, s, 1), result("i1", 1e9))
		fine(t, s.Probe(t.Context(), passKey, 1))
		want(t, "objects", len(objectsOf(t, s)), 1)
	}
}

// TestProbeFails is where results cannot be written, but everything else can.
func TestProbeFails(t *testing.T) {
	check := func(s *Store, texts ...string) {
		t.Helper()
		err := s.Probe(t.Context(), passKey, 1)
		says(t, "probe", err, texts...)
		if e, ok := errors.AsType[*runner.ResultsError](err); !ok || e.Path != resultsFolder(passKey, 1) {
			t.Errorf("it is no error of results: %#v", err)
		}
	}
	s := open(t)
	putItems(t, s, 1)
	fine(t, os.WriteFile(filepath.Join(s.String(), passKey, "results"), nil, 0o600))
	check(s, "cannot write passes/g/b/n/results/000001/probe-", "not a directory")

	credentials(t, "key")
	backend := s3mem.New()
	fine(t, backend.CreateBucket("bucket"))
	answers := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	var refused atomic.Value
	refused.Store(http.MethodPut)
	query := serving(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != refused.Load() || !strings.Contains(r.URL.Path, "/results/") {
			answers.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>No</Message></Error>`)
	}))
	s, err := Open(t.Context(), "s3://bucket"+query)
	fine(t, err)
	putItems(t, s, 1)
	check(s, "store s3://bucket: cannot write passes/g/b/n/results/000001/probe-", "AccessDenied: No; the credentials have to allow", "s3:PutObject")

	// A probe that cannot be removed is no result.
	refused.Store(http.MethodDelete)
	fine(t, s.Probe(t.Context(), passKey, 1))
	want(t, "objects", len(objectsOf(t, s)), 1)
	ids, whole := resultsOf(t, s)
	want(t, "results", len(ids), 0)
	want(t, "whole", whole, false)
	found, err := s.ListResults(t.Context(), passKey, 1)
	fine(t, err)
	want(t, "size", found.Size, int64(0))
	want(t, "sum", finish(t, sinkOf(t, s, 1)).Items, 0)
}

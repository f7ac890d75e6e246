package store

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// credentials sets those of the environment, and hides those of this machine.
func credentials(t *testing.T, key string) {
	t.Helper()
	none := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": key, "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
		"AWS_CONFIG_FILE": none, "AWS_SHARED_CREDENTIALS_FILE": none, "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
	} {
		t.Setenv(name, value)
	}
}

// s3Query serves a bucket named bucket, and gives the query that leads there.
func s3Query(t *testing.T) string {
	t.Helper()
	credentials(t, "key")
	backend := s3mem.New()
	fine(t, backend.CreateBucket("bucket"))
	return serving(t, gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
}

func serving(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return "?region=eu-central-1&endpoint=" + server.URL
}

// TestS3 does all that a batch and a run do, in a bucket and beside another store in it.
func TestS3(t *testing.T) {
	query := s3Query(t)
	for _, prefix := range []string{"", "/pre/fix/"} {
		s, err := Open(t.Context(), "s3://bucket"+prefix+query)
		fine(t, err)
		want(t, "name", s.String(), "s3://bucket"+strings.TrimSuffix(prefix, "/"))
		everything(t, s)
		fine(t, s.Close())
	}
}

// TestEverything is the same in a folder.
func TestEverything(t *testing.T) { everything(t, open(t)) }

func everything(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	putItems(t, s, 3)
	key := "passes/g/b/n2"
	w := s.PassWriter(ctx, key, 2)
	for i := range 5 {
		fine(t, w.Add(ctx, Item{ID: fmt.Sprint("i", i), Inputs: map[string]any{"x": strings.Repeat("x", 1000)}}))
	}
	fine(t, w.Close(ctx, Pass{Batch: "b"}))
	p, err := s.Pass(ctx, key)
	fine(t, err)
	want(t, "pass", p, &Pass{Batch: "b", Items: 5, Shards: 3})
	passes, err := s.Passes(ctx, "g", "b")
	fine(t, err)
	want(t, "passes", passes, []string{passKey, key})
	// A killed client leaves items without a pass.
	left := "passes/g/b/n3"
	fine(t, s.put(ctx, itemsObject(left, 1), []byte("{}\n")))
	passes, err = s.Passes(ctx, "g", "b")
	fine(t, err)
	want(t, "passes", passes, []string{passKey, key, left})
	fine(t, s.Forget(ctx, left))
	passes, err = s.Passes(ctx, "g", "other")
	fine(t, err)
	want(t, "passes", len(passes), 0)
	items, err := s.Items(ctx, key, 3)
	fine(t, err)
	want(t, "items", len(items), 1)

	k := sinkOf(t, s, 1)
	for i := range 20 {
		record(t, k, result(fmt.Sprint("i", i+1), 1e9))
	}
	want(t, "objects", len(objectsOf(t, s)), 20)
	big := result("big", 1e9)
	big.Outputs = map[string]any{"text": strings.Repeat("x", 9<<20)}
	record(t, k, big)
	k = sinkOf(t, s, 2)
	want(t, "done", k.Done("i20"), true)
	record(t, k, result("i21", 0))
	want(t, "sum", finish(t, k).Items, 22)
	want(t, "sum", finish(t, k).Items, 22)
	want(t, "objects", objectsOf(t, s), []string{"whole.jsonl"})
	ids, whole := resultsOf(t, s)
	want(t, "ids", ids[:3], []string{"i1", "i2", "i3"})
	want(t, "ids", len(ids), 22)
	want(t, "whole", whole, true)
	text, whole, err := s.Results(ctx, key, 1)
	fine(t, err)
	if text != nil || whole {
		t.Errorf("%q, %v", text, whole)
	}

	run := RunKey("run-1")
	fine(t, s.PutRun(ctx, run, &Run{PipelineID: "p"}))
	_, err = s.RunEnd(ctx, run)
	says(t, "end", err, "store "+s.String()+": there is no runs/run-1/end.json")
	fine(t, s.PutFile(ctx, run, "a/b", strings.NewReader(strings.Repeat("y", 9<<20))))
	fine(t, s.PutFile(ctx, run, "empty", strings.NewReader("")))
	file, err := s.File(ctx, run, "a/b")
	fine(t, err)
	want(t, "file", len(file), 9<<20)
	file, err = s.File(ctx, run, "empty")
	fine(t, err)
	want(t, "file", len(file), 0)

	for _, key := range []string{passKey, key, run} {
		fine(t, s.Forget(ctx, key))
		fine(t, s.Forget(ctx, key))
	}
	for _, folder := range []string{"passes/", "runs/"} {
		entries, err := s.list(ctx, folder)
		fine(t, err)
		want(t, folder, len(entries), 0)
	}
	fine(t, s.objects.remove(ctx, "specs/none"))
}

// TestS3Half is a write that ends in the middle.
func TestS3Half(t *testing.T) {
	s, err := Open(t.Context(), "s3://bucket"+s3Query(t))
	fine(t, err)
	for _, size := range []int{10, 20 << 20} {
		err = s.PutFile(t.Context(), "runs/r", "a", &brokenReader{strings.NewReader(strings.Repeat("x", size))})
		says(t, "put", err, "cannot write runs/r/files/", "it broke")
		_, err = s.File(t.Context(), "runs/r", "a")
		says(t, "file", err, "there is no runs/r/files/")
	}
}

type brokenReader struct{ *strings.Reader }

func (r *brokenReader) Read(b []byte) (int, error) {
	if r.Len() == 0 {
		return 0, fmt.Errorf("it broke")
	}
	return r.Reader.Read(b)
}

// WriteTo is hidden: it would not break.
func (r *brokenReader) WriteTo() {}

func TestS3Refuses(t *testing.T) {
	query := s3Query(t)
	_, err := Open(t.Context(), "s3://other/prefix"+query)
	says(t, "bucket", err, "store s3://other/prefix: cannot open it: NoSuchBucket", "; make the bucket, or correct its name")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fine(t, err)
	fine(t, listener.Close())
	_, err = Open(t.Context(), "s3://bucket?region=x&endpoint=http://"+listener.Addr().String())
	says(t, "endpoint", err, "store s3://bucket: cannot open it: dial tcp "+listener.Addr().String(), "connection refused; see whether endpoint and region")

	_, err = Open(t.Context(), "s3://bucket")
	says(t, "region", err, "the region is not known, or none; write it into the address, as in s3://bucket/prefix?region=eu-central-1, or set AWS_REGION")

	for code, advice := range map[string]string{
		"AccessDenied": "the credentials have to allow s3:ListBucket", "InvalidAccessKeyId": "set AWS_ACCESS_KEY_ID", "SignatureDoesNotMatch": "set AWS_ACCESS_KEY_ID",
	} {
		query := serving(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>No</Message></Error>`, code)
		}))
		_, err = Open(t.Context(), "s3://bucket"+query)
		says(t, code, err, "cannot open it: "+code+": No; "+advice)
	}

	credentials(t, "")
	_, err = Open(t.Context(), "s3://bucket"+query)
	says(t, "credentials", err, "store s3://bucket: cannot open it: there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
}

// TestS3Goes is a bucket that is removed under a store.
func TestS3Goes(t *testing.T) {
	credentials(t, "key")
	backend := s3mem.New()
	fine(t, backend.CreateBucket("bucket"))
	s, err := Open(t.Context(), "s3://bucket"+serving(t, gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()))
	fine(t, err)
	k := sinkOf(t, s, 1)
	fine(t, backend.DeleteBucket("bucket"))
	k.Record(result("i1", 1e9))
	_, err = k.Commit()
	says(t, "commit", err, "cannot write passes/g/b/n/results/000001/0001-", "NoSuchBucket", "make the bucket")
	_, err = s.Pass(t.Context(), passKey)
	says(t, "pass", err, "cannot read passes/g/b/n/pass.json: NoSuchBucket")
	_, _, err = s.Results(t.Context(), passKey, 1)
	says(t, "results", err, "cannot list passes/g/b/n/results/000001/: NoSuchBucket")
}

package store

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// TestChecksums asks none of an endpoint that is not Amazon's, and warns of none,
// unless the address says so.
func TestChecksums(t *testing.T) {
	credentials(t, "key")
	backend := s3mem.New()
	fine(t, backend.CreateBucket("bucket"))
	answers := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	var mu sync.Mutex
	sent, asked := 0, 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		for name := range r.Header {
			switch name = strings.ToLower(name); {
			case name == "x-amz-checksum-mode":
				asked++
			case strings.HasPrefix(name, "x-amz-checksum-"), name == "x-amz-trailer":
				sent++
			}
		}
		mu.Unlock()
		answers.ServeHTTP(w, r)
	}))
	defer server.Close()
	stderr, err := os.Create(t.TempDir() + "/stderr")
	fine(t, err)
	defer func(was *os.File) { os.Stderr = was; stderr.Close() }(os.Stderr)
	os.Stderr = stderr
	for _, test := range []struct {
		environment, query string
		sent, asked        bool
	}{
		{"", "&endpoint=" + server.URL, false, false},
		{server.URL, "&use_path_style=true", false, false},
		{"", "&response_checksum_validation=when_supported&endpoint=" + server.URL, false, true},
		{"", "&request_checksum_calculation=when_supported&endpoint=" + server.URL, true, false},
	} {
		t.Setenv("AWS_ENDPOINT_URL", test.environment)
		sent, asked = 0, 0
		s, err := Open(t.Context(), "s3://bucket?region=eu-central-1"+test.query)
		fine(t, err)
		putItems(t, s, 1)
		_, err = s.Items(t.Context(), passKey, 1)
		fine(t, err)
		fine(t, s.PutFile(t.Context(), "runs/r", "a", strings.NewReader(strings.Repeat("x", 9<<20))))
		want(t, test.query+" sent", sent > 0, test.sent)
		want(t, test.query+" asked", asked > 0, test.asked)
		fine(t, s.Close())
	}
	text, err := os.ReadFile(stderr.Name())
	fine(t, err)
	want(t, "stderr", string(text), "")
}

func TestOfAmazon(t *testing.T) {
	for endpoint, amazon := range map[string]bool{
		"https://s3.eu-central-1.amazonaws.com": true, "https://bucket.vpce-1.s3.eu-central-1.vpce.amazonaws.com:443/": true,
		"https://s3.cn-north-1.amazonaws.com.cn": true, "https://s3.us-east-1.api.aws": true,
		"http://127.0.0.1:9000": false, "https://amazonaws.com.example.org": false, "https://notamazonaws.com": false, "://": false,
	} {
		want(t, endpoint, ofAmazon(endpoint), amazon)
	}
}

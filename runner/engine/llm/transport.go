package llm

import (
	"net"
	"net/http"
	"time"
)

// How long a call is waited for. A run may have less time, or more.
const (
	answerWait  = 20 * time.Minute // until its answer begins; one that is not streamed begins when it is whole
	callTimeout = time.Hour        // until its answer is whole, however it trickles
)

// newTransport holds on to as many connections as there are calls in flight.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 1024 // idle ones end by IdleConnTimeout
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	t.ResponseHeaderTimeout = answerWait
	// An answer may take long, so a dead connection must be found by other means.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second}
	return t
}

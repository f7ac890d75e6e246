package temporal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"google.golang.org/grpc/codes"

	"nightshift/runner"
)

// statuses are those of HTTP that say the same as codes of gRPC. Codes that are not
// among them tell nothing of the other side, or that there was no answer.
var statuses = map[codes.Code]int{
	codes.InvalidArgument:    http.StatusBadRequest,
	codes.FailedPrecondition: http.StatusBadRequest,
	codes.OutOfRange:         http.StatusBadRequest,
	codes.Unimplemented:      http.StatusBadRequest, // by an old server: it will not learn it
	codes.Unauthenticated:    http.StatusUnauthorized,
	codes.PermissionDenied:   http.StatusForbidden,
	codes.NotFound:           http.StatusNotFound,
	codes.AlreadyExists:      http.StatusConflict,
	codes.ResourceExhausted:  http.StatusTooManyRequests,
	codes.Internal:           http.StatusInternalServerError,
	codes.DataLoss:           http.StatusInternalServerError,
	codes.Aborted:            http.StatusServiceUnavailable,
}

// failure makes an error of a call one of package runner, which knows what may pass
// and what may not. Method is a word for what the call was to do.
func (c *Client) failure(ctx context.Context, method string, err error) error {
	if err == nil {
		return nil
	}
	if done := ctx.Err(); done != nil {
		return &runner.ConnectionError{Method: method, Endpoint: c.address, Timeout: errors.Is(done, context.DeadlineExceeded), Err: done}
	}
	status := serviceerror.ToStatus(err)
	switch code := status.Code(); code {
	case codes.Unavailable:
		return &runner.ConnectionError{Method: method, Endpoint: c.address, Err: errors.New(plainWords(status.Message()))}
	case codes.DeadlineExceeded, codes.Canceled: // the SDK's own limit
		return &runner.ConnectionError{Method: method, Endpoint: c.address, Timeout: true, Err: errors.New("no answer in time")}
	default:
		answered, known := statuses[code]
		if !known {
			return fmt.Errorf("%s %s: %w", method, c.address, err)
		}
		e := &runner.APIError{StatusCode: answered, Method: method, Endpoint: c.address, Message: runner.Quote(plainWords(status.Message()))}
		c.explain(e, err)
		return e
	}
}

// explain says more of answers that a user can do something about.
func (c *Client) explain(e *runner.APIError, err error) {
	if missing, ok := errors.AsType[*serviceerror.NamespaceNotFound](err); ok {
		e.StatusCode = http.StatusBadRequest // a 404 would say that there is no such run
		e.Message = fmt.Sprintf("there is no namespace %q: create it with \"temporal operator namespace create --namespace %s\", or name another one with --namespace or TEMPORAL_NAMESPACE", missing.Namespace, missing.Namespace)
	}
	if full, ok := errors.AsType[*serviceerror.ResourceExhausted](err); ok {
		switch full.Cause {
		case enums.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT, enums.RESOURCE_EXHAUSTED_CAUSE_APS_LIMIT, enums.RESOURCE_EXHAUSTED_CAUSE_PERSISTENCE_LIMIT:
			e.Limits = runner.LimitsRate
		case enums.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT:
			e.Limits = runner.LimitsConcurrency
		}
	} else if e.StatusCode == http.StatusTooManyRequests { // gRPC's own: a message that is too large stays it
		e.StatusCode = http.StatusRequestEntityTooLarge
	}
}

// unconnected is an error of the first calls, with what can be done about it.
func (c *Client) unconnected(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return c.failure(ctx, "connect", err)
	}
	failed, ok := errors.AsType[*runner.ConnectionError](c.failure(context.WithoutCancel(ctx), "connect", err))
	if !ok {
		return c.failure(context.WithoutCancel(ctx), "connect", err)
	}
	advice := "start a server there (\"temporal server start-dev\" is one for development), or say with --address or TEMPORAL_ADDRESS where there is one"
	said := failed.Err.Error()
	switch {
	case failed.Timeout:
		said = fmt.Sprintf("no answer within %v", dialWithin)
	case strings.Contains(said, "server preface"), strings.Contains(said, "first record does not look like a TLS handshake"):
		advice = "does it speak TLS, and do you, or neither? see --tls and TEMPORAL_TLS"
	case strings.Contains(said, "x509"), strings.Contains(said, "certificate"):
		advice = "see --tls-ca-path, --tls-cert-path, --tls-key-path and --tls-server-name, or the variables TEMPORAL_TLS_*"
	}
	failed.Unsent = true
	failed.Err = fmt.Errorf("%s: %s", said, advice)
	return failed
}

// plainWords are those of an error of gRPC without what it puts before them.
func plainWords(said string) string {
	if _, inner, found := strings.Cut(said, `desc = "`); found {
		said = strings.TrimSuffix(inner, `"`)
	}
	for _, before := range []string{"connection error: ", "transport: ", "Error while dialing: ", "authentication handshake failed: "} {
		said = strings.TrimPrefix(said, before)
	}
	return said
}

// isAway tells whether an error says that the server could not be asked, or has too
// much to do: it may answer later.
func isAway(err error) bool {
	if _, ok := errors.AsType[*runner.ConnectionError](err); ok {
		return true
	}
	api, ok := errors.AsType[*runner.APIError](err)
	return ok && api.Transient()
}

// isMissing tells whether an error says that there is no such thing.
func isMissing(err error) bool {
	_, ok := errors.AsType[*runner.NotFoundError](err)
	return ok
}

package store

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// openBucket looks whether the bucket is there, and may be read. An answer of it may
// take as long as wait.
func openBucket(ctx context.Context, address *url.URL, wait time.Duration) (bucket, error) {
	b := bucket{wait: wait}
	err := b.within(ctx, func(ctx context.Context) (err error) {
		if b.blobs, err = connect(ctx, address); err != nil {
			return err
		}
		_, _, err = b.blobs.ListPage(ctx, blob.FirstPageToken, 1, nil)
		return err
	})
	if err != nil && b.blobs != nil {
		b.blobs.Close()
	}
	return b, err
}

// connect asks nobody yet.
func connect(ctx context.Context, address *url.URL) (*blob.Bucket, error) {
	query := address.Query()
	if query.Has("endpoint") && !query.Has("use_path_style") {
		query.Set("use_path_style", "true") // few of the others give each bucket a host of its own
	}
	u := url.URL{Scheme: address.Scheme, Host: address.Host, RawQuery: query.Encode()}
	var opener s3blob.URLOpener
	blobs, err := opener.OpenBucketURL(ctx, &u)
	if err != nil {
		return nil, cmp.Or(errors.Unwrap(err), err) // without the address
	}
	if blobs, err = adapt(ctx, blobs, u.Host, query, opener.Options); err != nil {
		return nil, err
	}
	if prefix := strings.Trim(address.Path, "/"); prefix != "" {
		blobs = blob.PrefixedBucket(blobs, prefix+"/")
	}
	return blobs, nil
}

// adapt opens a bucket again with settings that no address takes. The SDK writes
// nothing to stderr; and of what is not Amazon's no checksums are asked, which many do
// not know, unless the address says something about them.
func adapt(ctx context.Context, blobs *blob.Bucket, name string, query url.Values, options s3blob.Options) (*blob.Bucket, error) {
	var client *s3.Client
	if !blobs.As(&client) {
		return blobs, nil
	}
	o := client.Options()
	o.Logger = logging.Nop{}
	endpoint := cmp.Or(query.Get("endpoint"), aws.ToString(o.BaseEndpoint)) // the second is of the environment
	if endpoint != "" && !ofAmazon(endpoint) {
		if !query.Has("request_checksum_calculation") {
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		}
		if !query.Has("response_checksum_validation") {
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
		options.RequestChecksumCalculation = o.RequestChecksumCalculation
	}
	blobs.Close()
	return s3blob.OpenBucket(ctx, s3.New(o), name, &options)
}

func ofAmazon(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := "." + u.Hostname()
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn") || strings.HasSuffix(host, ".api.aws")
}

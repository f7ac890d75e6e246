package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"syscall"
)

// apiError is what S3 answered.
type apiError interface {
	error
	ErrorCode() string
	ErrorMessage() string
}

// failure is an error that was told: with the store, the key, and what to do.
type failure struct {
	text string
	err  error
}

func (e *failure) Error() string { return e.text }
func (e *failure) Unwrap() error { return e.err }

// fail says what could not be done with the object of that key, or with the store,
// why, and what to do about it.
func (s *Store) fail(do, key string, err error) error {
	if _, told := errors.AsType[*failure](err); told || err == nil {
		return err
	}
	if key != "" && errors.Is(err, fs.ErrNotExist) {
		return &failure{fmt.Sprintf("store %s: there is no %s; it was removed, or this is not the store that the client uses", s.name, key), err}
	}
	if key != "" {
		do += " " + key
	}
	why, advice := explain(err)
	if advice != "" {
		advice = "; " + advice
	}
	return &failure{fmt.Sprintf("store %s: cannot %s: %s%s", s.name, do, why, advice), err}
}

// damaged is the error of an object that does not hold what it should. Line is from 1;
// 0: that of no line.
func (s *Store) damaged(key string, line int, err error) error {
	where := key
	if line > 0 {
		where = fmt.Sprintf("%s, line %d", key, line)
	}
	return &failure{fmt.Sprintf("store %s: %s is damaged, or of another version of nightshift: %v", s.name, where, err), err}
}

// check refuses keys that lead out of the store: they come from payloads.
func (s *Store) check(key string) error {
	if key == "." || !fs.ValidPath(key) || strings.ContainsAny(key, "\\\x00") {
		return fmt.Errorf("store %s: %q is no key of an object", s.name, key)
	}
	return nil
}

// explain tells an error of a folder or a bucket in short, and what to do about it; no
// advice: the error says so itself.
func explain(err error) (why, advice string) {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known.Error(), ""
		}
	}
	if e, ok := errors.AsType[noAnswer](err); ok {
		return e.Error(), "see whether it can be reached from here, and whether it is well"
	}
	if e, ok := errors.AsType[apiError](err); ok && e.ErrorCode() != "" {
		return strings.TrimSuffix(e.ErrorCode()+": "+e.ErrorMessage(), ": "), bucketAdvice[e.ErrorCode()]
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Error(), "see whether endpoint and region of the store are right, and reached from here"
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e.Error(), folderAdvice(e)
	}
	if e, ok := err.(interface{ Unwrap() []error }); ok && len(e.Unwrap()) > 0 { //nolint:errorlint // the outermost alone: that of gocloud.dev
		err = e.Unwrap()[0]
	}
	why = err.Error()
	switch {
	case strings.Contains(why, "get credentials"), strings.Contains(why, "cached credentials"):
		return "there are no credentials", credentialsAdvice
	case strings.Contains(why, "Missing Region"), strings.Contains(why, "Invalid region"):
		return "the region is not known, or none", "write it into the address, as in s3://bucket/prefix?region=eu-central-1, or set AWS_REGION"
	}
	return why, ""
}

func folderAdvice(err syscall.Errno) string {
	switch {
	case errors.Is(err, fs.ErrPermission), err == syscall.EROFS:
		return "make the folder readable and writable for this user, or name another store"
	case err == syscall.ENOSPC, err == syscall.EDQUOT:
		return "make room on its disk; what was written before is whole"
	case err == syscall.ENOTDIR:
		return "a store is a folder"
	}
	return ""
}

const credentialsAdvice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, here and for each worker"

// bucketAdvice is what to do about errors of S3, by their codes.
var bucketAdvice = map[string]string{
	"NoSuchBucket":                 "make the bucket, or correct its name",
	"AccessDenied":                 "the credentials have to allow s3:ListBucket of the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject of what is in it",
	"Forbidden":                    "the credentials have to allow s3:ListBucket of the bucket, and s3:GetObject, s3:PutObject and s3:DeleteObject of what is in it",
	"InvalidAccessKeyId":           credentialsAdvice,
	"SignatureDoesNotMatch":        credentialsAdvice,
	"ExpiredToken":                 "renew the credentials",
	"PermanentRedirect":            "the bucket is in another region: write region= into the address of the store",
	"AuthorizationHeaderMalformed": "the bucket is in another region: write region= into the address of the store",
}

// withoutURL is the error of a URL without the URL, which may hold a secret.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

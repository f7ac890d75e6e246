package spec

import (
	"strings"
	"testing"
)

func TestCheckStore(t *testing.T) {
	for store, wrong := range map[string]string{
		"":                                "it is empty",
		"store":                           "",
		"../shared/store":                 "",
		"/shared/a b":                     "",
		"/shared/~":                       "",
		"~":                               "write the whole path",
		"~/store":                         "write the whole path",
		"~night/store":                    "write the whole path",
		"file:///shared":                  "",
		"file://localhost/shared":         "",
		"file://shared/store":             "a folder is written as /folder",
		"file:///shared?a=b":              "a folder is written as /folder",
		"file://":                         "a folder is written as /folder",
		"s3://bucket":                     "",
		"s3://bucket/prefix":              "",
		"s3://bucket?region=eu-west-1":    "",
		"s3://b/p?endpoint=http://h:9000": "",
		"s3://":                           "the bucket is missing",
		"s3:///prefix":                    "the bucket is missing",
		"s3://?region=eu":                 "the bucket is missing",
		"s3://b?regoin=eu":                `there is no setting "regoin" of a bucket; did you mean "region"?`,
		"s3://b?secret=wordy":             `there is no setting "secret" of a bucket`,
		"s3://b?region=%zz":               "cannot be read",
		"s3://host:9000/bucket":           "a bucket has no port",
		"s3://host:port/bucket":           "the address is no URL",
		"s3://me:wordy@bucket":            "the address holds credentials",
		"s4://bucket":                     `there are no stores at s4://; did you mean "s3"?`,
		"gs://b":                          "there are no stores at gs://",
		"https://bucket.example.com":      "there are no stores at https://",
	} {
		err := CheckStore(store)
		switch {
		case wrong == "" && err != nil:
			t.Errorf("%s: %v", store, err)
		case wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)):
			t.Errorf("%s: %v, want %s", store, err, wrong)
		case err != nil && strings.Contains(err.Error(), "wordy"):
			t.Errorf("%s: it tells %v", store, err)
		}
	}
}

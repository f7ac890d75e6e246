package spec

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"nightshift/schema"
)

// storeSettings are what the address of a bucket may say behind its question mark.
var storeSettings = []string{
	"region", "endpoint", "profile", "use_path_style", "s3ForcePathStyle", "disable_https", "hostname_immutable", "dualstack", "fips",
	"accelerate", "anonymous", "role", "rate_limiter_capacity", "ssetype", "kmskeyid", "awssdk",
	"request_checksum_calculation", "response_checksum_validation",
}

// CheckStore says what is wrong with the path or the address of a store, as far as that
// is seen without asking anybody. Nothing of what the address holds beside the names of
// bucket and settings is in the error.
func CheckStore(store string) error {
	scheme, rest, isURL := strings.Cut(store, "://")
	switch {
	case store == "":
		return errors.New("it is empty; name a folder, or s3://bucket/prefix")
	case !isURL && strings.HasPrefix(store, "~"):
		return errors.New("~ is the home folder in a shell only; write the whole path, or ${HOME} in a batch file")
	case !isURL:
		return nil
	case scheme != "s3" && scheme != "file":
		if meant := schema.DidYouMean(scheme, []string{"s3", "file"}); meant != "" {
			return fmt.Errorf("there are no stores at %s://%s", scheme, meant)
		}
		return fmt.Errorf("there are no stores at %s://; a store is a folder, or s3://bucket/prefix", scheme)
	}
	u, err := url.Parse(store)
	if err != nil {
		return errors.New("the address is no URL; write s3://bucket/prefix")
	}
	switch bare := strings.TrimSuffix(rest, "?"+u.RawQuery); {
	case u.User != nil:
		return errors.New("the address holds credentials; leave them out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	case scheme == "file" && (u.Host != "" && u.Host != "localhost" || bare != rest || u.Path == ""):
		return errors.New("a folder is written as /folder or file:///folder, with nothing behind it")
	case scheme == "file":
		return nil
	case u.Hostname() == "":
		return errors.New("the bucket is missing; write s3://bucket/prefix")
	case u.Port() != "":
		return errors.New("a bucket has no port; write s3://bucket/prefix?endpoint=http://HOST:PORT")
	}
	return checkStoreSettings(u.RawQuery)
}

func checkStoreSettings(query string) error {
	settings, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("what stands behind the ? cannot be read; write it as region=eu-west-1&endpoint=https://HOST")
	}
	for name := range settings {
		if !slices.Contains(storeSettings, name) {
			return fmt.Errorf("there is no setting %q of a bucket%s", name, schema.DidYouMean(name, storeSettings))
		}
	}
	return nil
}

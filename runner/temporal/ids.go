package temporal

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"nightshift/runner/temporal/store"
)

// Ids of workflows say what they are of, and where that is in the store: so the id
// alone finds a run or a pass again, in any process. There is no / in them, which
// parts the id of a run from that of its pipeline.
const (
	runPrefix  = "run-"
	passPrefix = "batch-"
)

// runID is the id of the run with that trace id: who starts it again means the same.
func runID(trace string) string { return runPrefix + strings.ReplaceAll(trace, "/", ":") }

// newPass gives a new pass its id, and its key in the store.
func newPass(generation, batch string) (id, key string) {
	key = store.PassKey(generation, batch, nonce(8))
	return passID(key), key
}

// passID is the id of the pass that is at a key in the store.
func passID(key string) string {
	return passPrefix + strings.ReplaceAll(strings.TrimPrefix(key, store.PassesFolder), "/", ":")
}

// isPass tells a pass from a single run.
func isPass(id string) bool { return strings.HasPrefix(id, passPrefix) }

// passKey is where the pass of an id is in the store. Keys hold no colon.
func passKey(id string) string {
	return store.PassesFolder + strings.ReplaceAll(strings.TrimPrefix(id, passPrefix), ":", "/")
}

// nonce is some random bytes in hex digits.
func nonce(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// checkPass refuses what is no id of a pass.
func checkPass(id string) error {
	if parts := strings.Split(strings.TrimPrefix(id, passPrefix), ":"); !isPass(id) || len(parts) != 3 || slices.Contains(parts, "") || strings.Contains(id, "/") {
		return fmt.Errorf("%q is no pass over a batch", id)
	}
	return nil
}

package spec

import (
	"crypto/sha256"
	"encoding/hex"
)

// PipelineID is the id that the pipeline of a name has where this program keeps it: 24
// hex digits.
func PipelineID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:12])
}

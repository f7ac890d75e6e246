package engine

import (
	"os"
	"testing"

	"nightshift/runner/engine/script"
)

// TestMain lets this binary be the process that nodes with code run in.
func TestMain(m *testing.M) {
	script.Worker()
	os.Exit(m.Run())
}

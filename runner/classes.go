package runner

import "nightshift/spec"

// Classes are those of the errors in results.
var Classes = []string{
	classRun, classStart, classUnknownStart, classStatus, classTimedOut, classCancel,
	classDenied, classRefused, classUnavailable, classConnection, classBadRequest,
	"bad_answer",      // of a model, or of an address that a node calls
	"private_address", // that a node would call
	"panic",           // of a node
	spec.InvalidInput, spec.DuplicateKey,
}

// Package temporaltest is for tests of what runs on Temporal. It has development
// servers, which can be killed and started again where they were, and Waits, which makes
// the SDK's test suite more like them.
//
//	s := temporaltest.Own(t)
//	// ... a client with s.Address ...
//	s.Kill()
//	// ... what clients do meanwhile ...
//	err := s.Start() // it knows what it knew before
//
// The variable TEMPORAL has the path of the temporal command that is run; the Makefile
// sets it.
package temporaltest

// Package temporaltest has development servers of Temporal for tests, which can be
// killed and started again where they were.
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

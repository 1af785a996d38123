// Package temporaltest starts a real Temporal server for tests: the program of
// internal/temporaldev, in a process of its own, on 127.0.0.1, with SQLite in a directory
// of the test. It ends with the test, or with the process that has started it.
//
//	s := temporaltest.New(t)
//	client.Dial(client.Options{HostPort: s.Address, Namespace: temporaltest.Namespace})
//	s.Kill()  // as kill -9 does
//	s.Start() // the same workflows, at the same address
//
// The program takes some ten minutes of a processor to build, so it is built once and kept
// in the user's cache directory, under a name made of its source. make temporal builds it;
// in CI the first test that needs it does, too, and elsewhere tests that need it are skipped
// until it is there.
package temporaltest

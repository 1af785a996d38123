// Package secrettest finds secrets where a test may leave none. A test says what they are:
//
//	secrettest.Hide(t, "hunTer2")
//
// What the test has started of internal/temporaltest and internal/pgtest looks for them in
// all that it has stored, when the test ends. A Temporal server on which there were
// workflows wants to be told of at least one.
package secrettest

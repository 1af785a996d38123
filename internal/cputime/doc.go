// Package cputime is the clock of tests that ask how cost grows. They count the time
// that the process has had of the processor, since what else a machine does is in
// every other clock, and compare two amounts of work in one run.
package cputime

//go:build !chaos || !unix

package queue

// crashPoint is where a program that was built to be killed kills itself: before
// a write lands, and in what it returns, afterwards.
func crashPoint(func() error) func() { return func() {} }

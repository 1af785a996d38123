//go:build !linux

package hostile

// watchPeak is for systems that do not tell.
func watchPeak(int) (peak func() int64) { return func() int64 { return 0 } }

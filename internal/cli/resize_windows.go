package cli

// onResize does nothing: consoles do not tell.
func onResize(func()) (stop func()) { return func() {} }

//go:build unix && !linux

package guest

// systemRoles are those of the sandbox; only what a process guest has is here.
func systemRoles() { shims["sudo"] = processSudo }

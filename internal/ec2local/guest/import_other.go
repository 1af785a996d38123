//go:build !linux

package guest

import (
	"context"
	"fmt"
	"io"
)

// Import needs Linux.
func Import(context.Context, string, io.Reader, string) (Imported, error) {
	return Imported{}, fmt.Errorf("cannot import a root file system: guests of it: %w", errNotLinux)
}

// Imports needs Linux.
func Imports(string) ([]Imported, error) {
	return nil, fmt.Errorf("cannot list imported root file systems: guests of them: %w", errNotLinux)
}

// RemoveImport needs Linux.
func RemoveImport(_, name string) error {
	return fmt.Errorf("cannot remove %s: guests of imported root file systems: %w", name, errNotLinux)
}

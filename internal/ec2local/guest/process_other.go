//go:build !unix

package guest

import "errors"

func newProcess(string, Windows) (Host, error) {
	return nil, errors.New("cannot run process guests: they need a Unix system; choose --guest none for the API alone")
}

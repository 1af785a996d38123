package localfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace puts data in the place of the file at once: a reader finds the old content
// or the new one. With whole, so does who comes after a power cut: the name is on the
// disk later than the content.
func Replace(path string, data []byte, mode fs.FileMode, whole bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".imgflow-"+filepath.Base(path)+"-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err == nil && mode != 0o600 {
		err = f.Chmod(mode)
	}
	if err == nil && whole {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

package state

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
)

// MaxBlob is how much content has room in one blob, in bytes. What is longer is many.
const MaxBlob = 64 << 20

// PutBlob keeps content beside the run's records, and returns the SHA-256, in hex, by
// which Blob finds it. The same content is kept once.
func (r *Run) PutBlob(content io.Reader) (sum string, err error) {
	p, err := blobOf(content, "run "+r.id)
	if err != nil {
		return "", err
	}
	sum = sumOf(p)
	return sum, r.failed(r.journal.PutBlob(sum, p))
}

// blobOf reads content that is to be kept with something.
func blobOf(content io.Reader, with string) ([]byte, error) {
	p, err := io.ReadAll(io.LimitReader(content, MaxBlob+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read what is to be kept with %s: %w", with, err)
	}
	if len(p) > MaxBlob {
		return nil, fmt.Errorf("cannot keep more than %d MiB in one piece with %s", MaxBlob>>20, with)
	}
	return p, nil
}

// Blob returns the content of this sum. The error is fs.ErrNotExist if it was never
// kept, and a *CorruptError if it is not what it was.
func (r *Run) Blob(sum string) ([]byte, error) {
	if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
		return nil, fmt.Errorf("cannot find %.80q in run %s: it is no SHA-256: %w", sum, r.id, fs.ErrNotExist)
	}
	p, err := r.journal.Blob(sum)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, fmt.Errorf("cannot find the content %s of run %s: %w", sum, r.id, fs.ErrNotExist)
	}
	if sumOf(p) != sum {
		return nil, &CorruptError{Path: r.journal.Place(), Run: r.id, Why: "the content " + sum + " has another sum"}
	}
	return p, nil
}

func sumOf(p []byte) string {
	sum := sha256.Sum256(p)
	return hex.EncodeToString(sum[:])
}

package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io/fs"
)

// means are all that a run was given and that the keys of its steps do not tell: its
// secrets, and who it is to the clouds that it works in.
type means struct {
	Endpoint string
	Secrets  map[string]string
	Keys     map[string][]byte
	Environ  map[string]string
	Told     json.RawMessage
	Owners   map[string]string
}

// Means is a digest, by a key, of all that the run was given and that the keys of its
// steps do not tell. Where it is the same, equal keys are the same step, whichever run
// does it. The run was packed, and verified.
func (s *Session) Means(key []byte) ([]byte, error) {
	m := s.means
	if err := s.run.Doc(ownersDoc, &m.Owners); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, key)
	mac.Write(text)
	return mac.Sum(nil), nil
}

package ec2local

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"time"
)

// A token is what a client token made: it is remembered, also after the thing
// itself is gone; see txn.prune.
type token struct {
	Params string    `json:"params"` // digest of the other parameters
	IDs    []string  `json:"ids"`
	At     time.Time `json:"at,omitzero"`
}

// replay returns what a client token made before; nil if it is new. Equal
// tokens with other parameters are an error.
func (c *call) replay(client string) ([]string, error) {
	if client == "" {
		return nil, nil
	}
	if len(client) > 64 {
		return nil, invalid("Value (%s) for parameter clientToken is invalid. It must not be longer than 64 characters.", client)
	}
	for _, r := range client {
		if r < ' ' || r > '~' {
			return nil, invalid("Value for parameter clientToken is invalid. It must be ASCII.")
		}
	}
	raw := c.Bucket([]byte("token")).Get(c.tokenKey(client))
	if raw == nil {
		return nil, nil
	}
	var t token
	c.decode(raw, &t)
	if t.Params != c.digest() {
		return nil, fail("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
	}
	return t.IDs, nil
}

func (c *call) remember(client string, ids []string) {
	if client != "" {
		c.write("token", c.tokenKey(client), token{c.digest(), ids, c.now.UTC()})
	}
}

func (c *call) tokenKey(client string) []byte {
	return rowKey(c.region, c.action+"/"+client)
}

// digest is of the request's parameters but for the token itself. Maps are
// marshalled in the order of their keys.
func (c *call) digest() string {
	v := maps.Clone(c.values)
	delete(v, "ClientToken")
	raw, err := json.Marshal(v)
	if err != nil {
		panic(storeError{err})
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

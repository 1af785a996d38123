package aws

import (
	"encoding/json"
	"fmt"
	"time"
)

// handover is all that a cloud has been told and that nobody can find out by
// calling AWS: what another process needs to meet AWS as this one does. All else that
// a cloud keeps in memory (clients, credentials with an end, paces, clocks, what the
// pollers saw last) is made anew there when it is first needed.
type handover struct {
	Endpoint  string            `json:"endpoint,omitempty"`
	AccessKey string            `json:"access_key,omitempty"`
	SecretKey string            `json:"secret_key,omitempty"`
	Window    time.Duration     `json:"window"`             // CloudOptions.ConsistencyWindow
	Accounts  map[string]Access `json:"accounts,omitempty"` // by name; their secrets are marks
	Places    []Place           `json:"places,omitempty"`
}

// Handover is what the cloud has been told, for the TakeOver of a cloud in another
// process. It holds the key of the endpoint that all calls were directed to, and no
// other secret.
func (c *Cloud) Handover() (json.RawMessage, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.Marshal(handover{c.o.Endpoint, c.o.AccessKey, c.o.SecretKey, c.o.ConsistencyWindow, c.accounts, c.known})
}

// TakeOver tells a new cloud what another has been told.
func (c *Cloud) TakeOver(told json.RawMessage) error {
	var h handover
	if err := json.Unmarshal(told, &h); err != nil {
		return fmt.Errorf("cannot read what is known of the cloud: %w", err)
	}
	c.Direct(h.Endpoint, h.AccessKey, h.SecretKey, h.Window)
	c.mu.Lock()
	for name, a := range h.Accounts {
		c.accounts[name] = a
	}
	c.mu.Unlock()
	for _, p := range h.Places {
		c.learn(p)
	}
	return nil
}

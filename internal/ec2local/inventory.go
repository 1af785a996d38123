package ec2local

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"sort"
	"strings"
	"time"
)

// An Item is one thing that exists.
type Item struct {
	Kind    string            `json:"kind"` // as in tags: instance, image, key-pair ...
	ID      string            `json:"id"`
	Region  string            `json:"region"`
	Account string            `json:"account,omitempty"` // of another account than the first
	Name    string            `json:"name,omitempty"`
	State   string            `json:"state,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
	Default bool              `json:"default,omitempty"` // was there from the start
}

// An Inventory is everything that exists at one instant, in every region, in
// the order of kinds and ids, whether calls see it yet or not. Instances that
// terminated are in it until they are forgotten.
type Inventory struct {
	Items []Item `json:"items"`
}

// Of returns the items of a kind.
func (v Inventory) Of(kind string) []Item {
	var out []Item
	for _, i := range v.Items {
		if i.Kind == kind {
			out = append(out, i)
		}
	}
	return out
}

// Made are the items that somebody made and that still cost or block something:
// all but what was there from the start, terminated instances, and imports that have ended.
func (v Inventory) Made() []Item {
	var out []Item
	for _, i := range v.Items {
		if !i.Default && i.State != terminated && (i.Kind != "import-image-task" || i.State == importActive) {
			out = append(out, i)
		}
	}
	return out
}

// Inventory returns what exists right now.
func (s *Server) Inventory() Inventory {
	var v Inventory
	err := s.view(func(t *txn) error {
		add := func(b *base, kind, name, state string, initial bool) {
			i := Item{Kind: kind, ID: b.ID, Region: regionOf(b.Region), Name: name, State: state, Default: initial}
			if regionOf(b.Region) != b.Region {
				i.Account = accountOf(b.Region)
			}
			of := b.ID
			switch kind {
			case "role":
				of = tagKey(&role{base: *b})
			case "instance-profile":
				of = tagKey(&profile{base: *b})
			}
			for _, g := range t.storedTags(b.Region, of) {
				if i.Tags == nil {
					i.Tags = map[string]string{}
				}
				i.Tags[g.Key] = g.Value
			}
			v.Items = append(v.Items, i)
		}
		for _, x := range all[instance](t, "") {
			add(&x.base, "instance", "", x.State, false)
		}
		for _, x := range all[image](t, "") {
			add(&x.base, "image", x.Name, x.State, false)
		}
		for _, x := range all[snapshot](t, "") {
			add(&x.base, "snapshot", "", x.State, false)
		}
		for _, x := range all[volume](t, "") {
			add(&x.base, "volume", "", x.State, false)
		}
		for _, x := range all[keyPair](t, "") {
			add(&x.base, "key-pair", x.Name, "", false)
		}
		for _, x := range all[group](t, "") {
			add(&x.base, "security-group", x.Name, "", x.Name == "default")
		}
		for _, x := range all[netInterface](t, "") {
			add(&x.base, "network-interface", "", "", false)
		}
		for _, x := range all[launchTemplate](t, "") {
			add(&x.base, "launch-template", x.Name, "", false)
		}
		for _, x := range all[vpc](t, "") {
			add(&x.base, "vpc", "", "", x.Default)
		}
		for _, x := range all[subnet](t, "") {
			add(&x.base, "subnet", "", "", x.Default)
		}
		for _, x := range all[role](t, "") {
			add(&x.base, "role", x.ID, "", false)
		}
		for _, x := range all[profile](t, "") {
			add(&x.base, "instance-profile", x.ID, "", false)
		}
		for _, x := range all[parameter](t, "") {
			add(&x.base, "parameter", x.ID, "", false)
		}
		for _, x := range all[secret](t, "") {
			add(&x.base, "secret", x.ID, "", false)
		}
		for _, x := range all[managedSession](t, "") {
			if x.Ended.IsZero() {
				add(&x.base, "session", x.Target, x.status(), false)
			}
		}
		for _, x := range all[connectEndpoint](t, "") {
			add(&x.base, "instance-connect-endpoint", "", "create-complete", false)
		}
		for _, x := range all[kmsKey](t, "") {
			add(&x.base, "kms-key", strings.Join(x.Aliases, ","), x.metadata().KeyState, false)
		}
		for _, x := range all[s3Bucket](t, "") {
			add(&x.base, "bucket", x.ID, "", false)
		}
		for _, x := range all[s3Object](t, "") {
			add(&x.base, "object", x.ID, "", false)
		}
		for _, x := range all[upload](t, "") {
			add(&x.base, "multipart-upload", x.Bucket+"/"+x.Key, "", false)
		}
		for _, x := range all[importTask](t, "") {
			add(&x.base, "import-image-task", "", x.State, false)
		}
		return nil
	})
	if err != nil {
		s.logf("cannot take the inventory: %v", err)
	}
	sort.SliceStable(v.Items, func(i, j int) bool {
		a, b := v.Items[i], v.Items[j]
		return a.Kind < b.Kind || a.Kind == b.Kind && a.ID < b.ID
	})
	return v
}

// adminPrefix is where the endpoint speaks of itself.
const adminPrefix = "/_ec2local/"

// Leases is how many clients hold a connection to /_ec2local/lease open: for a
// server that ends when the last one has gone.
func (s *Server) Leases() int { return int(s.leases.Load()) }

// leaseProof is the header by which the server of a lease shows that it has the
// secret, too: HMAC-SHA256 of the request's signature, hexadecimal. Whoever took
// the port of a server that has ended cannot.
const leaseProof = "Ec2local-Proof"

// serveAdmin answers whoever has the key.
func (s *Server) serveAdmin(w http.ResponseWriter, r *http.Request, who caller) {
	if r.Method != http.MethodGet {
		http.Error(w, "only GET", http.StatusMethodNotAllowed)
		return
	}
	switch strings.TrimPrefix(r.URL.Path, adminPrefix) {
	case "inventory":
		w.Header().Set("Content-Type", "application/json")
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.Encode(s.Inventory())
	case "lease":
		s.leases.Add(1)
		defer s.leases.Add(-1)
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set(leaseProof, hex.EncodeToString(mac([]byte(s.key.Secret), "lease "+who.signature)))
		http.NewResponseController(w).SetReadDeadline(time.Time{}) // it stays open
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
	default:
		http.NotFound(w, r)
	}
}

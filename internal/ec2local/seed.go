package ec2local

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A seed is what a file says that is there from the start.
type seed struct {
	Regions    []string                   `json:"regions"` // none: all
	Parameters map[string]seedParameter   `json:"parameters"`
	Secure     map[string]string          `json:"secure_parameters"`
	Secrets    map[string]json.RawMessage `json:"secrets"` // a text, or an object that is one of JSON
	Binary     map[string][]byte          `json:"binary_secrets"`
	Buckets    map[string]string          `json:"buckets"` // their regions, by name
	Keys       []string                   `json:"kms_keys"`
	Profiles   []string                   `json:"instance_profiles"`
	Endpoints  bool                       `json:"instance_connect_endpoints"` // one in each default VPC
	Quotas     map[string]float64         `json:"quotas"`                     // of vCPUs, by their codes
}

// seedParameter is a text or a list of some.
type seedParameter struct{ kind, value string }

func (p *seedParameter) UnmarshalJSON(raw []byte) error {
	var list []string
	if json.Unmarshal(raw, &p.value) == nil {
		p.kind = plainString
		return nil
	}
	if json.Unmarshal(raw, &list) != nil {
		return errors.New("a parameter is a text or a list of texts")
	}
	p.kind, p.value = stringList, strings.Join(list, ",")
	return nil
}

// maxSeed is how long the file may be, in bytes.
const maxSeed = 4 << 20

// readSeed reads the file. Errors repeat no value of it.
func readSeed(path string, info os.FileInfo) (seed, error) {
	var s seed
	if !info.Mode().IsRegular() {
		return s, errors.New("it is no file")
	}
	if info.Size() > maxSeed {
		return s, fmt.Errorf("it is longer than %d MiB", maxSeed>>20)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return s, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		var syntax *json.SyntaxError
		var kind *json.UnmarshalTypeError
		switch name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); {
		case errors.As(err, &syntax):
			return s, fmt.Errorf("line %d is no JSON", 1+bytes.Count(raw[:min(int(syntax.Offset), len(raw))], []byte("\n")))
		case errors.As(err, &kind):
			return s, fmt.Errorf("%s has a value of the wrong type", kind.Field)
		case unknown:
			return s, fmt.Errorf("it has %s; there may be regions, parameters, secure_parameters, secrets, binary_secrets, buckets, kms_keys, instance_profiles, instance_connect_endpoints and quotas", name)
		}
		return s, fmt.Errorf("it is not as it has to be: %w", err)
	}
	for _, r := range s.Regions {
		if !knownRegion(r) {
			return s, fmt.Errorf("there is no region %q", r)
		}
	}
	for name, r := range s.Buckets {
		if !knownRegion(r) {
			return s, fmt.Errorf("bucket %s: there is no region %q", name, r)
		}
	}
	if len(s.Regions) == 0 {
		s.Regions = regions
	}
	return s, nil
}

// sow puts what a seed says where something else is. What is as it says stays as it
// is, so that its versions do not become more with every start.
func (t *txn) sow(s seed) error {
	for name, region := range s.Buckets {
		c := &call{txn: t, caller: caller{region: region}}
		if _, err := c.newBucket(name); err != nil {
			return fmt.Errorf("bucket %s: %s", name, asAPI(err).Message)
		}
	}
	for _, name := range s.Profiles {
		c := &call{txn: t, caller: caller{region: regions[0]}}
		if _, err := createProfile(c, &createProfileRequest{InstanceProfileName: name}); err != nil && asAPI(err).Code != "EntityAlreadyExists" {
			return fmt.Errorf("instance_profiles: %s", asAPI(err).Message)
		}
	}
	for _, region := range s.Regions {
		c := &call{txn: t, caller: caller{region: region}}
		if s.Endpoints {
			if err := c.sowConnectEndpoint(); err != nil {
				return fmt.Errorf("instance_connect_endpoints: %s", asAPI(err).Message)
			}
		}
		for _, name := range s.Keys {
			if err := c.sowKey(name); err != nil {
				return fmt.Errorf("kms_keys: %s", asAPI(err).Message)
			}
		}
		for code, value := range s.Quotas {
			if err := c.sowQuota(code, value); err != nil {
				return err
			}
		}
		for name, p := range s.Parameters {
			if err := c.sowParameter(name, p.kind, p.value); err != nil {
				return err
			}
		}
		for name, value := range s.Secure {
			if err := c.sowParameter(name, secureString, value); err != nil {
				return err
			}
		}
		for name, raw := range s.Secrets {
			var text string
			if json.Unmarshal(raw, &text) != nil {
				var b bytes.Buffer
				if raw[0] != '{' || json.Compact(&b, raw) != nil {
					return fmt.Errorf("secret %s: a secret is a text or an object", name)
				}
				text = b.String()
			}
			if err := c.sowSecret(name, secretValue{SecretString: &text}); err != nil {
				return err
			}
		}
		for name, p := range s.Binary {
			if err := c.sowSecret(name, secretValue{SecretBinary: p}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *call) sowParameter(name, kind, value string) error {
	if p := get[parameter](c.txn, c.region, name); p != nil {
		switch v := p.newest(); {
		case v.Type == kind && v.Value == value:
			return nil
		case v.Type != kind:
			c.remove(p.table(), rowKey(p.Region, p.ID))
		}
	}
	q := &putParameterRequest{Name: name, Value: value, Type: kind, Overwrite: true, Tier: "Intelligent-Tiering"}
	if _, err := putParameter(c, q); err != nil {
		return fmt.Errorf("parameter %s: %s", name, asAPI(err).Message)
	}
	return nil
}

func (c *call) sowSecret(name string, v secretValue) error {
	n, err := v.version(c.now)
	s := get[secret](c.txn, c.region, name)
	switch {
	case err != nil:
	case s == nil || !s.Gone.IsZero():
		if s != nil {
			c.forget(s)
		}
		_, err = createSecret(c, &createSecretRequest{Name: name, secretValue: v})
	case !slices.ContainsFunc(s.Versions, func(v secretVersion) bool {
		return slices.Contains(v.Stages, stageCurrent) && v.String == n.String && bytes.Equal(v.Binary, n.Binary)
	}):
		_, err = putSecretValue(c, &putSecretValueRequest{SecretId: name, secretValue: v})
	}
	if err != nil {
		return fmt.Errorf("secret %s: %s", name, asAPI(err).Message)
	}
	return nil
}

// seeding knows what of the file has been put in its place.
type seeding struct {
	path string
	must bool // without the file nothing is served
	mu   sync.Mutex
	size int64
	at   time.Time
}

// sow puts the seed in its place if the file is another than before, which a look at
// its size and time tells.
func (s *Server) sow() error {
	g := &s.seeding
	if g.path == "" {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	info, err := os.Stat(g.path)
	if errors.Is(err, os.ErrNotExist) && !g.must {
		return nil
	}
	if err == nil && info.Size() == g.size && info.ModTime().Equal(g.at) {
		return nil
	}
	var what seed
	if err == nil {
		what, err = readSeed(g.path, info)
	}
	if err == nil {
		err = s.update(func(t *txn) error { return t.sow(what) })
	}
	if err != nil {
		return fmt.Errorf("cannot use the seed %s: %w", g.path, err)
	}
	g.size, g.at = info.Size(), info.ModTime()
	s.logf("seeded with %s", g.path)
	return nil
}

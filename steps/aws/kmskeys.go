package aws

import (
	"context"
	"fmt"
	"slices"

	"github.com/imgflow/imgflow/dag"
)

// CheckKeys looks before anything is launched at the keys of KMS that a region's part of
// the image is to be encrypted with: EC2 itself looks only after it has answered.
type CheckKeys struct {
	Place
	Keys   []string `json:"keys"`
	Shared bool     `json:"shared,omitempty"` // others shall use what is encrypted with them

	Access dag.Out[CheckedAccess] `json:"granted" key:"-"` // what only has to come first
}

// CheckedKeys says that nothing speaks against the keys.
type CheckedKeys struct{}

func (CheckKeys) Kind() string    { return "aws.kms-keys" }
func (s CheckKeys) Title() string { return "look at the KMS keys of " + s.Region }

// Do asks KMS for each key. Whoever may not ask, or cannot reach KMS, may use the key all the same.
func (s CheckKeys) Do(ctx context.Context, c *Cloud, t *dag.Task) (CheckedKeys, error) {
	for _, key := range s.Keys {
		if why := s.trouble(ctx, c, t, key); why != "" {
			return CheckedKeys{}, fmt.Errorf("cannot encrypt with %s in %s: %s", key, s.Region, why)
		}
	}
	return CheckedKeys{}, ctx.Err()
}

// trouble is why a key cannot be used, as far as that is known.
func (s CheckKeys) trouble(ctx context.Context, c *Cloud, t *dag.Task, key string) string {
	const own = "AWS's own key encrypts nothing that is shared: name a key of yours"
	switch why := wrongKMSKey(key); {
	case why != "":
		return why
	case isAWSKey(key) && s.Shared:
		return own
	case isAWSKey(key): // it is made when it is first used
		return ""
	}
	var out struct {
		KeyMetadata struct{ KeyState, KeySpec, KeyUsage, KeyManager string }
	}
	err := c.callJSON(ctx, s.Place, keyService, "DescribeKey", struct{ KeyId string }{key}, &out)
	switch code, _ := apiError(err); {
	case ctx.Err() != nil:
		return ""
	case code == "NotFoundException":
		return fmt.Sprintf("there is no such key in %s: make it there, or name another one", s.Region)
	case err != nil:
		t.Warn("%v; whether %s serves in %s shows when it is used", wrapAPI("look at the key "+key, "DescribeKey", old, err), key, s.Region)
		return ""
	}
	switch k := out.KeyMetadata; {
	case k.KeyManager == "AWS" && s.Shared:
		return own
	case slices.Contains([]string{"Disabled", "PendingDeletion", "PendingReplicaDeletion", "PendingImport", "Unavailable"}, k.KeyState):
		return fmt.Sprintf("the key is %s there: see to it that it is Enabled, or name another one", k.KeyState)
	case k.KeySpec != "" && k.KeySpec != "SYMMETRIC_DEFAULT" || k.KeyUsage != "" && k.KeyUsage != "ENCRYPT_DECRYPT":
		return fmt.Sprintf("it is a key of the kind %s for %s, and EBS takes symmetric keys for encryption: name another one", k.KeySpec, k.KeyUsage)
	}
	return ""
}

// checkKeys adds the steps that look at the keys of each region, where it has some.
func (w *wiring) checkKeys(access func(string) dag.Out[CheckedAccess]) (checked []dag.Out[CheckedKeys]) {
	regions := []string{w.place.Region}
	if !w.SkipCreateAMI {
		regions = append(regions, w.copyRegions()...)
	}
	for _, r := range regions {
		s := CheckKeys{Place: Place{w.place.Account, r}, Shared: w.sharedIn(r), Access: access(r)}
		if key := w.keyOf(r, w.place.Region); w.encrypts() && key != "" {
			s.Keys = append(s.Keys, key)
		}
		if r == w.place.Region {
			for _, d := range w.LaunchMappings {
				if d.volume() && d.KMSKeyID != "" && !slices.Contains(s.Keys, d.KMSKeyID) {
					s.Keys = append(s.Keys, d.KMSKeyID)
				}
			}
		}
		if len(s.Keys) > 0 {
			checked = append(checked, dag.Add(w.g, w.build, named("kms-keys", r, w.place.Region), s))
		}
	}
	return checked
}

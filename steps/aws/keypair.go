package aws

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

// ImportKey makes the public half of a generated key known to EC2. The private
// half never leaves this machine, so a lost reply loses nothing.
type ImportKey struct {
	Place
	Key  dag.Out[comm.Key]     `json:"key"`
	Name string                `json:"name,omitempty"` // "" is the token
	Tags map[dag.Text]dag.Text `json:"tags,omitempty"`

	Access dag.Out[CheckedAccess] `json:"granted" key:"-"` // what only has to come first
}

// KeyPair is an imported public key.
type KeyPair struct {
	Place
	ID   string    `json:"id"`
	Name string    `json:"name"`
	Made time.Time `json:"made"`
}

func (ImportKey) Kind() string  { return "aws.keypair" }
func (ImportKey) Title() string { return "import the public key" }

// Do imports the key, or adopts what an earlier attempt has imported.
func (s ImportKey) Do(ctx context.Context, c *Cloud, t *dag.Task) (KeyPair, error) {
	at, err := c.at(ctx, s.Place)
	if err != nil {
		return KeyPair{}, err
	}
	tags, err := filledTags(t, "run_tags", s.Tags)
	if err != nil {
		return KeyPair{}, err
	}
	name := s.Name
	if name == "" {
		name = t.Token
	}
	out, err := at.api.ImportKeyPair(ctx, &ec2.ImportKeyPairInput{
		KeyName: &name, PublicKeyMaterial: []byte(s.Key.Value().Public),
		TagSpecifications: tagged(c.tags(t, tags), types.ResourceTypeKeyPair),
	})
	doing := fmt.Sprintf("import the key pair %q", name)
	switch {
	case err == nil:
		t.Say("imported the key pair %s", name)
		return KeyPair{s.Place, text(out.KeyPairId), name, now()}, nil
	case classify("ImportKeyPair", 0, err).class != alreadyExists:
		return KeyPair{}, asNotMade(doing, "ImportKeyPair", 0, err)
	}
	// Its name is taken: by an attempt whose reply was lost, or by somebody else.
	k, lookErr := untilVisible(ctx, at.window, func() (KeyPair, error) { return at.keyPair(ctx, filter("key-name", name), byToken(t)) })
	if lookErr == nil {
		return k, nil
	}
	return KeyPair{}, asNotMade(doing, "ImportKeyPair", 0, err)
}

// keyPair is the one key pair that the filters hit.
func (s *site) keyPair(ctx context.Context, fs ...types.Filter) (KeyPair, error) {
	out, err := s.api.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: fs})
	if err != nil {
		return KeyPair{}, wrapAPI("look for the key pair", "DescribeKeyPairs", old, err)
	}
	if len(out.KeyPairs) == 0 {
		return KeyPair{}, dag.ErrNotFound
	}
	k := out.KeyPairs[0]
	made := now()
	if k.CreateTime != nil {
		made = k.CreateTime.UTC().Truncate(time.Second)
	}
	return KeyPair{s.Place, text(k.KeyPairId), text(k.KeyName), made}, nil
}

// Find looks for the key pair by its id, or by the token of its making.
func (k KeyPair) Find(ctx context.Context, c *Cloud, t *dag.Task) (KeyPair, error) {
	return findAnywhere(ctx, c, k.Place, func(s *site) (KeyPair, error) {
		return untilVisible(ctx, s.window, func() (KeyPair, error) {
			if k.ID == "" {
				return s.keyPair(ctx, byToken(t))
			}
			_, err := s.keyPair(ctx, filter("key-pair-id", k.ID))
			return k, err
		})
	})
}

// Undo deletes the key pair.
func (k KeyPair) Undo(ctx context.Context, c *Cloud, t *dag.Task) error {
	k, err := withID(ctx, c, t, k, k.ID)
	if err != nil {
		return err
	}
	at, err := c.at(ctx, k.Place)
	if err != nil {
		return err
	}
	return at.removeThing(ctx, "delete the key pair "+k.Name, "DeleteKeyPair", k.Made, func() error {
		_, err := at.api.DeleteKeyPair(ctx, &ec2.DeleteKeyPairInput{KeyPairId: &k.ID})
		return err
	})
}

// Label is the name that EC2 shows.
func (k KeyPair) Label() string { return "key pair " + k.Name }

// gone is wrapAPI for a removal: what is not there has been removed.
func gone(doing, call string, err error) error {
	if err == nil || classify(call, old, err).class == notFound {
		return nil
	}
	return wrapAPI(doing, call, old, err)
}

// removeThing removes what was made at a time. EC2 denies that a young thing exists
// before it shows it: that is believed only when it must have been shown.
func (s *site) removeThing(ctx context.Context, doing, call string, made time.Time, do func() error) error {
	_, err := untilVisible(ctx, s.window-since(made), func() (struct{}, error) {
		err := do()
		if err == nil {
			return struct{}{}, nil
		}
		return struct{}{}, wrapAPI(doing, call, old, err)
	})
	if errors.Is(err, dag.ErrNotFound) {
		return nil
	}
	return err
}

// now is a time that survives being stored.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

package aws

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/interp"
)

// naming knows which access settings are those of one account. It keeps keyed
// digests, by which secrets can be compared that nobody has to hold.
type naming struct {
	key   [32]byte          // of the digests, random
	forms map[string]string // the name that settings would have as they are written
	count map[string]int    // how many of those begin with the same digest
	says  map[string]string // by that name, what the settings say
	named map[string]string // the name of the account of which settings say that
}

func newNaming() naming {
	n := naming{forms: map[string]string{}, count: map[string]int{}, says: map[string]string{}, named: map[string]string{}}
	rand.Read(n.key[:])
	return n
}

// Register makes access settings known and returns the name of the account that
// steps carry. Settings that say the same have the same name, in every process.
// What they say has the values of secrets, whatever those are called, and of keys,
// wherever those stand: ten builders with the same keys are one account, which has
// one of everything that is shared.
//
// A name ends in the number of the settings among those of the same digest that are
// written in another way. Earlier versions named every way of writing; what
// they have stored finds its credentials by that name.
func (c *Cloud) Register(a Access) string {
	form, says := c.digests(a)
	c.mu.Lock()
	defer c.mu.Unlock()
	own, ok := c.forms[form]
	if !ok {
		own = a.name()
		if c.count[own]++; c.count[own] > 1 {
			own = fmt.Sprintf("%s-%d", own, c.count[own])
		}
		c.forms[form] = own
	}
	c.accounts[own], c.says[own] = a, says
	name, ok := c.named[says]
	if !ok || c.says[name] != says { // or a template that was read again says something else by now
		name = own
		c.named[says] = name
	}
	return name
}

// digests are those of settings as they are written and of what they say. A secret
// that nobody knows is what it is called.
func (c *Cloud) digests(a Access) (form, says string) {
	a.Region = ""
	return a.digest(c.key), c.meant(a).digest(c.key)
}

// digest is one that tells settings from others to whoever has the key.
func (a Access) digest(key [32]byte) string {
	text, _ := json.Marshal(a) // plain data always marshals
	mac := hmac.New(sha256.New, key[:])
	mac.Write(text)
	return string(mac.Sum(nil))
}

// meant are the settings with the values of secrets, wherever keys are found, without what
// makes no other account.
func (c *Cloud) meant(a Access) Access {
	a.Region = ""
	a.Polling = Polling{} // has no effect
	a.DecodeAuthorizationMessages = false
	reveal := func(text string) string {
		if value, err := interp.Reveal(text, c.o.Secret); err == nil {
			return value
		}
		return text
	}
	a.AccessKey, a.SecretKey, a.Token = reveal(a.AccessKey), dag.Secret(reveal(string(a.SecretKey))), dag.Secret(reveal(string(a.Token)))
	a.MFACode = dag.Secret(reveal(string(a.MFACode)))
	return c.resolved(a)
}

// resolved has the keys that settings lead to in the place of the way there, where
// they can be known without asking anybody: those of the settings themselves, of the
// environment, or of a profile that has keys and says nothing else.
func (c *Cloud) resolved(a Access) Access {
	ctx, env := context.Background(), environ(c.o.Getenv)
	if unknown(a.Profile) || unknown(a.SharedCredentialsFile) || a.VaultAWSEngine.Name != "" {
		return a
	}
	var shared config.SharedConfig
	if profile := a.profile(ctx, env); profile != "" {
		var err error
		if shared, err = a.shared(ctx, env, profile); err != nil || !keysAlone(shared) {
			return a
		}
	}
	keys := shared.Credentials
	if a.Profile == "" {
		switch p := env.credentials(awssdk.Config{}).(type) {
		case nil:
		case credentials.StaticCredentialsProvider:
			keys = p.Value
		default:
			keys = awssdk.Credentials{}
		}
	}
	switch {
	case a.AccessKey != "":
	case keys.HasKeys():
		a.AccessKey, a.SecretKey, a.Token = keys.AccessKeyID, dag.Secret(keys.SecretAccessKey), dag.Secret(keys.SessionToken)
	default:
		return a
	}
	a.Profile, a.SharedCredentialsFile = "", ""
	return a
}

// keysAlone tells whether a profile has keys, perhaps, and a region, and nothing that
// calls depend on otherwise.
func keysAlone(s config.SharedConfig) bool {
	s.Profile, s.Region, s.Credentials = "", "", awssdk.Credentials{}
	return reflect.ValueOf(s).IsZero()
}

// accountNames are those that were registered, or the default one.
func (c *Cloud) accountNames() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for own, says := range c.says {
		if c.named[says] == own {
			names = append(names, own)
		}
	}
	if len(names) == 0 {
		return []string{""}
	}
	slices.Sort(names)
	return names
}

package ec2local

import (
	"bytes"
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// A keyPair is the public half; a private key is in the reply that made it and
// nowhere else.
type keyPair struct {
	base
	Name        string `json:"name"`
	Type        string `json:"type"` // rsa or ed25519
	Fingerprint string `json:"fingerprint"`
	Public      string `json:"public"` // a line of authorized_keys
}

func (*keyPair) table() string                   { return "key" }
func (*keyPair) refer() (string, string, string) { return "key", "InvalidKeyPair", "key pair" }

func (k *keyPair) marks() []mark { return []mark{{"key-name", k.Name}, {"all", ""}} }

func (t *txn) keyNamed(region, name string) *keyPair {
	for _, k := range having[keyPair](t, region, mark{"key-name", name}) {
		return k
	}
	return nil
}

// maxKeyPairs is EC2's quota.
const maxKeyPairs = 5000

func (c *call) newKeyName(name string) error {
	if name == "" {
		return missing("KeyName")
	}
	if len(name) > 255 || strings.TrimSpace(name) != name || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return invalid("Value (%s) for parameter KeyName is invalid. It must be up to 255 ASCII characters, without spaces at the ends.", name)
	}
	if c.keyNamed(c.region, name) != nil {
		return fail("InvalidKeyPair.Duplicate", "The keypair already exists")
	}
	if len(c.ids("key", c.region, mark{"all", ""})) >= maxKeyPairs {
		return fail("KeyPairLimitExceeded", "Maximum of %d keypairs reached", maxKeyPairs)
	}
	return nil
}

type importKeyPairRequest struct {
	KeyName           string
	PublicKeyMaterial []byte
	TagSpecifications []tagSpec
}

type importKeyPairResponse struct {
	Name        string   `xml:"keyName"`
	Fingerprint string   `xml:"keyFingerprint"`
	ID          string   `xml:"keyPairId"`
	Tags        set[tag] `xml:"tagSet"`
}

func (r *importKeyPairResponse) summary() string { return r.ID + " " + r.Name }

func importKeyPair(c *call, q *importKeyPairRequest) (*importKeyPairResponse, error) {
	if err := c.newKeyName(q.KeyName); err != nil {
		return nil, err
	}
	tags, err := specTags(q.TagSpecifications, "key-pair", "key-pair")
	if err != nil {
		return nil, err
	}
	pub, err := publicKey(q.PublicKeyMaterial)
	if err != nil {
		return nil, err
	}
	k := &keyPair{base: c.newBase(newID("key")), Name: q.KeyName, Public: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub)))}
	switch pub.Type() {
	case ssh.KeyAlgoRSA:
		key := pub.(ssh.CryptoPublicKey).CryptoPublicKey().(*rsa.PublicKey)
		if n := key.N.BitLen(); n != 1024 && n != 2048 && n != 4096 {
			return nil, fail("InvalidKey.Format", "Key is not in valid OpenSSH public key format: RSA keys have 1024, 2048 or 4096 bits, not %d", n)
		}
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			return nil, err
		}
		sum := md5.Sum(der)
		k.Type, k.Fingerprint = "rsa", colons(sum[:])
	case ssh.KeyAlgoED25519:
		sum := sha256.Sum256(pub.Marshal())
		k.Type, k.Fingerprint = "ed25519", base64.StdEncoding.EncodeToString(sum[:])
	default:
		return nil, fail("InvalidKey.Format", "Key is not in valid OpenSSH public key format: the type %s is neither RSA nor ED25519", pub.Type())
	}
	put(c.txn, k)
	if err := c.setTags(c.region, k.ID, tags); err != nil {
		return nil, err
	}
	return &importKeyPairResponse{k.Name, k.Fingerprint, k.ID, c.tagSet(k.ID)}, nil
}

// publicKey reads the three forms that EC2 takes: a line of authorized_keys,
// DER in base64, and RFC 4716.
func publicKey(raw []byte) (ssh.PublicKey, error) {
	if len(raw) == 0 {
		return nil, missing("PublicKeyMaterial")
	}
	if pub, _, _, _, err := ssh.ParseAuthorizedKey(raw); err == nil {
		return pub, nil
	}
	text := strings.TrimSpace(string(raw))
	if body, ok := strings.CutPrefix(text, "---- BEGIN SSH2 PUBLIC KEY ----"); ok {
		body, _, _ = strings.Cut(body, "---- END SSH2 PUBLIC KEY ----")
		var b64 strings.Builder
		for line := range strings.Lines(body) {
			if !strings.Contains(line, ":") {
				b64.WriteString(strings.TrimSpace(line))
			}
		}
		if wire, err := base64.StdEncoding.DecodeString(b64.String()); err == nil {
			if pub, err := ssh.ParsePublicKey(wire); err == nil {
				return pub, nil
			}
		}
	}
	der := raw
	if block, _ := pem.Decode(raw); block != nil {
		der = block.Bytes
	} else if b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), "")); err == nil {
		der = b
	}
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		if pub, err := ssh.NewPublicKey(key); err == nil {
			return pub, nil
		}
	}
	return nil, fail("InvalidKey.Format", "Key is not in valid OpenSSH public key format")
}

func colons(b []byte) string {
	parts := make([]string, len(b))
	for i, x := range b {
		parts[i] = hex.EncodeToString([]byte{x})
	}
	return strings.Join(parts, ":")
}

type createKeyPairRequest struct {
	KeyName, KeyType, KeyFormat string
	TagSpecifications           []tagSpec
}

type createKeyPairResponse struct {
	Name        string   `xml:"keyName"`
	Fingerprint string   `xml:"keyFingerprint"`
	Material    string   `xml:"keyMaterial"`
	ID          string   `xml:"keyPairId"`
	Tags        set[tag] `xml:"tagSet"`
}

func (r *createKeyPairResponse) summary() string { return r.ID + " " + r.Name }

func createKeyPair(c *call, q *createKeyPairRequest) (*createKeyPairResponse, error) {
	if err := c.newKeyName(q.KeyName); err != nil {
		return nil, err
	}
	if q.KeyFormat == "ppk" {
		return nil, fail("UnsupportedOperation", "The key format ppk is not supported by this endpoint.")
	}
	tags, err := specTags(q.TagSpecifications, "key-pair", "key-pair")
	if err != nil {
		return nil, err
	}
	k := &keyPair{base: c.newBase(newID("key")), Name: q.KeyName, Type: q.KeyType}
	var block *pem.Block
	var pub any
	switch q.KeyType {
	case "", "rsa":
		k.Type = "rsa"
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		sum := sha1.Sum(der)
		k.Fingerprint = colons(sum[:])
		block, pub = &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}, &key.PublicKey
	case "ed25519":
		edPub, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		if block, err = ssh.MarshalPrivateKey(key, ""); err != nil {
			return nil, err
		}
		pub = edPub
	}
	line, err := ssh.NewPublicKey(pub)
	if err != nil {
		return nil, err
	}
	if k.Type == "ed25519" {
		sum := sha256.Sum256(line.Marshal())
		k.Fingerprint = base64.StdEncoding.EncodeToString(sum[:])
	}
	k.Public = string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(line)))
	put(c.txn, k)
	if err := c.setTags(c.region, k.ID, tags); err != nil {
		return nil, err
	}
	return &createKeyPairResponse{k.Name, k.Fingerprint, strings.TrimSpace(string(pem.EncodeToMemory(block))), k.ID, c.tagSet(k.ID)}, nil
}

type describeKeyPairsRequest struct {
	KeyNames, KeyPairIds []string
	Filters              []filter
	IncludePublicKey     bool
}

type keyPairItem struct {
	ID          string   `xml:"keyPairId"`
	Name        string   `xml:"keyName"`
	Type        string   `xml:"keyType"`
	Fingerprint string   `xml:"keyFingerprint"`
	Public      string   `xml:"publicKey,omitempty"`
	Created     string   `xml:"createTime"`
	Tags        set[tag] `xml:"tagSet"`
}

type describeKeyPairsResponse struct {
	Keys set[keyPairItem] `xml:"keySet"`
}

var keyPairFilters = filters[keyPair]{
	"key-pair-id": func(c *call, k *keyPair) []string { return one(k.ID) },
	"key-name":    func(c *call, k *keyPair) []string { return one(k.Name) },
	"fingerprint": func(c *call, k *keyPair) []string { return one(k.Fingerprint) },
}.tagged(tagsOf[keyPair]).found("key-pair-id", "key-name")

func describeKeyPairs(c *call, q *describeKeyPairsRequest) (*describeKeyPairsResponse, error) {
	asked := q.Filters
	if len(q.KeyNames) > 0 {
		asked = append([]filter{{"key-name", q.KeyNames}}, asked...)
	}
	keys, err := about(c, keyPairFilters, q.KeyPairIds, asked)
	if err != nil {
		return nil, err
	}
	for _, name := range q.KeyNames {
		if !slices.ContainsFunc(keys, func(k *keyPair) bool { return k.Name == name }) {
			return nil, noKey(name)
		}
	}
	keys, err = keyPairFilters.apply(c, q.Filters, keys)
	if err != nil {
		return nil, err
	}
	r := &describeKeyPairsResponse{}
	for _, k := range keys {
		if len(q.KeyNames) > 0 && !slices.Contains(q.KeyNames, k.Name) {
			continue
		}
		i := keyPairItem{ID: k.ID, Name: k.Name, Type: k.Type, Fingerprint: k.Fingerprint, Created: stamp(k.Created), Tags: c.tagSet(k.ID)}
		if q.IncludePublicKey {
			i.Public = k.Public
		}
		r.Keys.Items = append(r.Keys.Items, i)
	}
	return r, nil
}

func noKey(name string) error {
	return fail("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
}

type deleteKeyPairRequest struct{ KeyName, KeyPairId string }

type deleteKeyPairResponse struct {
	Return bool   `xml:"return"`
	ID     string `xml:"keyPairId,omitempty"`
}

// deleteKeyPair says yes to a key that does not exist, as EC2 does.
func deleteKeyPair(c *call, q *deleteKeyPairRequest) (*deleteKeyPairResponse, error) {
	var k *keyPair
	switch {
	case q.KeyName == "" && q.KeyPairId == "":
		return nil, missing("KeyName")
	case q.KeyName != "" && q.KeyPairId != "":
		return nil, fail("InvalidParameterCombination", "The parameters KeyName and KeyPairId cannot be used together")
	case q.KeyName != "":
		k = c.keyNamed(c.region, q.KeyName)
	default:
		k = get[keyPair](c.txn, c.region, q.KeyPairId)
	}
	if k == nil {
		return &deleteKeyPairResponse{Return: true}, nil
	}
	drop(c.txn, k)
	return &deleteKeyPairResponse{true, k.ID}, nil
}

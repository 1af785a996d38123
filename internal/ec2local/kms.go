package ec2local

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// kmsOperations are the actions of KMS that this endpoint has: those by which keys of
// volumes come, are looked at and are switched off. Nothing is encrypted with them.
var kmsOperations = map[string]operation{
	"CreateAlias": writesJSON(createAlias),
	"CreateKey":   writesJSON(createKMSKey),
	"DescribeKey": readsJSON(describeKMSKey),
	"DisableKey":  writesJSON(disableKMSKey),
	"EnableKey":   writesJSON(enableKMSKey),
	"ListAliases": readsJSON(listAliases),
}

// A kmsKey is a key of a region.
type kmsKey struct {
	base
	Description string   `json:"description,omitempty"`
	Usage       string   `json:"usage"`
	Spec        string   `json:"spec"`
	Disabled    bool     `json:"disabled,omitempty"`
	Aliases     []string `json:"aliases,omitempty"`

	aws bool // it is AWS's own for the account, and never stored
}

func (*kmsKey) table() string { return "kms" }

func (k *kmsKey) arn() string { return arn("kms", k.Region, "key/"+k.ID) }

// ownAlias is how an account calls the key for volumes that AWS makes for it.
const ownAlias = "alias/aws/ebs"

// ownKey is that key in a region.
func ownKey(region string) *kmsKey {
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte(arn("kms", region, ownAlias))).String()
	return &kmsKey{base: base{ID: id, Region: region, Created: firstKeys}, Description: "Default key that protects my EBS volumes when no other key is defined",
		Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT", Aliases: []string{ownAlias}, aws: true}
}

var firstKeys = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// key is the one that an id, an alias or the ARN of either names in the region, or nil.
func (t *txn) key(region, name string) *kmsKey {
	if rest, ok := strings.CutPrefix(name, arn("kms", region, "")); ok {
		name = strings.TrimPrefix(rest, "key/")
	}
	if own := ownKey(region); name == own.ID || name == ownAlias {
		return own
	}
	if !strings.HasPrefix(name, "alias/") {
		return get[kmsKey](t, region, name)
	}
	for _, k := range all[kmsKey](t, region) {
		if slices.Contains(k.Aliases, name) {
			return k
		}
	}
	return nil
}

// volumeKey is the ARN of the key that something of EBS is encrypted with, the account's
// own if none is named. Trouble is why it cannot be: EC2 looks at keys only after it has
// answered, so calls go well all the same.
func (c *call) volumeKey(name string) (arn, trouble string) {
	if name == "" {
		name = ownAlias
	}
	k := c.key(c.region, name)
	switch {
	case k == nil:
		return name, "Given key ID is not accessible"
	case k.Disabled:
		return k.arn(), "The KMS key provided is in an incorrect state"
	case k.Spec != "SYMMETRIC_DEFAULT" || k.Usage != "ENCRYPT_DECRYPT":
		return k.arn(), "The KMS key provided is not a symmetric key for encryption"
	}
	return k.arn(), ""
}

// ownKeyARN tells the ARN of AWS's own key, which no other account can use.
func ownKeyARN(name, region string) bool { return name == ownKey(region).arn() }

type keyMetadata struct {
	AWSAccountId, KeyId, Arn     string
	CreationDate                 epoch
	Enabled                      bool
	Description, KeyUsage        string
	KeyState, Origin, KeyManager string
	KeySpec                      string
	CustomerMasterKeySpec        string
	EncryptionAlgorithms         []string `json:",omitempty"`
	MultiRegion                  bool
}

func (k *kmsKey) metadata() keyMetadata {
	m := keyMetadata{AWSAccountId: accountOf(k.Region), KeyId: k.ID, Arn: k.arn(), CreationDate: epoch(k.Created), Enabled: !k.Disabled, Description: k.Description,
		KeyUsage: k.Usage, KeyState: "Enabled", Origin: "AWS_KMS", KeyManager: "CUSTOMER", KeySpec: k.Spec, CustomerMasterKeySpec: k.Spec,
		MultiRegion: strings.HasPrefix(k.ID, "mrk-")}
	if k.Disabled {
		m.KeyState = "Disabled"
	}
	if k.aws {
		m.KeyManager = "AWS"
	}
	if k.Spec == "SYMMETRIC_DEFAULT" {
		m.EncryptionAlgorithms = []string{k.Spec}
	}
	return m
}

type keyReply struct{ KeyMetadata keyMetadata }

type keyRequest struct{ KeyId string }

// keyNamed is the key that a call of KMS is about.
func (c *call) keyOf(name string) (*kmsKey, error) {
	if name == "" {
		return nil, notValid("keyId", "have length greater than or equal to 1")
	}
	k := c.key(c.region, name)
	if k == nil {
		return nil, fail("NotFoundException", "This endpoint has no such key in %s. CreateKey makes one, and kms_keys of the seed file.", c.region)
	}
	return k, nil
}

func describeKMSKey(c *call, q *keyRequest) (*keyReply, error) {
	k, err := c.keyOf(q.KeyId)
	if err != nil {
		return nil, err
	}
	return &keyReply{k.metadata()}, nil
}

type createKeyRequest struct {
	Description, KeyUsage, KeySpec, CustomerMasterKeySpec string
	MultiRegion                                           bool
}

func createKMSKey(c *call, q *createKeyRequest) (*keyReply, error) {
	k := &kmsKey{base: c.newBase(uuid.NewString()), Description: q.Description, Usage: q.KeyUsage, Spec: q.KeySpec}
	if q.MultiRegion {
		k.ID = "mrk-" + strings.ReplaceAll(k.ID, "-", "")
	}
	if k.Usage == "" {
		k.Usage = "ENCRYPT_DECRYPT"
	}
	if k.Spec == "" {
		k.Spec = q.CustomerMasterKeySpec
	}
	if k.Spec == "" {
		k.Spec = "SYMMETRIC_DEFAULT"
	}
	if !slices.Contains([]string{"ENCRYPT_DECRYPT", "SIGN_VERIFY"}, k.Usage) || !slices.Contains([]string{"SYMMETRIC_DEFAULT", "RSA_2048", "ECC_NIST_P256"}, k.Spec) {
		return nil, fail("ValidationException", "This endpoint knows keys for ENCRYPT_DECRYPT and SIGN_VERIFY, of SYMMETRIC_DEFAULT, RSA_2048 and ECC_NIST_P256.")
	}
	put(c.txn, k)
	return &keyReply{k.metadata()}, nil
}

var keyAlias = patternOf(`^alias/[a-zA-Z0-9/_-]{1,250}$`)

type aliasRequest struct{ AliasName, TargetKeyId string }

func createAlias(c *call, q *aliasRequest) (*struct{}, error) {
	switch {
	case !keyAlias.MatchString(q.AliasName):
		return nil, fail("InvalidAliasNameException", "An alias is alias/ and up to 250 letters, digits, slashes, underscores and hyphens.")
	case strings.HasPrefix(q.AliasName, "alias/aws/"):
		return nil, fail("NotAuthorizedException", "Aliases that begin with alias/aws/ are AWS's.")
	case c.key(c.region, q.AliasName) != nil:
		return nil, fail("AlreadyExistsException", "An alias of that name exists already.")
	}
	k, err := c.ownedKey(q.TargetKeyId)
	if err != nil {
		return nil, err
	}
	k.Aliases = append(k.Aliases, q.AliasName)
	put(c.txn, k)
	return &struct{}{}, nil
}

// ownedKey is a key that the caller may change.
func (c *call) ownedKey(name string) (*kmsKey, error) {
	k, err := c.keyOf(name)
	if err == nil && k.aws {
		return nil, fail("AccessDeniedException", "The key is AWS's own for the account, and cannot be changed.")
	}
	return k, err
}

func enableKMSKey(c *call, q *keyRequest) (*struct{}, error)  { return c.setKey(q, false) }
func disableKMSKey(c *call, q *keyRequest) (*struct{}, error) { return c.setKey(q, true) }

func (c *call) setKey(q *keyRequest, disabled bool) (*struct{}, error) {
	k, err := c.ownedKey(q.KeyId)
	if err != nil {
		return nil, err
	}
	k.Disabled = disabled
	put(c.txn, k)
	return &struct{}{}, nil
}

type listAliasesRequest struct{ KeyId string }

type aliasItem struct{ AliasName, AliasArn, TargetKeyId string }

type aliasesReply struct {
	Aliases   []aliasItem
	Truncated bool
}

func listAliases(c *call, q *listAliasesRequest) (*aliasesReply, error) {
	keys := append([]*kmsKey{ownKey(c.region)}, all[kmsKey](c.txn, c.region)...)
	if q.KeyId != "" {
		k, err := c.keyOf(q.KeyId)
		if err != nil {
			return nil, err
		}
		keys = []*kmsKey{k}
	}
	r := &aliasesReply{Aliases: []aliasItem{}}
	for _, k := range keys {
		for _, a := range k.Aliases {
			r.Aliases = append(r.Aliases, aliasItem{a, arn("kms", c.region, a), k.ID})
		}
	}
	return r, nil
}

var keyID = patternOf(`^(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)

// sowKey has a key there that a seed names: an id, an alias, or the ARN of either, which
// is for its own region alone.
func (c *call) sowKey(name string) error {
	if c.key(c.region, name) != nil {
		return nil
	}
	if parts := strings.SplitN(name, ":", 6); parts[0] == "arn" {
		if len(parts) < 6 {
			return c.notSeeded(name)
		}
		place := placeIn(parts[3], c.account())
		if !knownRegion(place) || name != arn("kms", place, parts[5]) {
			return c.notSeeded(name)
		}
		if place != c.region {
			return nil
		}
		name = strings.TrimPrefix(parts[5], "key/")
	}
	k := &kmsKey{base: c.newBase(uuid.NewString()), Usage: "ENCRYPT_DECRYPT", Spec: "SYMMETRIC_DEFAULT"}
	switch {
	case keyID.MatchString(name):
		k.ID = name
	case keyAlias.MatchString(name) && !strings.HasPrefix(name, "alias/aws/"):
		k.Aliases = []string{name}
	default:
		return c.notSeeded(name)
	}
	put(c.txn, k)
	return nil
}

func (c *call) notSeeded(name string) error {
	return fail("ValidationException", "%q is no id, alias or ARN of a key of the account %s", name, c.account())
}

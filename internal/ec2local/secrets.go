package ec2local

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// secretsOperations are the actions of Secrets Manager that this endpoint has.
var secretsOperations = map[string]operation{
	"CreateSecret":   writesJSON(createSecret),
	"DeleteSecret":   writesJSON(deleteSecret),
	"DescribeSecret": readsJSON(describeSecret),
	"GetSecretValue": readsJSON(getSecretValue),
	"ListSecrets":    readsJSON(listSecrets),
	"PutSecretValue": writesJSON(putSecretValue),
	"RestoreSecret":  writesJSON(restoreSecret),
	"UpdateSecret":   writesJSON(updateSecret),
}

// A secret is a name for values. Its id is the name.
type secret struct {
	base
	Suffix      string          `json:"suffix"` // of its ARN
	Description string          `json:"description,omitempty"`
	KMS         string          `json:"kms,omitempty"`
	Tags        []jsonTag       `json:"tags,omitempty"`
	Changed     time.Time       `json:"changed"`
	Gone        time.Time       `json:"gone,omitzero"` // when it is deleted for good, if somebody has deleted it
	Versions    []secretVersion `json:"versions,omitempty"`
}

type secretVersion struct {
	ID      string    `json:"id"`
	String  string    `json:"string,omitempty"`
	Binary  []byte    `json:"binary,omitempty"`
	Stages  []string  `json:"stages,omitempty"`
	Created time.Time `json:"created"`
}

func (*secret) table() string { return "secret" }

func (s *secret) arn() string { return arn("secretsmanager", s.Region, "secret:"+s.ID+"-"+s.Suffix) }

// The limits of Secrets Manager, from "Secrets Manager quotas" in its user guide.
const (
	longestSecret      = 64 << 10 // bytes
	mostSecretVersions = 100
	mostStages         = 20
)

const (
	stageCurrent  = "AWSCURRENT"
	stagePrevious = "AWSPREVIOUS"
)

var (
	secretName  = patternOf(`^[\w/+=.@!-]{1,512}$`)
	secretToken = patternOf(`^[A-Za-z0-9-]{32,64}$`)
)

// secret finds one by its name, its ARN, or its ARN without the suffix. One that
// was deleted is found until its time has come.
func (c *call) secret(id string) (*secret, error) {
	if id == "" || len(id) > 2048 {
		return nil, notValid("secretId", "have length from 1 to 2048")
	}
	name := strings.TrimPrefix(id, arn("secretsmanager", c.region, "secret:"))
	s := get[secret](c.txn, c.region, name)
	if stem, suffix, ok := cutLast(name, "-"); s == nil && ok && name != id {
		if s = get[secret](c.txn, c.region, stem); s != nil && s.Suffix != suffix {
			s = nil
		}
	}
	if s == nil || s.over(c.now) {
		return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	}
	return s, nil
}

// over tells whether a deleted secret's time has come.
func (s *secret) over(now time.Time) bool { return !s.Gone.IsZero() && !now.Before(s.Gone) }

// living is a secret that nobody has deleted.
func (c *call) living(id string) (*secret, error) {
	s, err := c.secret(id)
	if err == nil && !s.Gone.IsZero() {
		return nil, fail("InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion.")
	}
	return s, err
}

// A secretValue is one as requests give it.
type secretValue struct {
	ClientRequestToken string
	SecretString       *string
	SecretBinary       []byte
}

func (v secretValue) given() bool { return v.SecretString != nil || v.SecretBinary != nil }

// version is what is kept of a value.
func (v secretValue) version(now time.Time) (secretVersion, error) {
	n := secretVersion{ID: cmp.Or(v.ClientRequestToken, uuid.NewString()), Binary: v.SecretBinary, Created: now.UTC()}
	if v.SecretString != nil {
		n.String = *v.SecretString
	}
	switch {
	case !secretToken.MatchString(n.ID):
		return n, fail("InvalidParameterException", "The parameter ClientRequestToken must have 32 to 64 letters, digits and hyphens.")
	case v.SecretString != nil && v.SecretBinary != nil:
		return n, fail("InvalidParameterException", "You can't specify both a binary secret value and a string secret value in the same secret.")
	case len(n.String) > longestSecret:
		return n, notValid("secretString", "have length less than or equal to %d", longestSecret)
	case len(n.Binary) > longestSecret:
		return n, notValid("secretBinary", "have length less than or equal to %d", longestSecret)
	case n.String == "" && len(n.Binary) == 0:
		return n, fail("InvalidParameterException", "You must provide either SecretString or SecretBinary, and it cannot be empty.")
	}
	return n, nil
}

// add gives a secret one more version, or finds it there: the same token again with
// the same value is the same request.
func (s *secret) add(v secretValue, now time.Time, stages ...string) (secretVersion, error) {
	n, err := v.version(now)
	if err != nil {
		return n, err
	}
	if len(stages) > mostStages {
		return n, notValid("versionStages", "have length less than or equal to %d", mostStages)
	}
	for _, l := range stages {
		if l == "" || len(l) > 256 {
			return n, notValid("versionStages", "have length from 1 to 256")
		}
	}
	if len(s.Versions) == 0 && !slices.Contains(stages, stageCurrent) {
		stages = append(stages, stageCurrent)
	}
	for _, old := range s.Versions {
		if old.ID != n.ID {
			continue
		}
		if old.String != n.String || !bytes.Equal(old.Binary, n.Binary) {
			return old, fail("ResourceExistsException", "You can't use ClientRequestToken %s because that value is already in use for a version of secret %s.", n.ID, s.arn())
		}
		return old, nil
	}
	current := slices.IndexFunc(s.Versions, func(v secretVersion) bool { return slices.Contains(v.Stages, stageCurrent) })
	if slices.Contains(stages, stageCurrent) && current >= 0 {
		s.take(stagePrevious)
		s.Versions[current].Stages = append(s.Versions[current].Stages, stagePrevious)
	}
	for _, l := range stages {
		s.take(l)
	}
	n.Stages = slices.Clone(stages)
	s.Versions = append(s.Versions, n)
	// Versions without a label are forgotten when there are many.
	for n := 0; len(s.Versions) > mostSecretVersions && n < len(s.Versions); n++ {
		if len(s.Versions[n].Stages) == 0 {
			s.Versions = slices.Delete(s.Versions, n, n+1)
			n--
		}
	}
	if len(s.Versions) > mostSecretVersions {
		return n, fail("LimitExceededException", "A secret has at most %d versions with labels.", mostSecretVersions)
	}
	s.Changed = now.UTC()
	return n, nil
}

// take removes a label from the version that has it.
func (s *secret) take(label string) {
	for n := range s.Versions {
		s.Versions[n].Stages = slices.DeleteFunc(s.Versions[n].Stages, func(l string) bool { return l == label })
	}
}

func checkSecretText(description, kms string) error {
	switch {
	case len([]rune(description)) > 2048:
		return notValid("description", "have length less than or equal to 2048")
	case len(kms) > 2048:
		return notValid("kmsKeyId", "have length less than or equal to 2048")
	}
	return nil
}

type createSecretRequest struct {
	secretValue
	Name, Description, KmsKeyId string
	Tags                        []jsonTag
}

type secretVersionResponse struct {
	ARN, Name     string
	VersionId     string   `json:",omitempty"`
	VersionStages []string `json:",omitempty"`
}

func createSecret(c *call, q *createSecretRequest) (*secretVersionResponse, error) {
	if !secretName.MatchString(q.Name) {
		return nil, fail("ValidationException", "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}
	if err := checkSecretText(q.Description, q.KmsKeyId); err != nil {
		return nil, err
	}
	tags, err := newJSONTags(q.Tags)
	if err != nil {
		return nil, err
	}
	if was := get[secret](c.txn, c.region, q.Name); was != nil && !was.over(c.now) {
		if !was.Gone.IsZero() {
			return nil, fail("InvalidRequestException", "You can't create this secret because a secret with this name is already scheduled for deletion.")
		}
		again := slices.ContainsFunc(was.Versions, func(v secretVersion) bool { return v.ID == q.ClientRequestToken })
		if !again {
			return nil, fail("ResourceExistsException", "The operation failed because the secret %s already exists.", q.Name)
		}
		v, err := was.add(q.secretValue, c.now, stageCurrent)
		if err != nil {
			return nil, err
		}
		return &secretVersionResponse{ARN: was.arn(), Name: was.ID, VersionId: v.ID}, nil
	}
	s := &secret{base: base{ID: q.Name, Region: c.region, Created: c.now.UTC()}, Suffix: newID("x")[3:9], Description: q.Description, KMS: q.KmsKeyId, Tags: tags, Changed: c.now.UTC()}
	r := &secretVersionResponse{ARN: s.arn(), Name: s.ID}
	if q.given() {
		v, err := s.add(q.secretValue, c.now, stageCurrent)
		if err != nil {
			return nil, err
		}
		r.VersionId = v.ID
	}
	put(c.txn, s)
	return r, nil
}

type putSecretValueRequest struct {
	secretValue
	SecretId      string
	VersionStages []string
}

func putSecretValue(c *call, q *putSecretValueRequest) (*secretVersionResponse, error) {
	s, err := c.living(q.SecretId)
	if err != nil {
		return nil, err
	}
	stages := q.VersionStages
	if len(stages) == 0 {
		stages = []string{stageCurrent}
	}
	v, err := s.add(q.secretValue, c.now, stages...)
	if err != nil {
		return nil, err
	}
	put(c.txn, s)
	return &secretVersionResponse{s.arn(), s.ID, v.ID, v.Stages}, nil
}

type updateSecretRequest struct {
	secretValue
	SecretId              string
	Description, KmsKeyId *string
}

func updateSecret(c *call, q *updateSecretRequest) (*secretVersionResponse, error) {
	s, err := c.living(q.SecretId)
	if err != nil {
		return nil, err
	}
	if q.Description != nil {
		s.Description, s.Changed = *q.Description, c.now.UTC()
	}
	if q.KmsKeyId != nil {
		s.KMS, s.Changed = *q.KmsKeyId, c.now.UTC()
	}
	if err := checkSecretText(s.Description, s.KMS); err != nil {
		return nil, err
	}
	r := &secretVersionResponse{ARN: s.arn(), Name: s.ID}
	if q.given() {
		v, err := s.add(q.secretValue, c.now, stageCurrent)
		if err != nil {
			return nil, err
		}
		r.VersionId = v.ID
	}
	put(c.txn, s)
	return r, nil
}

type getSecretValueRequest struct{ SecretId, VersionId, VersionStage string }

type getSecretValueResponse struct {
	ARN, Name, VersionId string
	SecretString         *string `json:",omitempty"`
	SecretBinary         []byte  `json:",omitempty"`
	VersionStages        []string
	CreatedDate          epoch
}

func getSecretValue(c *call, q *getSecretValueRequest) (*getSecretValueResponse, error) {
	s, err := c.living(q.SecretId)
	if err != nil {
		return nil, err
	}
	stage := q.VersionStage
	if q.VersionId == "" {
		stage = cmp.Or(stage, stageCurrent)
	}
	n := slices.IndexFunc(s.Versions, func(v secretVersion) bool {
		return q.VersionId != "" && v.ID == q.VersionId || q.VersionId == "" && slices.Contains(v.Stages, stage)
	})
	switch {
	case n < 0 && q.VersionId != "":
		return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for VersionId: %s", q.VersionId)
	case n < 0:
		return nil, fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: %s", stage)
	case stage != "" && !slices.Contains(s.Versions[n].Stages, stage):
		return nil, fail("InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId.")
	}
	v := s.Versions[n]
	r := &getSecretValueResponse{ARN: s.arn(), Name: s.ID, VersionId: v.ID, SecretBinary: v.Binary, VersionStages: append([]string{}, v.Stages...), CreatedDate: epoch(v.Created)}
	if v.Binary == nil {
		r.SecretString = &v.String
	}
	return r, nil
}

// secretItem is a secret as calls show it that give no values.
type secretItem struct {
	ARN, Name       string
	Description     string    `json:",omitempty"`
	KmsKeyId        string    `json:",omitempty"`
	LastChangedDate epoch     `json:",omitzero"`
	DeletedDate     epoch     `json:",omitzero"`
	Tags            []jsonTag `json:",omitempty"`
	CreatedDate     epoch
}

func (s *secret) item() secretItem {
	return secretItem{s.arn(), s.ID, s.Description, s.KMS, epoch(s.Changed), epoch(s.Gone), s.Tags, epoch(s.Created)}
}

// stages are the labels of the versions that have some, by version.
func (s *secret) stages() map[string][]string {
	m := map[string][]string{}
	for _, v := range s.Versions {
		if len(v.Stages) > 0 {
			m[v.ID] = v.Stages
		}
	}
	return m
}

type secretIDRequest struct{ SecretId string }

type describeSecretResponse struct {
	secretItem
	VersionIdsToStages map[string][]string `json:",omitempty"`
}

func describeSecret(c *call, q *secretIDRequest) (*describeSecretResponse, error) {
	s, err := c.secret(q.SecretId)
	if err != nil {
		return nil, err
	}
	return &describeSecretResponse{s.item(), s.stages()}, nil
}

type secretFilter struct {
	Key    string
	Values []string
}

// fits tells whether one of the filter's values is the beginning of what a secret
// has; one after ! must not be.
func (f secretFilter) fits(s *secret) (bool, error) {
	var have []string
	switch f.Key {
	case "name":
		have = []string{s.ID}
	case "description":
		have = strings.Fields(s.Description)
	case "tag-key", "tag-value":
		for _, g := range s.Tags {
			have = append(have, map[string]string{"tag-key": g.Key, "tag-value": g.Value}[f.Key])
		}
	default:
		return false, fail("ValidationException", "This endpoint does not know the filter %s: it has name, description, tag-key and tag-value.", f.Key)
	}
	return slices.ContainsFunc(f.Values, func(want string) bool {
		rest, not := strings.CutPrefix(want, "!")
		return not != slices.ContainsFunc(have, func(h string) bool { return strings.HasPrefix(h, rest) })
	}), nil
}

type listSecretsRequest struct {
	jsonPage
	IncludePlannedDeletion bool
	Filters                []secretFilter
	SortOrder              string
}

type listedSecret struct {
	secretItem
	SecretVersionsToStages map[string][]string `json:",omitempty"`
}

type listSecretsResponse struct {
	SecretList []listedSecret
	NextToken  string `json:",omitempty"`
}

func listSecrets(c *call, q *listSecretsRequest) (*listSecretsResponse, error) {
	var list []*secret
	for _, s := range all[secret](c.txn, c.region) {
		fits := !s.over(c.now) && (s.Gone.IsZero() || q.IncludePlannedDeletion)
		for _, f := range q.Filters {
			ok, err := f.fits(s)
			if err != nil {
				return nil, err
			}
			fits = fits && ok
		}
		if fits {
			list = append(list, s)
		}
	}
	switch slices.SortStableFunc(list, func(a, b *secret) int { return a.Created.Compare(b.Created) }); q.SortOrder {
	case "asc":
	case "desc", "":
		slices.Reverse(list)
	default:
		return nil, notValid("sortOrder", "satisfy enum value set: [asc, desc]")
	}
	r := &listSecretsResponse{SecretList: []listedSecret{}}
	list, next, err := pageJSON(list, q.jsonPage, 100)
	if err != nil {
		return nil, err
	}
	r.NextToken = next
	for _, s := range list {
		r.SecretList = append(r.SecretList, listedSecret{s.item(), s.stages()})
	}
	return r, nil
}

type deleteSecretRequest struct {
	SecretId                   string
	RecoveryWindowInDays       *int
	ForceDeleteWithoutRecovery bool
}

type deleteSecretResponse struct {
	ARN, Name    string
	DeletionDate epoch
}

func deleteSecret(c *call, q *deleteSecretRequest) (*deleteSecretResponse, error) {
	days := 30
	switch {
	case q.RecoveryWindowInDays == nil:
	case q.ForceDeleteWithoutRecovery:
		return nil, fail("InvalidParameterException", "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
	default:
		if days = *q.RecoveryWindowInDays; days < 7 || days > 30 {
			return nil, fail("InvalidParameterException", "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
		}
	}
	s, err := c.secret(q.SecretId)
	switch {
	case err != nil:
		return nil, err
	case q.ForceDeleteWithoutRecovery:
		c.forget(s)
		return &deleteSecretResponse{s.arn(), s.ID, epoch(c.now)}, nil
	case !s.Gone.IsZero():
		return nil, fail("InvalidRequestException", "You can't perform this operation on the secret because it was already scheduled for deletion.")
	}
	s.Gone = c.now.UTC().AddDate(0, 0, days)
	put(c.txn, s)
	return &deleteSecretResponse{s.arn(), s.ID, epoch(s.Gone)}, nil
}

type restoreSecretResponse struct{ ARN, Name string }

func restoreSecret(c *call, q *secretIDRequest) (*restoreSecretResponse, error) {
	s, err := c.secret(q.SecretId)
	if err != nil {
		return nil, err
	}
	s.Gone = time.Time{}
	put(c.txn, s)
	return &restoreSecretResponse{s.arn(), s.ID}, nil
}

func (t *txn) forget(s *secret) { t.remove(s.table(), rowKey(s.Region, s.ID)) }

// pruneSecrets forgets the deleted ones whose time has come.
func (t *txn) pruneSecrets() {
	for _, s := range all[secret](t, "") {
		if s.over(t.now) {
			t.forget(s)
		}
	}
}

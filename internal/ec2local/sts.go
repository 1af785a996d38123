package ec2local

import (
	"strings"
	"time"

	"github.com/google/uuid"
)

var stsOperations = map[string]operation{
	"AssumeRole":                 reads(assumeRole),
	"DecodeAuthorizationMessage": reads(decodeAuthorizationMessage),
	"GetCallerIdentity":          reads(getCallerIdentity),
}

type noParameters struct{}

type identity struct {
	User    string `xml:"UserId"`
	Account string `xml:"Account"`
	ARN     string `xml:"Arn"`
}

func getCallerIdentity(c *call, _ *noParameters) (*identity, error) {
	if x := c.session; x != nil {
		return &identity{x.User, x.Account, x.ARN}, nil
	}
	return &identity{"AIDAEC2LOCAL000000000", c.account(), c.principal()}, nil
}

type assumeRoleRequest struct {
	RoleArn, RoleSessionName, Policy, ExternalId string
	SerialNumber, TokenCode, SourceIdentity      string
	DurationSeconds                              *int
	PolicyArns                                   []struct{ Arn string }
	Tags                                         []struct{ Key, Value string }
	TransitiveTagKeys                            []string
}

type assumeRoleResponse struct {
	Credentials struct {
		Key        string `xml:"AccessKeyId"`
		Secret     string `xml:"SecretAccessKey"`
		Token      string `xml:"SessionToken"`
		Expiration string `xml:"Expiration"`
	}
	User struct {
		ID  string `xml:"AssumedRoleId"`
		ARN string `xml:"Arn"`
	} `xml:"AssumedRoleUser"`
}

var (
	roleARN     = patternOf(`^arn:(aws[a-z-]*):iam::([0-9]{12}):role/([\w+=,.@/-]{1,512})$`)
	sessionName = patternOf(`^[\w+=,.@-]{2,64}$`)
)

// assumeRole gives credentials that only this endpoint takes. The roles are not
// looked up: whose trust they have is not what this endpoint plays.
func assumeRole(c *call, q *assumeRoleRequest) (*assumeRoleResponse, error) {
	m := roleARN.FindStringSubmatch(q.RoleArn)
	switch {
	case m == nil:
		return nil, fail("ValidationError", "%s is invalid", q.RoleArn)
	case !sessionName.MatchString(q.RoleSessionName):
		return nil, fail("ValidationError", "1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*", q.RoleSessionName)
	}
	d := time.Hour
	if q.DurationSeconds != nil {
		if *q.DurationSeconds < 900 || *q.DurationSeconds > 43200 {
			return nil, fail("ValidationError", "The requested DurationSeconds must be between 900 and 43200")
		}
		d = time.Duration(*q.DurationSeconds) * time.Second
	}
	if end := c.s.injector.Token; end > 0 {
		d = end
	}
	role := m[3][strings.LastIndex(m[3], "/")+1:]
	x := &session{
		KeyID:   "ASIA" + strings.ToUpper(strings.ReplaceAll(uuid.NewString(), "-", ""))[:16],
		User:    "AROAEC2LOCAL000000000:" + q.RoleSessionName,
		ARN:     "arn:" + m[1] + ":sts::" + m[2] + ":assumed-role/" + role + "/" + q.RoleSessionName,
		Account: m[2],
		Until:   c.now.Add(d).UTC().Truncate(time.Second),
	}
	r := &assumeRoleResponse{}
	r.Credentials.Key, r.Credentials.Secret = x.KeyID, x.key(c.s.key).Secret
	r.Credentials.Token = x.token(c.s.key)
	r.Credentials.Expiration = x.Until.Format("2006-01-02T15:04:05Z")
	r.User.ID, r.User.ARN = x.User, x.ARN
	return r, nil
}

type decodeRequest struct{ EncodedMessage string }

type decodeResponse struct {
	Message string `xml:"DecodedMessage"`
}

// decodeAuthorizationMessage says what was refused, and of whom.
func decodeAuthorizationMessage(c *call, q *decodeRequest) (*decodeResponse, error) {
	text, ok := c.s.decode(q.EncodedMessage)
	if !ok {
		return nil, fail("InvalidAuthorizationMessageException", "The message is not one that this endpoint has encoded.")
	}
	return &decodeResponse{text}, nil
}

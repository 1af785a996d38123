package ec2local

import (
	"regexp"
	"strings"
	"time"
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

// getCallerIdentity takes every key for one of the same user.
func getCallerIdentity(c *call, _ *noParameters) (*identity, error) {
	return &identity{"AIDAEC2LOCAL000000000", account, "arn:aws:iam::" + account + ":user/ec2local"}, nil
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
	roleARN     = regexp.MustCompile(`^arn:aws[a-z-]*:iam::([0-9]{12}):role/([\w+=,.@/-]{1,512})$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

// assumeRole gives credentials that no other endpoint takes. The roles are not
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
	r := &assumeRoleResponse{}
	r.Credentials.Key = "ASIA" + strings.ToUpper(strings.ReplaceAll(uuid(), "-", ""))[:16]
	r.Credentials.Secret = strings.ReplaceAll(uuid(), "-", "") + uuid()[:8]
	r.Credentials.Token = strings.ReplaceAll(uuid()+uuid(), "-", "")
	r.Credentials.Expiration = c.now.Add(d).UTC().Format("2006-01-02T15:04:05Z")
	role := m[2][strings.LastIndex(m[2], "/")+1:]
	r.User.ID = "AROAEC2LOCAL000000000:" + q.RoleSessionName
	r.User.ARN = "arn:aws:sts::" + m[1] + ":assumed-role/" + role + "/" + q.RoleSessionName
	return r, nil
}

type decodeRequest struct{ EncodedMessage string }

type decodeResponse struct {
	Message string `xml:"DecodedMessage"`
}

// decodeAuthorizationMessage has nothing to decode: this endpoint never answers
// with an encoded message.
func decodeAuthorizationMessage(c *call, q *decodeRequest) (*decodeResponse, error) {
	return nil, fail("InvalidAuthorizationMessageException", "The message is not one of this endpoint, which encodes none.")
}

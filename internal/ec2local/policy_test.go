package ec2local

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPolicyLanguage judges one demand by many policies.
func TestPolicyLanguage(t *testing.T) {
	d := demand{"ec2:RunInstances", "arn:aws:ec2:us-east-1:123456789012:instance/*", map[string][]string{
		"aws:requesttag/team": {"red"}, "aws:tagkeys": {"team", "cost"}, "ec2:region": {"us-east-1"}}}
	allow := func(condition string) string {
		return `{"Effect": "Allow", "Action": "ec2:*", "Resource": "*", "Condition": ` + condition + `}`
	}
	for statement, want := range map[string]verdict{
		`{"Effect": "Allow", "Action": "ec2:RunInstances", "Resource": "*"}`:                                                                allowed,
		`{"Effect": "Allow", "Action": ["ec2:Stop*", "EC2:run?nstances"], "Resource": "arn:aws:ec2:*:*:instance/*"}`:                        allowed,
		`{"Effect": "Allow", "Action": "*", "Resource": "*"}`:                                                                               allowed,
		`{"Effect": "Allow", "Action": "ec2:RunInstance", "Resource": "*"}`:                                                                 unmentioned,
		`{"Effect": "Allow", "Action": "ec2:*", "Resource": "arn:aws:ec2:us-east-1:*:volume/*"}`:                                            unmentioned,
		`{"Effect": "Allow", "Action": "ec2:*", "Resource": "arn:aws:ec2:us-east-1::instance/*"}`:                                           unmentioned,
		`[{"Effect": "Allow", "Action": "ec2:*", "Resource": "*"}, {"Effect": "Deny", "Action": "*", "Resource": "arn:aws:ec2:*:*:inst*"}]`: denied,
		allow(`{"StringEquals": {"aws:RequestTag/team": ["blue", "red"]}}`):                                                                 allowed,
		allow(`{"StringEquals": {"aws:RequestTag/team": "re*"}}`):                                                                           unmentioned,
		allow(`{"StringLike": {"aws:RequestTag/Team": "re*"}}`):                                                                             allowed,
		allow(`{"StringLike": {"aws:RequestTag/cost": "*"}}`):                                                                               unmentioned,
		allow(`{"StringEqualsIfExists": {"aws:RequestTag/cost": "*"}}`):                                                                     allowed,
		allow(`{"StringNotEquals": {"aws:RequestTag/team": "red"}}`):                                                                        unmentioned,
		allow(`{"StringNotEquals": {"aws:RequestTag/team": ["blue", "red"]}}`):                                                              unmentioned,
		allow(`{"StringNotEquals": {"aws:RequestTag/cost": "red"}}`):                                                                        allowed,
		allow(`{"Null": {"aws:RequestTag/team": false}}`):                                                                                   allowed,
		allow(`{"Null": {"aws:RequestTag/team": "true"}}`):                                                                                  unmentioned,
		allow(`{"ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost", "x"]}}`):                                                      allowed,
		allow(`{"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}`):                                                                   unmentioned,
		allow(`{"ForAnyValue:StringEquals": {"aws:TagKeys": ["team"]}}`):                                                                    allowed,
		allow(`{"StringEquals": {"ec2:Region": "us-east-1", "aws:RequestTag/team": "blue"}}`):                                               unmentioned,
		allow(`{"StringEquals": {"ec2:Region": "us-east-1"}, "StringLike": {"aws:RequestTag/team": "*"}}`):                                  allowed,
	} {
		p, err := parsePolicy([]byte(`{"Version": "2012-10-17", "Statement": ` + statement + `}`))
		if err != nil {
			t.Errorf("%s: %v", statement, err)
		} else if got := judge(d, []*policy{p}); got != want {
			t.Errorf("%s: %d, want %d", statement, got, want)
		}
	}
}

// TestPolicyThatIsNotUnderstood is refused, and nothing is served.
func TestPolicyThatIsNotUnderstood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.json")
	for text, want := range map[string]string{
		`{`:                                  "no policy in JSON",
		`{"Version": "2012-10-17"}`:          "no Statement",
		`{"Version": "2012-10-17"} {}`:       "something comes after it",
		`{"Version": "2008-10-17"}`:          "2012-10-17",
		`{"Version": "2012-10-17", "X": {}}`: `"X"`,
		`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "NotAction": "x:y", "Resource": "*"}}`:                                                                      "NotAction",
		`{"Version": "2012-10-17", "Statement": {"Effect": "allow", "Action": "x:y", "Resource": "*"}}`:                                                                         "statement 1: its Effect",
		`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "x:y"}}`:                                                                                          "Action and Resource",
		`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "ec2", "Resource": "*"}}`:                                                                         `no action "ec2"`,
		`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "x:y", "Resource": "instance"}}`:                                                                  `no resource "instance"`,
		`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "x:y", "Resource": "arn:aws:ec2:a:b:${c}"}}`:                                                      "variables",
		`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "x:y", "Resource": "*", "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}}`:             `operator "IpAddress"`,
		`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "x:y", "Resource": "*", "Condition": {"StringEquals": {"aws:username": "x"}}}}`:                   `key "aws:username"`,
		`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "x:y", "Resource": "*", "Condition": {"StringEquals": {"ec2:Region": "${aws:PrincipalTag/r}"}}}}`: "variables",
		strings.Repeat(" ", maxPolicy+1): "longer than",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := New(Options{Dir: t.TempDir(), Key: keyOfTests, Policy: path})
		if err == nil {
			s.Close()
			t.Errorf("%s is taken", text)
		} else if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

package ec2local

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/imgflow/imgflow/internal/ec2local/conform"
	"github.com/imgflow/imgflow/internal/ec2local/model"
)

// raw posts a form as given: name, value, name, value ... It returns status and
// body.
func (b *bench) raw(service, version string, pairs ...string) (int, string) {
	b.t.Helper()
	form := url.Values{"Version": {version}}
	for i := 0; i < len(pairs); i += 2 {
		form[pairs[i]] = append(form[pairs[i]], pairs[i+1])
	}
	return b.post(form.Encode(), func(req *http.Request, body []byte) { sign(b.t, req, body, keyOfTests, service, time.Now()) })
}

// sign signs a request as the SDK does.
func sign(t testing.TB, req *http.Request, body []byte, k Key, service string, at time.Time) {
	t.Helper()
	signIn(t, "us-east-1", req, body, k, service, at)
}

// signIn signs a request for a region.
func signIn(t testing.TB, region string, req *http.Request, body []byte, k Key, service string, at time.Time) {
	t.Helper()
	sum := sha256.Sum256(body)
	if err := v4.NewSigner().SignHTTP(ctx, aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}, req, hex.EncodeToString(sum[:]), service, region, at); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) post(body string, sign func(req *http.Request, body []byte)) (int, string) {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodPost, b.http.URL+"/", strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	sign(req, []byte(body))
	return b.send(req)
}

func (b *bench) send(req *http.Request) (int, string) {
	b.t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func (b *bench) ec2(pairs ...string) (int, string) { return b.raw("ec2", "2016-11-15", pairs...) }

var errorBody = regexp.MustCompile(`^<\?xml version="1.0" encoding="UTF-8"\?>\n<Response><Errors><Error><Code>([A-Za-z.]+)</Code><Message>([^<]+)</Message></Error></Errors><RequestID>[0-9a-f-]{36}</RequestID></Response>$`)

// TestNothingIsIgnored sends what EC2 would not take.
func TestNothingIsIgnored(t *testing.T) {
	b := newBench(t)
	id := b.run()
	b.until(id, "running")
	for _, x := range []struct {
		name, code, message string
		status              int
		form                []string
	}{
		{"action", "InvalidAction", "The action DescribeUnicorns is not valid for this web service.", 400, []string{"Action", "DescribeUnicorns"}},
		{"no action", "MissingAction", "", 400, nil},
		{"parameter", "UnknownParameter", "The parameter InstanceIds is not recognized", 400, []string{"Action", "DescribeInstances", "InstanceIds", id}},
		{"member", "UnknownParameter", "The parameter Filter.1.Valu is not recognized", 400, []string{"Action", "DescribeInstances", "Filter.1.Name", "image-id", "Filter.1.Valu.1", "x"}},
		{"not a list", "UnknownParameter", "The parameter InstanceId is not recognized", 400, []string{"Action", "DescribeInstances", "InstanceId", id}},
		{"twice", "InvalidParameterCombination", "", 400, []string{"Action", "DescribeInstances", "InstanceId.1", id, "InstanceId.1", id}},
		{"filter", "InvalidParameterValue", "The filter &#39;colour&#39; is invalid", 400, []string{"Action", "DescribeInstances", "Filter.1.Name", "colour", "Filter.1.Value.1", "red"}},
		{"integer", "InvalidParameterValue", "", 400, []string{"Action", "DescribeInstances", "MaxResults", "many"}},
		{"boolean", "InvalidParameterValue", "", 400, []string{"Action", "DescribeInstances", "DryRun", "maybe"}},
		{"enumeration", "InvalidParameterValue", "", 400, []string{"Action", "DescribeImageAttribute", "ImageId", "ami-12345678", "Attribute", "taste"}},
		{"missing", "MissingParameter", "The request must contain the parameter InstanceId", 400, []string{"Action", "GetConsoleOutput"}},
		{"not here", "UnsupportedOperation", "The parameter KernelId is not supported by this endpoint.", 400, []string{"Action", "RunInstances", "MinCount", "1", "MaxCount", "1", "KernelId", "aki-12345678"}},
		{"malformed id", "InvalidInstanceID.Malformed", "", 400, []string{"Action", "DescribeInstances", "InstanceId.1", "i-xyz"}},
		{"unknown id", "InvalidInstanceID.NotFound", "The instance ID &#39;i-0123456789abcdef0&#39; does not exist", 400, []string{"Action", "DescribeInstances", "InstanceId.1", "i-0123456789abcdef0"}},
		{"page", "InvalidParameterValue", "", 400, []string{"Action", "DescribeInstances", "MaxResults", "3"}},
		{"page token", "InvalidPaginationToken", "", 400, []string{"Action", "DescribeInstances", "NextToken", "zzz"}},
		{"page with ids", "InvalidParameterCombination", "", 400, []string{"Action", "DescribeInstances", "MaxResults", "30", "InstanceId.1", id}},
		{"dry run", "DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412, []string{"Action", "StopInstances", "InstanceId.1", id, "DryRun", "true"}},
	} {
		status, body := b.ec2(x.form...)
		m := errorBody.FindStringSubmatch(body)
		if m == nil || status != x.status || m[1] != x.code || x.message != "" && m[2] != x.message {
			t.Errorf("%s: %d %s; want %d %s %q", x.name, status, body, x.status, x.code, x.message)
		}
	}
	if i := b.instance(id); i.State.Name != "running" {
		t.Error("the dry run had an effect")
	}
	if status, body := b.raw("ec2", "2014-10-01", "Action", "DescribeRegions"); status != 400 || !strings.Contains(body, "InvalidAction") {
		t.Errorf("another version: %d %s", status, body)
	}
}

// TestCheckerNotices makes sure that the comparison with the model can fail.
func TestCheckerNotices(t *testing.T) {
	form := url.Values{"Action": {"DescribeRegions"}, "Version": {"2016-11-15"}}
	good := `<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>x</requestId><regionInfo><item><regionName>a</regionName><regionEndpoint>b</regionEndpoint></item></regionInfo></DescribeRegionsResponse>`
	if p := conform.Compare("ec2", form, []byte(good)); len(p) != 0 {
		t.Fatalf("a good reply is refused: %v", p)
	}
	for _, x := range []struct{ old, new, problem string }{
		{"regionEndpoint>", "regionEndPoint>", "unknown element regionEndPoint"},
		{"item>", "member>", "an item of the list is called member, not item"},
		{"DescribeRegionsResponse", "DescribeRegionsResult", "the root is DescribeRegionsResult"},
		{"2016-11-15/", "2016-11-15", "the namespace is"},
		{"<requestId>x</requestId>", "", "the first element is not the requestId"},
		{"<regionName>a</regionName>", "<regionName>a</regionName><regionName>a</regionName>", "element regionName twice"},
		{"<regionName>a</regionName>", "<regionName><b/></regionName>", "holds the element b"},
		{"<item>", "<item>text", "text"},
		{"</DescribeRegionsResponse>", "", "not XML"},
	} {
		p := conform.Compare("ec2", form, []byte(strings.ReplaceAll(good, x.old, x.new)))
		if len(p) == 0 || !strings.Contains(strings.Join(p, "\n"), x.problem) {
			t.Errorf("with %q for %q: %v, want %q", x.new, x.old, p, x.problem)
		}
	}
	form = url.Values{"Action": {"DescribeInstances"}}
	states := `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>x</requestId><reservationSet><item><instancesSet><item><instanceState><code>16</code><name>running</name></instanceState><launchTime>2026-01-01T00:00:00.000Z</launchTime><ebsOptimized>true</ebsOptimized></item></instancesSet></item></reservationSet></DescribeInstancesResponse>`
	for _, x := range []struct{ old, new, problem string }{
		{"", "", ""},
		{"running", "jogging", "is not one of"},
		{">16<", ">sixteen<", "is no integer"},
		{"2026-01-01T00:00:00.000Z", "1 January", "is no timestamp"},
		{"true", "yes", "is no boolean"},
	} {
		p := strings.Join(conform.Compare("ec2", form, []byte(strings.Replace(states, x.old, x.new, 1))), "\n")
		if x.problem == "" && p != "" || !strings.Contains(p, x.problem) {
			t.Errorf("with %q for %q: %q, want %q", x.new, x.old, p, x.problem)
		}
	}
	// And through the handler, as the tests of this package use it.
	inner := &quiet{TB: t}
	wrong := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, strings.ReplaceAll(good, "regionInfo", "regionSet"))
	})
	h := conform.Check(inner, wrong)
	req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("Action=DescribeRegions&Version=2016-11-15"))
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=A/20260101/us-east-1/ec2/aws4_request")
	h.ServeHTTP(httptest.NewRecorder(), req)
	if inner.errors != 1 {
		t.Errorf("the wrong reply made %d errors, not 1", inner.errors)
	}
}

type quiet struct {
	testing.TB
	errors int
}

func (q *quiet) Errorf(string, ...any) { q.errors++ }

func TestMatch(t *testing.T) {
	for _, x := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"*", "", true}, {"*", "abc", true}, {"a*c", "abbc", true}, {"a*c", "abbd", false}, {"a?c", "abc", true}, {"a?c", "ac", false},
		{`a\*c`, "a*c", true}, {`a\*c`, "abc", false}, {`a\?`, "a?", true}, {"ABC", "abc", false}, {"*a*b*", "xxaxxbxx", true}, {"*a*b*", "xxbxxaxx", false},
		{`a\\b`, `a\b`, true}, {"é?", "éa", true},
	} {
		if got := match(x.pattern, x.text); got != x.want {
			t.Errorf("match(%q, %q) = %v", x.pattern, x.text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Action=RunInstances&MinCount=1&MaxCount=1&BlockDeviceMapping.1.Ebs.VolumeSize=8&TagSpecification.1.Tag.2.Key=a")
	f.Add("Filter.1.Name=x&Filter.1=y&Filter.01.Value.1=z")
	f.Fuzz(func(t *testing.T, text string) {
		form, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		for _, name := range []string{"RunInstances", "DescribeInstances", "CreateFleet"} {
			v, err := model.EC2().Operations[name].Parse(form)
			if err == nil {
				_ = model.Decode(v, &runRequest{})
			}
		}
	})
}

// TestIAM makes and removes an instance profile, as a builder does.
func TestIAM(t *testing.T) {
	b := newBench(t)
	iam := func(want int, pairs ...string) string {
		t.Helper()
		status, body := b.raw("iam", "2010-05-08", pairs...)
		if status != want {
			t.Errorf("%v: %d %s", pairs[:2], status, body)
		}
		return body
	}
	iam(200, "Action", "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", `{"Version":"2012-10-17"}`, "Tags.member.1.Key", "a", "Tags.member.1.Value", "b")
	iam(409, "Action", "CreateRole", "RoleName", "r", "AssumeRolePolicyDocument", `{}`)
	iam(200, "Action", "PutRolePolicy", "RoleName", "r", "PolicyName", "p", "PolicyDocument", `{}`)
	iam(200, "Action", "CreateInstanceProfile", "InstanceProfileName", "r", "Tags.member.1.Key", "c", "Tags.member.1.Value", "d")
	iam(200, "Action", "AddRoleToInstanceProfile", "InstanceProfileName", "r", "RoleName", "r")
	if body := iam(200, "Action", "GetInstanceProfile", "InstanceProfileName", "r"); !strings.Contains(body, "<RoleName>r</RoleName>") || !strings.Contains(body, "<Value>d</Value>") {
		t.Error(body)
	}
	if body := iam(200, "Action", "GetRole", "RoleName", "r"); !strings.Contains(body, "<Value>b</Value>") {
		t.Error(body)
	}
	iam(200, "Action", "ListRoles")
	iam(200, "Action", "ListRolePolicies", "RoleName", "r")
	iam(200, "Action", "ListInstanceProfiles")
	run := []string{"Action", "RunInstances", "MinCount", "1", "MaxCount", "1", "InstanceType", "t2.micro", "ImageId", *b.source(xenial).ImageId, "IamInstanceProfile.Name"}
	if status, body := b.ec2(append(run, "none")...); status != 400 || !strings.Contains(body, "Invalid IAM Instance Profile name") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := b.ec2(append(run, "r")...); status != 200 || !strings.Contains(body, "instance-profile/r</arn>") {
		t.Errorf("%d %s", status, body)
	}
	iam(409, "Action", "DeleteInstanceProfile", "InstanceProfileName", "r")
	iam(409, "Action", "DeleteRole", "RoleName", "r")
	iam(200, "Action", "RemoveRoleFromInstanceProfile", "InstanceProfileName", "r", "RoleName", "r")
	iam(200, "Action", "DeleteInstanceProfile", "InstanceProfileName", "r")
	iam(200, "Action", "DeleteRolePolicy", "RoleName", "r", "PolicyName", "p")
	iam(200, "Action", "DeleteRole", "RoleName", "r")
	if body := iam(404, "Action", "GetRole", "RoleName", "r"); !strings.Contains(body, "<Code>NoSuchEntity</Code>") {
		t.Error(body)
	}
	sts := func(want int, pairs ...string) string {
		t.Helper()
		status, body := b.raw("sts", "2011-06-15", pairs...)
		if status != want {
			t.Errorf("%v: %d %s", pairs[:2], status, body)
		}
		return body
	}
	if body := sts(200, "Action", "GetCallerIdentity"); !strings.Contains(body, "<Account>123456789012</Account>") {
		t.Error(body)
	}
	sts(200, "Action", "AssumeRole", "RoleArn", "arn:aws:iam::123456789012:role/r", "RoleSessionName", "session", "PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/x")
	sts(400, "Action", "AssumeRole", "RoleArn", "r", "RoleSessionName", "session")
	sts(400, "Action", "DecodeAuthorizationMessage", "EncodedMessage", "x")
}

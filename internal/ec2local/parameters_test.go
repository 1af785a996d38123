package ec2local

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// object is what a call of the JSON protocol says or answers.
type object = map[string]any

// json calls an action such as ssm.GetParameter. It returns the answer, or the code
// and the message of a refusal.
func (b *bench) json(service, action, body string) (out object, code, message string) {
	b.t.Helper()
	return b.jsonIn("us-east-1", service, action, body)
}

// jsonIn is json in a region.
func (b *bench) jsonIn(region, service, action, body string) (out object, code, message string) {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodPost, b.http.URL+"/", strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", jsonType)
	req.Header.Set("X-Amz-Target", jsonServices[service].target+"."+action)
	signIn(b.t, region, req, []byte(body), keyOfTests, service, time.Now())
	status, text := b.send(req)
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		b.t.Fatalf("%s: %d %q: %v", action, status, text, err)
	}
	if code, _ = out["__type"].(string); (status == 200) != (code == "") {
		b.t.Errorf("%s: %d %s", action, status, text)
	}
	message, _ = out["message"].(string)
	return out, code, message
}

// done is the answer of a call that has to work.
func (b *bench) done(service, action string, say object) object {
	b.t.Helper()
	body, _ := json.Marshal(say)
	out, code, message := b.json(service, action, string(body))
	if code != "" {
		b.t.Fatalf("%s: %s: %s", action, code, message)
	}
	return out
}

// refused wants the code of a refusal, and words of it.
func (b *bench) refused(service, action string, say object, want, words string) {
	b.t.Helper()
	body, _ := json.Marshal(say)
	if _, code, message := b.json(service, action, string(body)); code != want || !strings.Contains(message, words) {
		b.t.Errorf("%s %.200s: %s %q; want %s %q", action, body, code, message, want, words)
	}
}

// at follows names and numbers into an answer.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(object)
			v = m[p]
		case int:
			if l, _ := v.([]any); p < len(l) {
				v = l[p]
			} else {
				v = nil
			}
		}
	}
	return v
}

func TestParameters(t *testing.T) {
	b := newBench(t)
	ssm := func(action string, say object) object { t.Helper(); return b.done("ssm", action, say) }
	value := func(name string, decrypt bool) any {
		t.Helper()
		return at(ssm("GetParameter", object{"Name": name, "WithDecryption": decrypt}), "Parameter", "Value")
	}
	if r := ssm("PutParameter", object{"Name": "/app/db/host", "Value": "one", "Type": "String", "Tags": []object{{"Key": "a", "Value": "b"}}}); r["Version"] != 1.0 || r["Tier"] != "Standard" {
		t.Errorf("%v", r)
	}
	if r := ssm("PutParameter", object{"Name": "/app/db/host", "Value": "two", "Overwrite": true}); r["Version"] != 2.0 {
		t.Errorf("%v", r)
	}
	p := ssm("GetParameter", object{"Name": "/app/db/host"})["Parameter"].(object)
	if p["Value"] != "two" || p["Version"] != 2.0 || p["Type"] != "String" || p["ARN"] != "arn:aws:ssm:us-east-1:123456789012:parameter/app/db/host" || p["DataType"] != "text" || p["LastModifiedDate"].(float64) < 1e9 {
		t.Errorf("%v", p)
	}
	if v := value("/app/db/host:1", false); v != "one" {
		t.Errorf("version 1 is %v", v)
	}
	ssm("LabelParameterVersion", object{"Name": "/app/db/host", "ParameterVersion": 1, "Labels": []string{"blue"}})
	if v := value("/app/db/host:blue", false); v != "one" {
		t.Errorf("blue is %v", v)
	}
	ssm("LabelParameterVersion", object{"Name": "/app/db/host", "Labels": []string{"blue"}})
	if v := value("arn:aws:ssm:us-east-1:123456789012:parameter/app/db/host:blue", false); v != "two" {
		t.Errorf("the label that was moved is at %v", v)
	}
	ssm("PutParameter", object{"Name": "/app/db/password", "Value": "hunter2", "Type": "SecureString"})
	if v := value("/app/db/password", true); v != "hunter2" {
		t.Errorf("%v", v)
	}
	if v, ok := value("/app/db/password", false).(string); !ok || len(v) < 64 || strings.Contains(v, "hunter2") {
		t.Errorf("a SecureString that nobody decrypts is %v", v)
	}
	ssm("PutParameter", object{"Name": "plain", "Value": "a,b", "Type": "StringList"})
	r := ssm("GetParameters", object{"Names": []string{"plain", "/none", "/app/db/host:9"}})
	if at(r, "Parameters", 0, "Value") != "a,b" || at(r, "InvalidParameters", 1) != "/app/db/host:9" {
		t.Errorf("%v", r)
	}
	r = ssm("GetParametersByPath", object{"Path": "/app", "Recursive": true, "MaxResults": 1})
	if at(r, "Parameters", 0, "Name") != "/app/db/host" || r["NextToken"] == nil {
		t.Errorf("%v", r)
	}
	r = ssm("GetParametersByPath", object{"Path": "/app", "Recursive": true, "MaxResults": 1, "NextToken": r["NextToken"]})
	if at(r, "Parameters", 0, "Name") != "/app/db/password" || r["NextToken"] != nil {
		t.Errorf("%v", r)
	}
	if r := ssm("GetParametersByPath", object{"Path": "/app"}); len(r["Parameters"].([]any)) != 0 {
		t.Errorf("not recursive: %v", r)
	}
	r = ssm("DescribeParameters", object{"ParameterFilters": []object{{"Key": "Name", "Option": "BeginsWith", "Values": []string{"/app"}}, {"Key": "Type", "Values": []string{"SecureString"}}}})
	if l := r["Parameters"].([]any); len(l) != 1 || at(r, "Parameters", 0, "KeyId") != "alias/aws/ssm" || at(r, "Parameters", 0, "Value") != nil {
		t.Errorf("%v", r)
	}
	r = ssm("GetParameterHistory", object{"Name": "/app/db/host"})
	if at(r, "Parameters", 0, "Value") != "one" || at(r, "Parameters", 1, "Labels", 0) != "blue" {
		t.Errorf("%v", r)
	}
	if r := ssm("ListTagsForResource", object{"ResourceType": "Parameter", "ResourceId": "/app/db/host"}); at(r, "TagList", 0, "Value") != "b" {
		t.Errorf("%v", r)
	}
	if items := b.server.Inventory().Of("parameter"); len(items) != 3 {
		t.Errorf("the inventory has %v", items)
	}

	// All of it is there after a restart, for this region alone.
	b.stop()
	b.start()
	if v := value("/app/db/password", true); v != "hunter2" {
		t.Errorf("after a restart %v", v)
	}
	ssm("DeleteParameter", object{"Name": "plain"})
	if r := ssm("DeleteParameters", object{"Names": []string{"plain", "/app/db/host"}}); at(r, "DeletedParameters", 0) != "/app/db/host" || at(r, "InvalidParameters", 0) != "plain" {
		t.Errorf("%v", r)
	}

	long := strings.Repeat("x", 4097)
	ssm("PutParameter", object{"Name": "long", "Value": long, "Type": "String", "Tier": "Intelligent-Tiering"})
	for _, x := range []struct {
		action, code, words string
		say                 object
	}{
		{"GetParameter", "ParameterNotFound", "", object{"Name": "/none"}},
		{"GetParameter", "ParameterVersionNotFound", "could not find version 7", object{"Name": "/app/db/password:7"}},
		{"GetParameter", "ValidationException", "", object{"Name": ""}},
		{"GetParameter", "ValidationException", `"Colour"`, object{"Name": "x", "Colour": "red"}},
		{"GetParameter", "SerializationException", "Name", object{"Name": 5}},
		{"DeleteParameter", "ParameterNotFound", "", object{"Name": "/none"}},
		{"PutParameter", "ParameterAlreadyExists", "overwrite", object{"Name": "/app/db/password", "Value": "x", "Type": "SecureString"}},
		{"PutParameter", "HierarchyTypeMismatchException", "", object{"Name": "/app/db/password", "Value": "x", "Type": "String", "Overwrite": true}},
		{"PutParameter", "ValidationException", "type is required", object{"Name": "new", "Value": "x"}},
		{"PutParameter", "ValidationException", "enum value set", object{"Name": "new", "Value": "x", "Type": "Number"}},
		{"PutParameter", "ValidationException", "'value'", object{"Name": "new", "Value": "", "Type": "String"}},
		{"PutParameter", "ValidationException", "4096", object{"Name": "new", "Value": long, "Type": "String"}},
		{"PutParameter", "ValidationException", "8192", object{"Name": "new", "Value": long + long, "Type": "String", "Tier": "Advanced"}},
		{"PutParameter", "ValidationException", "fully qualified", object{"Name": "a/b", "Value": "x", "Type": "String"}},
		{"PutParameter", "ValidationException", "ssm", object{"Name": "/ssm/b", "Value": "x", "Type": "String"}},
		{"PutParameter", "AccessDeniedException", "reserved", object{"Name": "/aws/service/x", "Value": "x", "Type": "String"}},
		{"PutParameter", "HierarchyLevelLimitExceededException", "", object{"Name": strings.Repeat("/a", 16), "Value": "x", "Type": "String"}},
		{"PutParameter", "ParameterPatternMismatchException", "", object{"Name": "new", "Value": "x", "Type": "String", "AllowedPattern": "^[0-9]+$"}},
		{"PutParameter", "ValidationException", "remove overwrite", object{"Name": "long", "Value": "x", "Overwrite": true, "Tags": []object{{"Key": "a", "Value": "b"}}}},
		{"GetParametersByPath", "ValidationException", "forward slash", object{"Path": "app"}},
		{"GetParametersByPath", "ValidationException", "maxResults", object{"Path": "/app", "MaxResults": 11}},
		{"GetParametersByPath", "InvalidNextToken", "", object{"Path": "/app", "NextToken": "zzz"}},
		{"DescribeParameters", "InvalidFilterKey", "", object{"ParameterFilters": []object{{"Key": "Colour", "Values": []string{"red"}}}}},
		{"GetParameters", "ValidationException", "names", object{"Names": make([]string, 11)}},
		{"PutRole", "UnknownOperationException", "", object{}},
	} {
		b.refused("ssm", x.action, x.say, x.code, x.words)
	}
	for range mostVersions {
		ssm("PutParameter", object{"Name": "/app/db/password", "Value": "x", "Overwrite": true})
	}
	r = ssm("GetParameterHistory", object{"Name": "/app/db/password", "MaxResults": 50})
	if at(r, "Parameters", 0, "Version") != 2.0 {
		t.Errorf("the oldest of 101 versions is %v", at(r, "Parameters", 0, "Version"))
	}
}

// TestJSONBodies sends what is no request.
func TestJSONBodies(t *testing.T) {
	b := newBench(t)
	for _, body := range []string{"", "[]", "null x", `{"Name":"x"} {}`, `{"Name":`, strings.Repeat(`{"Name":`, 20000), "\xff"} {
		if _, code, message := b.json("ssm", "GetParameter", body); code != "SerializationException" {
			t.Errorf("%.20q: %s %s", body, code, message)
		}
	}
	long := strings.Repeat(" ", maxBody+1)
	status, text := b.post(long, func(r *http.Request, p []byte) {
		r.Header.Set("Content-Type", jsonType)
		r.Header.Set("X-Amz-Target", "AmazonSSM.GetParameter")
		sign(t, r, p, keyOfTests, "ssm", time.Now())
	})
	if status != 400 || !strings.Contains(text, "too long") {
		t.Errorf("a body without end: %d %s", status, text)
	}
}

// TestPublicParameters looks for the catalogue's images by the names that their
// publishers give them.
func TestPublicParameters(t *testing.T) {
	b := newBench(t)
	for name, want := range map[string]string{
		"/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id":                    "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20260513",
		"/aws/service/canonical/ubuntu/server/noble/stable/current/arm64/hvm/ebs-gp3/ami-id":                    "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-arm64-server-20260513",
		"/aws/service/canonical/ubuntu/server/24.04/stable/20260211/amd64/hvm/ebs-gp3/ami-id":                   "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-20260211",
		"/aws/service/canonical/ubuntu/server/22.04/stable/current/amd64/hvm/ebs-gp2/ami-id:1":                  "ubuntu/images/hvm-ssd/ubuntu-jammy-22.04-amd64-server-20251112",
		"/aws/service/debian/release/12/latest/amd64":                                                           "debian-12-amd64-20260513-1234",
		"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64":                                 "al2023-ami-2023.9.20260513.0-kernel-6.1-x86_64",
		"/aws/service/ami-amazon-linux-latest/amzn2-ami-hvm-arm64-gp2":                                          "amzn2-ami-hvm-2.0.20260513.0-arm64-gp2",
		"/aws/service/ami-windows-latest/Windows_Server-2022-English-Full-Base":                                 "Windows_Server-2022-English-Full-Base-2026.05.13",
		"arn:aws:ssm:us-east-1::parameter/aws/service/ami-windows-latest/Windows_Server-2025-English-Full-Base": "Windows_Server-2025-English-Full-Base-2026.05.13",
	} {
		id, _ := at(b.done("ssm", "GetParameter", object{"Name": name}), "Parameter", "Value").(string)
		out, err := b.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}})
		if err != nil || aws.ToString(out.Images[0].Name) != want {
			t.Errorf("%s is %s: %v; want %s", name, id, err, want)
		}
	}
	r := b.done("ssm", "GetParametersByPath", object{"Path": "/aws/service/ami-windows-latest"})
	if l := r["Parameters"].([]any); len(l) != 5 || at(r, "Parameters", 0, "ARN") != "arn:aws:ssm:us-east-1::parameter/aws/service/ami-windows-latest/Windows_Server-2012-R2_RTM-English-64Bit-Base" {
		t.Errorf("%v", r)
	}
	b.refused("ssm", "DeleteParameter", object{"Name": "/aws/service/debian/release/12/latest/amd64"}, "ParameterNotFound", "")
	if r := b.done("ssm", "DescribeParameters", object{}); len(r["Parameters"].([]any)) != 0 {
		t.Errorf("public ones count as one's own: %v", r)
	}
}

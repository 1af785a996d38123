package ec2local

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
)

// launch is what a stranger wants: a program of its own on this machine.
const launch = "Action=RunInstances&Version=2016-11-15&MinCount=1&MaxCount=1&InstanceType=t2.micro&UserData=IyEvYmluL3NoCg==&ImageId="

// TestDoor has a request refused for each way in which it can come from somebody
// else, at every service behind the port, and sees that nothing was done.
func TestDoor(t *testing.T) {
	b := newBench(t)
	body := launch + *b.source(xenial).ImageId
	forget := func(r *http.Request) { r.Header.Del("Authorization") }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	alter := func(old, new string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, new, 1))
		}
	}
	now := time.Now()
	good := keyOfTests
	for _, x := range []struct {
		name   string
		before func(*http.Request) // is signed
		key    Key
		at     time.Time
		after  func(*http.Request) // is not
		status int
		code   string // of EC2
	}{
		{"a page's", header("Origin", "https://evil.example"), good, now, nil, 403, "AccessDenied"},
		{"a page's of no origin", header("Origin", "null"), good, now, nil, 403, "AccessDenied"},
		{"a page's of another port", header("Origin", "http://127.0.0.1:3000"), good, now, nil, 403, "AccessDenied"},
		{"an image's of a page", header("Sec-Fetch-Site", "cross-site"), good, now, nil, 403, "AccessDenied"},
		{"a page's of the same site", header("Sec-Fetch-Site", "same-site"), good, now, nil, 403, "AccessDenied"},
		{"one to a name that leads here", func(r *http.Request) { r.Host = "evil.example:4566" }, good, now, nil, 403, "AccessDenied"},
		{"one to a name like ours", func(r *http.Request) { r.Host = "127.0.0.1.evil.example" }, good, now, nil, 403, "AccessDenied"},
		{"one to another address", func(r *http.Request) { r.Host = "192.0.2.1" }, good, now, nil, 403, "AccessDenied"},
		{"an unsigned", nil, good, now, forget, 401, "AuthFailure"},
		{"another user's with a wrong secret", nil, Key{good.ID, "guessed"}, now, nil, 401, "AuthFailure"},
		{"another user's with another key", nil, Key{"AKIDOTHER", good.Secret}, now, nil, 401, "AuthFailure"},
		{"another user's with an older method", nil, good, now, header("Authorization", "AWS AKIDEXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg="), 401, "AuthFailure"},
		{"one with a second signature", nil, good, now, func(r *http.Request) { r.Header.Add("Authorization", "x") }, 401, "AuthFailure"},
		{"one with any signature", nil, good, now, func(r *http.Request) {
			a := r.Header.Get("Authorization")
			r.Header.Set("Authorization", a[:len(a)-64]+strings.Repeat("0a", 32))
		}, 401, "AuthFailure"},
		{"one with a short signature", nil, good, now, func(r *http.Request) {
			a := r.Header.Get("Authorization")
			r.Header.Set("Authorization", a[:len(a)-1])
		}, 401, "AuthFailure"},
		{"one without a scope", nil, good, now, alter("/us-east-1/", "/"), 401, "AuthFailure"},
		{"one for another region", nil, good, now, alter("/us-east-1/", "/us-west-2/"), 401, "AuthFailure"},
		{"one for no region", nil, good, now, alter("/us-east-1/", "/moon-1/"), 401, "AuthFailure"},
		{"one of an unsigned host", nil, good, now, alter(";host", ""), 401, "AuthFailure"},
		{"one that says nothing of what is signed", nil, good, now, func(r *http.Request) {
			r.Header.Set("Authorization", regexp.MustCompile(`SignedHeaders=[^,]*, `).ReplaceAllString(r.Header.Get("Authorization"), ""))
		}, 401, "AuthFailure"},
		{"one with an unsigned word to the service", nil, good, now, header("X-Amz-Target", "x"), 401, "AuthFailure"},
		{"one that was changed on its way", nil, good, now, header("Content-Type", "application/x-www-form-urlencoded"), 401, "AuthFailure"},
		{"an old", nil, good, now.Add(-16 * time.Minute), nil, 400, "RequestExpired"},
		{"a future", nil, good, now.Add(16 * time.Minute), nil, 400, "RequestExpired"},
	} {
		t.Run(x.name, func(t *testing.T) {
			for _, service := range []string{"ec2", "sts", "iam", "ssm", "secretsmanager", "admin"} {
				req := httptest.NewRequest(http.MethodPost, b.http.URL+"/", strings.NewReader(body))
				req.RequestURI = ""
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
				signed, payload := service, []byte(body)
				switch service {
				case "sts":
					payload = []byte("Action=GetCallerIdentity&Version=2011-06-15")
				case "iam":
					payload = []byte("Action=CreateRole&Version=2010-05-08&RoleName=evil&AssumeRolePolicyDocument={}")
				case "ssm", "secretsmanager":
					req.Header.Set("Content-Type", jsonType)
					req.Header.Set("X-Amz-Target", map[string]string{"ssm": "AmazonSSM.PutParameter", "secretsmanager": "secretsmanager.CreateSecret"}[service])
					payload = []byte(map[string]string{"ssm": `{"Name":"evil","Value":"x","Type":"String"}`, "secretsmanager": `{"Name":"evil","SecretString":"x"}`}[service])
				case "admin":
					signed, payload = "ec2", nil
					req.Method, req.URL.Path = http.MethodGet, "/_ec2local/inventory"
				}
				req.Body, req.ContentLength = http.NoBody, 0
				if payload != nil {
					r, _ := http.NewRequest(req.Method, "/", strings.NewReader(string(payload)))
					req.Body, req.ContentLength = r.Body, r.ContentLength
				}
				if x.before != nil {
					x.before(req)
				}
				sign(t, req, payload, x.key, signed, x.at)
				if x.after != nil {
					x.after(req)
				}
				status, text := b.send(req)
				want := x.status
				if want == 401 && x.name != "an unsigned" && strings.Contains(text, "SignatureDoesNotMatch") || x.code == "RequestExpired" && (service == "sts" || service == "iam") {
					want = 403
				}
				if strings.Contains(text, `"__type"`) {
					want = 400 // as ssm and secretsmanager say it
				}
				if status != want || (service == "ec2" || service == "admin") && !strings.Contains(text, "<Code>"+x.code+"</Code>") {
					t.Errorf("%s request to %s: %d %s; want %d %s", x.name, service, status, text, want, x.code)
				}
			}
		})
	}
	// And one whose body is not what was signed.
	if status, text := b.post(body, func(r *http.Request, _ []byte) { sign(t, r, []byte("Action=DescribeRegions"), good, "ec2", now) }); status != 401 {
		t.Errorf("a request with another body: %d %s", status, text)
	}
	for _, kind := range []string{"instance", "role", "parameter", "secret"} {
		if made := b.server.Inventory().Of(kind); len(made) > 0 {
			t.Errorf("strangers made %v", made)
		}
	}
	if status, text := b.post(body, func(r *http.Request, p []byte) { sign(t, r, p, good, "ec2", now) }); status != 200 {
		t.Errorf("the right request: %d %s", status, text)
	}
}

// TestPresigned puts the signature into the query, as the SDK does.
func TestPresigned(t *testing.T) {
	b := newBench(t)
	get := func(method, query string, k Key, at time.Time, life string, change func(url.Values)) (int, string) {
		t.Helper()
		req, _ := http.NewRequest(method, b.http.URL+"/?"+query+"&X-Amz-Expires="+life, nil)
		empty := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
		to, _, err := v4.NewSigner().PresignHTTP(ctx, aws.Credentials{AccessKeyID: k.ID, SecretAccessKey: k.Secret}, req, empty, "ec2", "us-east-1", at)
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(to)
		q := u.Query()
		if change != nil {
			change(q)
		}
		u.RawQuery = q.Encode()
		req.URL = u
		return b.send(req)
	}
	now := time.Now()
	regions := "Action=DescribeRegions&Version=2016-11-15&Filter.1.Name=region-name&Filter.1.Value.1=us-*%2B%20"
	for _, x := range []struct {
		name, method, query string
		key                 Key
		at                  time.Time
		life                string
		change              func(url.Values)
		status              int
	}{
		{"right", "GET", regions, keyOfTests, now, "60", nil, 200},
		{"still good", "GET", regions, keyOfTests, now.Add(-50 * time.Minute), "3600", nil, 200},
		{"over", "GET", regions, keyOfTests, now.Add(-2 * time.Minute), "60", nil, 400},
		{"of the future", "GET", regions, keyOfTests, now.Add(16 * time.Minute), "60", nil, 400},
		{"too long", "GET", regions, keyOfTests, now, "604801", nil, 401},
		{"without an end", "GET", regions, keyOfTests, now, "0", nil, 401},
		{"wrong secret", "GET", regions, Key{keyOfTests.ID, "x"}, now, "60", nil, 401},
		{"changed", "GET", regions, keyOfTests, now, "60", func(q url.Values) { q.Set("Filter.1.Value.1", "eu-*") }, 401},
		{"prolonged", "GET", regions, keyOfTests, now, "60", func(q url.Values) { q.Set("X-Amz-Expires", "3600") }, 401},
		{"a change by GET", "GET", launch + "ami-12345678", keyOfTests, now, "60", nil, 405},
		{"a change by PUT", "PUT", launch + "ami-12345678", keyOfTests, now, "60", nil, 405},
		{"a look by DELETE", "DELETE", regions, keyOfTests, now, "60", nil, 405},
	} {
		if status, text := get(x.method, x.query, x.key, x.at, x.life, x.change); status != x.status {
			t.Errorf("%s: %d %s; want %d", x.name, status, text, x.status)
		}
	}
}

// TestPublishedSignatures holds verification against Amazon's own test suite for
// signatures of version 4.
func TestPublishedSignatures(t *testing.T) {
	key := Key{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	for name, x := range map[string]struct{ head, body, signed, sum string }{
		"get-vanilla":                      {"GET / HTTP/1.1", "", "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		"get-vanilla-query-order-key-case": {"GET /?Param2=value2&Param1=value1 HTTP/1.1", "", "host;x-amz-date", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		"post-x-www-form-urlencoded":       {"POST / HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 13", "Param1=value1", "content-type;host;x-amz-date", "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(x.head, "\n", "\r\n") + "\r\nHost:example.amazonaws.com\r\nX-Amz-Date:20150830T123600Z\r\n" +
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=" + x.signed + ", Signature=" + x.sum + "\r\n\r\n" + x.body)))
		if err != nil {
			t.Fatal(err)
		}
		m, err := readMessage(r)
		if err != nil {
			t.Fatal(err)
		}
		s := readSignature(m)
		if s == nil || !s.covers(m) || !s.verify(m, key) {
			t.Errorf("%s: %+v is refused", name, s)
		}
		if key := (Key{key.ID, key.Secret + "x"}); s != nil && s.verify(m, key) {
			t.Errorf("%s: another secret is taken", name)
		}
	}
}

// TestTimely: the day of the scope is that of the stamp.
func TestTimely(t *testing.T) {
	at := time.Date(2015, 8, 30, 23, 59, 0, 0, time.UTC)
	for _, x := range []struct {
		date, stamp string
		want        bool
	}{
		{"20150830", "20150830T235900Z", true}, {"20150831", "20150831T000100Z", true},
		{"20150831", "20150830T235900Z", false}, {"20150829", "20150830T235900Z", false}, {"20150830", "", false}, {"20150830", "2015-08-30T23:59:00Z", false},
	} {
		if got := (&signature{date: x.date, stamp: x.stamp, lives: clockSkew}).timely(at); got != x.want {
			t.Errorf("%s, %s: %v", x.date, x.stamp, got)
		}
	}
}

// TestSession calls as a role that was taken, also at the next server.
func TestSession(t *testing.T) {
	var ahead atomic.Int64 // of the clients' clock
	b := newBench(t, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) } })
	ahead.Store(int64(-10 * time.Minute))
	_, text := b.raw("sts", "2011-06-15", "Action", "AssumeRole", "RoleArn", "arn:aws:iam::111122223333:role/ci/builder", "RoleSessionName", "job", "DurationSeconds", "900")
	field := func(name string) string {
		m := regexp.MustCompile("<" + name + ">([^<]+)<").FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no %s in %s", name, text)
		}
		return m[1]
	}
	id, secret, token := field("AccessKeyId"), field("SecretAccessKey"), field("SessionToken")
	look := func(id, secret, token string) string {
		_, err := b.DescribeRegions(ctx, &ec2.DescribeRegionsInput{}, func(o *ec2.Options) {
			o.Credentials = credentials.NewStaticCredentialsProvider(id, secret, token)
		})
		return code(err)
	}
	b.stop()
	b.start()
	for _, x := range []struct{ name, id, secret, token, want string }{
		{"its own", id, secret, token, ""},
		{"no token", id, secret, "", "AuthFailure"},
		{"the key's with the token", keyOfTests.ID, keyOfTests.Secret, token, "AuthFailure"},
		{"another secret", id, secret + "x", token, "AuthFailure"},
		{"another key", "ASIA0123456789ABCDEF", secret, token, "AuthFailure"},
		{"a changed token", id, secret, token[:len(token)-1], "AuthFailure"},
		{"a token of nobody", id, secret, "e30.e30", "AuthFailure"},
	} {
		if got := look(x.id, x.secret, x.token); got != x.want {
			t.Errorf("%s: %q, want %q", x.name, got, x.want)
		}
	}
	ahead.Store(int64(6 * time.Minute)) // 16 after it was taken
	if got := look(id, secret, token); got != "RequestExpired" {
		t.Errorf("after its time: %q", got)
	}
}

// TestOneKeyOrAny: what may call has to be said.
func TestOneKeyOrAny(t *testing.T) {
	for _, o := range []Options{{}, {Key: Key{ID: "a"}}, {Key: Key{Secret: "b"}}, {Key: keyOfTests, AnyKey: true}} {
		o.Dir = t.TempDir()
		if s, err := New(o); err == nil {
			s.Close()
			t.Errorf("%+v is taken", o)
		}
	}
	b := newBench(t, func(o *Options) { o.Key, o.AnyKey = Key{}, true })
	post := func(change func(*http.Request)) int {
		status, _ := b.post("Action=DescribeRegions&Version=2016-11-15", func(r *http.Request, p []byte) {
			sign(t, r, p, Key{"ANYBODY", "anything"}, "ec2", time.Now())
			change(r)
		})
		return status
	}
	if got := post(func(*http.Request) {}); got != 200 {
		t.Errorf("any key: %d", got)
	}
	if got := post(func(r *http.Request) { r.Header.Set("Origin", "null") }); got != 403 {
		t.Errorf("any key, from a page: %d", got)
	}
	if got := post(func(r *http.Request) { r.Host = "evil.example" }); got != 403 {
		t.Errorf("any key, to another host: %d", got)
	}
	if got := post(func(r *http.Request) { r.Header.Del("Authorization") }); got != 401 {
		t.Errorf("no key: %d", got)
	}
}

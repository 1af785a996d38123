package aws

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"github.com/imgflow/imgflow/internal/ec2local"
)

// A call of S3 is repeated when that may help, and no reply is believed that is none.
func TestS3Calls(t *testing.T) {
	w := newImportWorld(t, ec2local.Options{})
	answer := func(status int, body string, headers ...string) func(http.ResponseWriter) {
		return func(rw http.ResponseWriter) {
			for i := 0; i < len(headers); i += 2 {
				rw.Header().Set(headers[i], headers[i+1])
			}
			rw.WriteHeader(status)
			rw.Write([]byte(body))
		}
	}
	for _, x := range []struct {
		name   string
		first  func(http.ResponseWriter)
		calls  int // of those that are made: 2 if it is repeated
		refuse string
	}{
		{"throttled", answer(503, "<Error><Code>SlowDown</Code></Error>"), 2, ""},
		{"a fault of the service", answer(500, "<Error><Code>InternalError</Code></Error>"), 2, ""},
		{"a refusal at the end of a good reply", answer(200, "<Error><Code>InternalError</Code></Error>"), 2, ""},
		{"a proxy that is not ready", answer(502, "<html>Bad gateway</html>"), 2, ""},
		{"a page", answer(200, "<html>Welcome</html>"), 2, ""},
		{"cut", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, 2, ""},
		{"another answer", answer(200, "<ListPartsResult><UploadId>1</UploadId></ListPartsResult>"), 2, ""},
		{"no id", answer(200, "<InitiateMultipartUploadResult></InitiateMultipartUploadResult>"), 2, ""},
		{"a reply without end", answer(200, "<InitiateMultipartUploadResult>"+strings.Repeat("x", 2<<20)), 1, "the reply to CreateMultipartUpload is longer than 1 MiB"},
		{"a page that refuses", answer(403, "<html>Log in</html>"), 1, "HTTP 403 Forbidden, with a body that is not S3's: \"Log in\""},
		{"forbidden", answer(403, "<Error><Code>AccessDenied</Code></Error>"), 1, "the credentials lack the permission s3:PutObject"},
		{"elsewhere", answer(301, "<Error><Code>PermanentRedirect</Code><Message>x</Message></Error>", "X-Amz-Bucket-Region", "eu-west-1"), 1, "the bucket is in eu-west-1 (set region to that of the bucket)"},
		{"a region that is none", answer(301, "<Error><Code>PermanentRedirect</Code><Message>m</Message></Error>", "X-Amz-Bucket-Region", "the moon"), 1, "PermanentRedirect: m (set region"},
	} {
		began := w.front.count("CreateMultipartUpload")
		w.front.setPlay(func(rw http.ResponseWriter, action string, n int, _ url.Values) bool {
			if action == "CreateMultipartUpload" && n == began+1 {
				x.first(rw)
				return true
			}
			return false
		})
		u, err := begin("disk.raw").Do(t.Context(), w.cloud, task("imgflow-"+strings.ReplaceAll(x.name, " ", "-")))
		if x.refuse == "" && (err != nil || u.ID == "") || x.refuse != "" && (err == nil || !strings.Contains(err.Error(), x.refuse)) {
			t.Errorf("%s: %+v, %v", x.name, u, err)
		}
		if n := w.front.count("CreateMultipartUpload") - began; n != x.calls {
			t.Errorf("%s: %d calls, not %d", x.name, n, x.calls)
		}
	}
	w.front.setPlay(func(rw http.ResponseWriter, action string, n int, _ url.Values) bool {
		rw.WriteHeader(404) // of a proxy
		return true
	})
	if _, err := (Object{Place: here, Bucket: "disks", Object: "x"}).Find(t.Context(), w.cloud, task("t")); err == nil || !strings.Contains(err.Error(), "HTTP 404") {
		t.Errorf("a proxy's word is believed: %v", err)
	}
}

// AWS wants the bucket in the name of the host, others in the path.
func TestS3URLs(t *testing.T) {
	for _, x := range []struct{ region, env, bucket, key, want string }{
		{"us-east-1", "", "disks", "a b/é(1)+.raw", "https://disks.s3.us-east-1.amazonaws.com/a%20b/%C3%A9%281%29%2B.raw?uploads="},
		{"us-east-1", "", "disks.of.mine", "k", "https://s3.us-east-1.amazonaws.com/disks.of.mine/k?uploads="},
		{"cn-north-1", "", "disks", "", "https://disks.s3.cn-north-1.amazonaws.com.cn/?uploads="},
		{"us-east-1", "AWS_USE_FIPS_ENDPOINT=true", "disks", "k", "https://disks.s3-fips.us-east-1.amazonaws.com/k?uploads="},
		{"eu-west-1", "AWS_USE_DUALSTACK_ENDPOINT=true", "disks", "k", "https://disks.s3.dualstack.eu-west-1.amazonaws.com/k?uploads="},
		{"eu-west-1", "AWS_ENDPOINT_URL=http://127.0.0.1:1/", "disks", "k", "http://127.0.0.1:1/disks/k?uploads="},
		{"eu-west-1", "AWS_ENDPOINT_URL=http://127.0.0.1:1", "disks", "", "http://127.0.0.1:1/disks?uploads="},
		{"eu-west-1", "AWS_ENDPOINT_URL=http://127.0.0.1:1 AWS_ENDPOINT_URL_S3=http://127.0.0.1:2", "disks", "k", "http://127.0.0.1:2/disks/k?uploads="},
	} {
		c := NewCloud(CloudOptions{Getenv: func(name string) string {
			for kv := range strings.FieldsSeq(x.env + " AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b HOME=" + t.TempDir()) {
				if n, v, _ := strings.Cut(kv, "="); n == name {
					return v
				}
			}
			return ""
		}})
		at := must(c.at(t.Context(), Place{Region: x.region}))
		if u, err := c.s3URL(t.Context(), at, s3Call{bucket: x.bucket, key: x.key, query: url.Values{"uploads": {""}}}); err != nil || u.String() != x.want {
			t.Errorf("%s in %s with %s: %v, %v; want %s", x.key, x.region, x.env, u, err, x.want)
		}
		if b, ok := at.bulk.(*awshttp.BuildableClient); !ok || b.GetTimeout() != 0 || at.options.HTTPClient.(*awshttp.BuildableClient).GetTimeout() != time.Minute {
			t.Errorf("a long body has a time: %T", at.bulk)
		}
	}
}

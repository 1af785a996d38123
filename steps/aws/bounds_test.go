package aws

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/imgflow/imgflow/internal/ec2local"
)

// gusher is a server whose replies have no end; most is how much of one was taken.
func gusher(t *testing.T, begin string) (url string, most *atomic.Int64) {
	t.Helper()
	most = &atomic.Int64{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.WriteString(w, begin)
		for chunk, sum := bytes.Repeat([]byte("x"), 64<<10), int64(n); ; {
			n, err := w.Write(chunk)
			sum += int64(n)
			most.Store(max(most.Load(), sum))
			if err != nil || sum > 256<<20 {
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, most
}

// TestEveryServiceIsBounded: whoever gives credentials, or says whose they are, may
// send no more than EC2 may.
func TestEveryServiceIsBounded(t *testing.T) {
	for _, c := range []struct {
		name, begin string
		want        string
		access      Access
		env         func(url string) map[string]string
	}{
		{"container", `{"AccessKeyId": "`, "the reply to the request for credentials is longer than 1 MiB", Access{}, func(url string) map[string]string {
			return map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": url}
		}},
		{"metadata", "", "the reply to the request for credentials is longer than 1 MiB", Access{}, func(url string) map[string]string {
			return map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": url}
		}},
		{"role", "<AssumeRoleResponse><AssumeRoleResult><Credentials><SessionToken>", "the reply to AssumeRole holds a text longer than 256 KiB", Access{AccessKey: "a", SecretKey: "b", AssumeRole: AssumeRole{RoleARN: "arn:aws:iam::123456789012:role/r"}},
			func(url string) map[string]string { return map[string]string{"AWS_ENDPOINT_URL_STS": url} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, most := gusher(t, c.begin)
			for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED", "AWS_ENDPOINT_URL"} {
				t.Setenv(name, "")
			}
			t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
			for k, v := range c.env(url) {
				t.Setenv(k, v)
			}
			cfg, err := c.access.configure(t.Context(), home, os.Getenv, func(name string) (string, error) { return name, nil })
			if err == nil {
				_, err = cfg.Credentials.Retrieve(t.Context())
			}
			if err == nil || most.Load() == 0 || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, after %d bytes", err, most.Load())
			}
			if n := most.Load(); n > 64<<20 { // what the kernel holds on its way is some of it
				t.Errorf("it took %d MiB of a reply", n>>20)
			}
			t.Logf("%d KiB: %v", most.Load()>>10, err)
		})
	}
}

func TestHeadersAreBounded(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	w.front.setPlay(func(rw http.ResponseWriter, _ string, _ int, _ url.Values) bool {
		raw(rw, false, "HTTP/1.1 200 OK\r\n", strings.Repeat("X-Filler: "+strings.Repeat("x", 1000)+"\r\n", 400), "\r\n")
		return true
	})
	_, err := w.site().api.DescribeImages(t.Context(), &ec2.DescribeImagesInput{}, func(o *ec2.Options) { o.RetryMaxAttempts = 1 })
	if err == nil || !strings.Contains(err.Error(), "server response headers exceeded 262144 bytes") {
		t.Error(err)
	}
}

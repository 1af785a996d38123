package aws

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// pausing is a connection whose writer sleeps after each write, as on a busy
// machine.
type pausing struct{ net.Conn }

func (c pausing) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	time.Sleep(20 * time.Millisecond)
	return n, err
}

// TestQuickReply answers before net/http has gone on from the last write.
func TestQuickReply(t *testing.T) {
	const zones = 3000
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		time.Sleep(60 * time.Millisecond) // the rest is read after the client's writer woke
		io.WriteString(w, `<DescribeAvailabilityZonesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><availabilityZoneInfo>`+
			strings.Repeat("<item><zoneName>us-east-1a</zoneName></item>", zones)+`</availabilityZoneInfo></DescribeAvailabilityZonesResponse>`)
	}))
	defer srv.Close()
	client := ec2.New(ec2.Options{
		Region: "us-east-1", BaseEndpoint: &srv.URL, RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""),
		APIOptions: []func(*middleware.Stack) error{SafeBodies},
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
			dial := tr.DialContext
			tr.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := dial(ctx, network, addr)
				return pausing{c}, err
			}
		}),
	})
	for range 5 {
		out, err := client.DescribeAvailabilityZones(t.Context(), &ec2.DescribeAvailabilityZonesInput{})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.AvailabilityZones) != zones {
			t.Fatalf("%d zones", len(out.AvailabilityZones))
		}
	}
}

// TestEveryClientHasSafeBodies looks at each way in which a client is made.
func TestEveryClientHasSafeBodies(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
	cfg, err := Access{}.configure(t.Context(), "us-east-1", os.Getenv, nil)
	if err != nil {
		t.Fatal(err)
	}
	local, _, err := NewCloud(CloudOptions{Endpoint: "http://127.0.0.1:1", AccessKey: "a", SecretKey: "b"}).client(t.Context(), Access{}, "us-east-1")
	if err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string][]func(*middleware.Stack) error{
		"EC2":          Access{}.client(cfg, "us-east-1", os.Getenv, newLimiter(1)).Options().APIOptions,
		"STS":          sts.NewFromConfig(cfg).Options().APIOptions,
		"embedded EC2": local.Options().APIOptions,
	} {
		stack := middleware.NewStack(name, smithyhttp.NewStackRequest)
		stack.Finalize.Add(middleware.FinalizeMiddlewareFunc("Retry", nil), middleware.After) // what others stand before
		for _, f := range options {
			if err := f(stack); err != nil {
				t.Fatal(err)
			}
		}
		if _, ok := stack.Build.Get(safeBodies); !ok {
			t.Errorf("the client of %s loses quick replies", name)
		}
		if _, ok := stack.Deserialize.Get(boundReplies); !ok {
			t.Errorf("the client of %s believes all replies", name)
		}
	}
}

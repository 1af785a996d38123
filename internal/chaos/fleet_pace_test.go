package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// elsewhere has the fleet's calls go to its endpoint under a name that is none of this machine,
// so that they are paced as those of AWS.
func (f *fleet) elsewhere() {
	f.t.Helper()
	to, err := url.Parse(f.url)
	if err != nil {
		f.t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		body, err := io.ReadAll(r.In.Body)
		sum := sha256.Sum256(body)
		r.Out.Body = io.NopCloser(bytes.NewReader(body))
		r.Out.Header.Del("Authorization") // is for the other name
		if err = errors.Join(err, v4.NewSigner().SignHTTP(r.In.Context(), key, r.Out, hex.EncodeToString(sum[:]), "ec2", region, time.Now())); err != nil {
			f.t.Error(err)
		}
	}})
	f.t.Cleanup(proxy.Close)
	paced := []string{"AWS_ENDPOINT_URL=http://ec2.imgflow.test", "HTTP_PROXY=" + proxy.URL}
	f.crew.env, f.stage.env = paced, append(f.stage.env, paced...)
}

// TestFleetKeepsToThePace: the workers of a fleet make many images of one account at an endpoint
// that grants no more than AWS: a bucket for each call, of the published size and refill. No call
// is refused, and so there were in no time more of them than what the bucket held and was refilled
// with; though those who make the calls are killed one after another, and others begin.
func TestFleetKeepsToThePace(t *testing.T) {
	t.Parallel()
	builds := scaled(16, 50)
	f := newFleet(t, 0, "--guest", "none", "--latency", "running=2s,image=5s", "--fault", "throttle=aws")
	f.elsewhere()
	for range 3 {
		f.hire()
	}
	f.crowd(builds)
	begun := time.Now()
	p := f.submit("t.json")
	for _, m := range f.machines {
		for end := time.Now().Add(4 * time.Second); p.alive() && time.Now().Before(end); {
			time.Sleep(100 * time.Millisecond)
		}
		m.kill()
		f.replace(m)
	}
	f.ends(p, 0)
	f.leaves(builds)
	log, err := os.ReadFile(filepath.Join(f.endpoint.dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	calls := f.calls()
	t.Logf("%d builds in %s: %d calls, %v", builds, time.Since(begun).Round(100*time.Millisecond), total(calls), calls)
	if n := strings.Count(string(log), "RequestLimitExceeded"); n > 0 {
		t.Errorf("%d of %d calls were refused", n, total(calls))
	}
}

// Package conform holds the replies of an EC2 endpoint against Amazon's
// published service model.
//
// [Check] wraps a handler for tests: each reply that passes through it is
// compared with the model of its operation, and what differs fails the test.
// The clients themselves do not notice: they overlook unknown, missing and
// misspelled elements.
//
//	srv := httptest.NewServer(conform.Check(t, server))
//
// [Seen] tells which operations were compared so far in this process, for a
// test that wants none left out.
package conform

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"testing"

	"github.com/imgflow/imgflow/internal/ec2local/model"
)

var (
	mu   sync.Mutex
	seen = map[string]int{}
)

// Seen returns how often a reply of each operation was compared.
func Seen() map[string]int {
	mu.Lock()
	defer mu.Unlock()
	out := map[string]int{}
	for k, v := range seen {
		out[k] = v
	}
	return out
}

var credential = regexp.MustCompile(`Credential=[^/]+/[0-9]+/[a-z0-9-]+/([a-z0-9]+)/`)

// models are those of the services whose replies are compared.
var models = map[string]func() *model.Service{"ec2": model.EC2, "sts": model.STS, "iam": model.IAM}

// Check returns a handler that answers as h does and fails t, without ending
// it, if a reply is not what the model says. Replies of services that have no model
// here pass.
func Check(t testing.TB, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := credential.FindStringSubmatch(r.Header.Get("Authorization"))
		if m == nil || models[m[1]] == nil || r.Method != http.MethodPost {
			h.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		rec := &recorder{ResponseWriter: w, status: http.StatusOK}
		h.ServeHTTP(rec, r)
		if rec.status != http.StatusOK || rec.body.Len() == 0 {
			return // a refusal, or a connection that was cut
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Errorf("the endpoint accepted a form that is none: %v", err)
			return
		}
		for _, p := range Compare(m[1], form, rec.body.Bytes()) {
			t.Errorf("not as the model has it: %s", p)
		}
	})
}

// Compare says in what an accepted request and its reply differ from the model
// of the service.
func Compare(service string, form url.Values, reply []byte) []string {
	svc := models[service]
	action := form.Get("Action")
	if svc == nil || svc().Operations[action] == nil {
		return []string{service + " " + action + ": the model has no such operation"}
	}
	op := svc().Operations[action]
	var problems []string
	if _, err := op.Parse(form); err != nil {
		problems = append(problems, action+": accepted, but "+err.Error())
	}
	mu.Lock()
	seen[action]++
	mu.Unlock()
	return append(problems, op.Check(reply)...)
}

// A recorder passes a reply on and keeps it. It can be hijacked as what it
// wraps can, so that an endpoint may still cut connections.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

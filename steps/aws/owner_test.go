package aws

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

// TestOwnersEndure: the question that every resume asks first is asked as often
// as any other, when the answer is that there were too many.
func TestOwnersEndure(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked++; asked < 4 {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `<ErrorResponse><Error><Code>RequestLimitExceeded</Code><Message>too many</Message></Error></ErrorResponse>`)
			return
		}
		fmt.Fprint(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
	}))
	defer srv.Close()
	t.Setenv("AWS_ENDPOINT_URL_STS", srv.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
	c := NewCloud(CloudOptions{})
	c.Learn([]dag.Node{{Spec: []byte(`{"region":"us-east-1"}`)}})
	owners, err := c.Owners(context.Background())
	if err != nil || owners[""] != "111122223333" {
		t.Errorf("after %d questions: %v, %v", asked, owners, err)
	}
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/state"
)

// A run of one AWS account must not be looked for with the credentials of
// another: nothing would be found, and all of it forgotten.
func TestOtherAccountIsRefused(t *testing.T) {
	account := "111122223333"
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Account>%s</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`, account)
	}))
	defer srv.Close()
	t.Setenv("AWS_ENDPOINT_URL_STS", srv.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "y")
	home, err := state.OpenHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	run, err := home.Create(state.Summary{Status: state.Running})
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(home, &request{}, run)
	defer s.close()
	s.graph = &dag.Graph{Nodes: []dag.Node{{Name: "launch", Spec: []byte(`{"region":"us-east-1"}`)}}}
	for range 2 { // noted, then compared
		if err := s.recall(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	account = "444455556666"
	if err := s.recall(context.Background()); err == nil || !strings.Contains(err.Error(), "111122223333") {
		t.Errorf("err %v", err)
	}
	srv.Close()
	if err := s.recall(context.Background()); err == nil {
		t.Error("went on without knowing whose the credentials are")
	}
}

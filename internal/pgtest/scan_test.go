package pgtest

import (
	"strings"
	"testing"
)

// A secret is found in whatever column it is, and however long that is.
func TestSecretsAreFound(t *testing.T) {
	db := Database(t)
	s, _ := shared()
	mustQuery(t, s, db, `create schema imgflow; create table imgflow.kept (a text, b bytea, c jsonb); create table plain (n int, a text[])`)
	mustQuery(t, s, db, `insert into imgflow.kept values (repeat('x', 100000) || 'hunter-text', 'hunter-bytes'::bytea, '{"password": "hunter-\"json"}'); insert into plain values (1, '{hunter-list}')`)
	for _, secret := range []string{"hunter-text", "hunter-bytes", `hunter-"json`, "hunter-list"} {
		if err := s.Scan(db, []string{"another", secret}); err == nil || !strings.Contains(err.Error(), "table ") {
			t.Errorf("%s is not found: %v", secret, err)
		}
	}
	if err := s.Scan(db, []string{"another"}); err != nil {
		t.Error(err)
	}
	if err := s.Scan(s.URL("nosuch"), nil); err == nil || !strings.Contains(err.Error(), "nosuch") {
		t.Errorf("of a database that is not there: %v", err)
	}
}

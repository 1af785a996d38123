package aws

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/imgflow/imgflow/dag"
)

func TestCheckKeys(t *testing.T) {
	w := seeded(t, `{"regions": ["us-east-1"], "kms_keys": ["alias/a", "`+someKey+`"]}`)
	step := func(keys ...string) CheckKeys { return CheckKeys{Place: here, Keys: keys} }
	twice(t, w, step("alias/a", someKey, awsKey))
	if n := w.front.count("DescribeKey"); n != 4 {
		t.Errorf("%d calls for two keys, twice: AWS's own is not asked for", n)
	}
	fails(t, w, step("alias/none"), "cannot encrypt with alias/none in us-east-1: there is no such key in us-east-1: make it there")
	fails(t, w, step("alias/a", "no key"), "cannot encrypt with no key in us-east-1: \"no key\" is not a key id") // a sensitive one, which nobody could read before
	shared := step(awsKey)
	shared.Shared = true
	fails(t, w, shared, "AWS's own key encrypts nothing that is shared")
	var own struct{ KeyMetadata struct{ KeyId string } }
	if err := w.cloud.callJSON(t.Context(), here, keyService, "DescribeKey", map[string]string{"KeyId": awsKey}, &own); err != nil {
		t.Fatal(err)
	}
	shared.Keys = []string{own.KeyMetadata.KeyId} // by a name that does not tell
	fails(t, w, shared, "AWS's own key encrypts nothing that is shared")
	shared.Shared = false
	twice(t, w, shared)
	if err := w.cloud.callJSON(t.Context(), here, keyService, "DisableKey", map[string]string{"KeyId": someKey}, &struct{}{}); err != nil {
		t.Fatal(err)
	}
	fails(t, w, step(someKey), "the key is Disabled there: see to it that it is Enabled")
	var made struct{ KeyMetadata struct{ Arn string } }
	if err := w.cloud.callJSON(t.Context(), here, keyService, "CreateKey", map[string]string{"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}, &made); err != nil {
		t.Fatal(err)
	}
	fails(t, w, step(made.KeyMetadata.Arn), "it is a key of the kind RSA_2048 for SIGN_VERIFY")
}

// Whoever may not look at a key may use it all the same: a refusal is a warning.
func TestKeysThatNobodyShows(t *testing.T) {
	w := seeded(t, `{"kms_keys": ["alias/a"]}`)
	w.deny("DescribeKey", "User: x is not authorized to perform: kms:DescribeKey")
	log := &events{}
	b := template().encrypted("alias/a")
	r, err := w.engine(&dag.MemStore{}, log).Solve(t.Context(), w.graph(b))
	if err != nil || len(r.Failed) > 0 {
		t.Fatal(err, r.Failed)
	}
	if !log.said("the credentials lack the permission kms:DescribeKey); whether alias/a serves in us-east-1 shows when it is used") {
		t.Errorf("no warning in %+v", log.list)
	}
	w.front.setPlay(func(rw http.ResponseWriter, a string, _ int, _ url.Values) bool { return false })

	// One that KMS itself denies ends the build before anything is launched.
	b = template().encrypted("alias/none")
	b.AMIName = "image-2"
	launched := w.front.count("RunInstances")
	r, err = w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(b))
	if err != nil || len(r.Failed) != 1 || r.Failed[0].Name != "kms-keys" || w.front.count("RunInstances") != launched {
		t.Errorf("%v, %v, %d machines", err, r.Failed, w.front.count("RunInstances")-launched)
	}
}

// said reports whether an event has those words.
func (l *events) said(words string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.list {
		if strings.Contains(e.Text, words) {
			return true
		}
	}
	return false
}

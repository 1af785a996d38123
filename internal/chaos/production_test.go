package main

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

var update = flag.Bool("update", false, "draw the portrait of the example production anew")

// newProduction is a stage with the example production.
func newProduction(t *testing.T, endpoint ...string) *stage {
	t.Helper()
	folder, err := productionFolder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, append(productionEndpoint(folder), endpoint...)...)
	for _, template := range []string{"image.json", "image.pkr.hcl"} {
		if err := s.bring(folder, template, template); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// drawn holds what there is against the portrait.
func (s *stage) drawn() {
	s.t.Helper()
	if err := s.asDrawn(s.t.Context()); err != nil {
		s.t.Error(err)
	}
}

// policy binds whoever builds.
func (s *stage) policy(text string) {
	s.t.Helper()
	path := filepath.Join(s.endpoint.dir, "policy.json")
	err := os.WriteFile(path, []byte(text), 0o600)
	if at := time.Now().Add(time.Duration(len(text)) * time.Second); err == nil {
		err = os.Chtimes(path, at, at) // it is read again
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// What a production template leaves is the same in both languages, to each tag, permission and key.
func TestProductionTemplate(t *testing.T) {
	for _, template := range []string{"image.json", "image.pkr.hcl"} {
		t.Run(template, func(t *testing.T) {
			s := newProduction(t)
			s.must("run", template)
			if *update {
				text, err := s.portrait(t.Context(), productionRegions, publishedIn)
				if err == nil {
					err = os.WriteFile("testdata/production.json", []byte(text), 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
				drawn = text
			}
			s.drawn()
		})
	}
}

// One copy of three fails for good: the others stand, whole, and a resume makes that one alone. The
// first of the types has no room on the way there.
func TestProductionCopyFails(t *testing.T) {
	s := newProduction(t, "--fault", "full=m6i.large")
	s.policy(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"},
		{"Effect": "Deny", "Action": "ec2:CopyImage", "Resource": "arn:aws:ec2:eu-central-1::image/*"}]}`)
	out := s.fails(1, "run", "image.json")
	if !strings.Contains(out, "eu-central-1") || !strings.Contains(out, "ec2:CopyImage") {
		t.Errorf("it does not say what failed:\n%s", indent(out))
	}
	if !strings.Contains(out, "no room for m6i.large (spot)") {
		t.Errorf("no other type was tried:\n%s", indent(out))
	}
	is, err := s.portrait(t.Context(), productionRegions, publishedIn)
	if err != nil {
		t.Fatal(err)
	}
	if err := differs(is, without(t, drawn, "eu-central-1")); err != nil {
		t.Error(err)
	}
	before := s.calls()
	s.policy(everything)
	s.must("resume", s.only())
	s.drawn()
	made := s.calls()
	maps.DeleteFunc(made, func(call string, n int) bool {
		looks := strings.HasPrefix(call, "Describe") || strings.HasPrefix(call, "Get") || call == "ListAliases" || call == "AssumeRole"
		return looks || n == before[call]
	})
	for call, n := range map[string]int{"CopyImage": 1, "ModifyImageAttribute": 2, "EnableImageDeprecation": 1, "PutParameter": 2, "LabelParameterVersion": 1} {
		if made[call]-before[call] != n {
			t.Errorf("the resume called %s %d times, not %d", call, made[call]-before[call], n)
		}
		delete(made, call)
	}
	for _, call := range slices.Sorted(maps.Keys(made)) {
		if call != "CreateTags" && call != "DeleteTags" { // leases
			t.Errorf("the resume called %s %d times", call, made[call]-before[call])
		}
	}
}

// without is the portrait of a build that has made nothing in a region.
func without(t *testing.T, portrait, region string) string {
	t.Helper()
	lines, skip, left := strings.SplitAfter(portrait, "\n"), false, ""
	for _, l := range lines {
		if strings.HasPrefix(l, `  "`) {
			skip = strings.Contains(l, region)
		}
		if !skip || l == "}\n" {
			left += l
		}
		if l == "  ],\n" || l == "  },\n" || l == "  ]\n" || l == "  }\n" {
			skip = false
		}
	}
	return left
}

// TestKillAtCheckpointsOfProduction kills a build of the example with -9 before or after some of its
// writes, another choice each time, then resumes or destroys: at every write with -chaos.long.
func TestKillAtCheckpointsOfProduction(t *testing.T) {
	exe := imgflow(t)
	sandboxes(t, exe)
	folder, err := productionFolder(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c := &campaign{imgflow: exe, guest: "sandbox", kind: "production", production: folder, dir: worlds(t)}
	cuts := c.boundary(1)
	if !*long {
		const writes = 165 // about; of a build that was faster than its kill there is no less
		var some []cut
		for _, then := range []string{"resume", "resume", "destroy"} {
			some = append(some, cut{2 + rand.IntN(writes), []string{"before", "after"}[rand.IntN(2)], then})
		}
		cuts = c.cuts(some...)
	}
	check(t)(play(t.Context(), *workers, cuts, logged{t}))
}

// The policies that are printed for whoever builds and for the role of the other account are
// enough, and without its own the role may nothing.
func TestProductionPolicies(t *testing.T) {
	const publisher = "arn:aws:iam::210987654321:role/image-publisher"
	s := newProduction(t)
	mine, theirs := s.must("policy", "image.json"), s.must("policy", "--role", publisher, "image.json")
	if hcl := s.must("policy", "image.pkr.hcl"); hcl != mine {
		t.Errorf("in HCL2 it is %v", differs(hcl, mine))
	}
	if out := s.fails(1, "policy", "--role", "arn:aws:iam::210987654321:role/other", "image.json"); !strings.Contains(out, "the template takes "+publisher) {
		t.Errorf("of another role it says %s", out)
	}
	s.asOther("iam", url.Values{"Action": {"CreateRole"}, "Version": {"2010-05-08"}, "RoleName": {"image-publisher"}, "AssumeRolePolicyDocument": {"{}"}})
	s.policy(mine)
	out := s.fails(1, "run", "image.json")
	if n := strings.Count(out, "ssm:GetParameter"); n < len(productionRegions) || !strings.Contains(out, "210987654321") {
		t.Errorf("a role without a policy publishes:\n%s", indent(out))
	}
	s.asOther("iam", url.Values{"Action": {"PutRolePolicy"}, "Version": {"2010-05-08"}, "RoleName": {"image-publisher"}, "PolicyName": {"publish"}, "PolicyDocument": {theirs}})
	s.must("resume", s.only())
	for _, form := range []url.Values{{"Action": {"DeleteRolePolicy"}, "RoleName": {"image-publisher"}, "PolicyName": {"publish"}}, {"Action": {"DeleteRole"}, "RoleName": {"image-publisher"}}} {
		form.Set("Version", "2010-05-08")
		s.asOther("iam", form)
	}
	s.policy(everything)
	s.drawn()
	s.policy(mine)
	s.must("destroy", s.only(), "--artifacts", "--yes") // of whose rights the policy is, too
	s.policy(everything)
	if left := s.things(); left.whole() != nil || len(left.of("image")) > 0 {
		t.Errorf("left is %v", left)
	}
}

// everything is a policy without bounds.
const everything = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`

// asOther makes a call with the key of the other account.
func (s *stage) asOther(service string, form url.Values) {
	s.t.Helper()
	body := form.Encode()
	req, err := http.NewRequest(http.MethodPost, s.url+"/", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum, as := sha256.Sum256([]byte(body)), key
	as.AccessKeyID = publishedIn[1]
	if err := v4.NewSigner().SignHTTP(s.t.Context(), as, req, hex.EncodeToString(sum[:]), service, region, time.Now()); err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	if reply, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		s.t.Fatal(fmt.Errorf("%s: %s", form.Get("Action"), reply))
	}
}

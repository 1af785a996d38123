package main

import (
	"fmt"
	"syscall"
	"testing"
)

// TestManyAccounts: an image goes to many accounts in many regions, 3 % of all calls fail, and imgflow is
// killed with -9 twice while they copy. In the end each account has one image in each region, and there
// is nothing else; what removes them all leaves nothing.
func TestManyAccounts(t *testing.T) {
	t.Parallel()
	s := stageOf(t, imgflow(t), "--guest", "none", "--latency", "aws/100", "--fault", "error=0.03,seed=20")
	regions := scaled([]string{region, "eu-west-1"}, []string{region, "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2"})
	others := scaled(3, 19) // and our own
	var accounts []map[string]any
	for i := range others {
		accounts = append(accounts, map[string]any{"role_arn": fmt.Sprintf("arn:aws:iam::%012d:role/images", 200000000001+i)})
	}
	s.template(map[string]any{"communicator": "none", "ami_regions": regions[1:], "accounts": accounts})
	copies := others * len(regions)
	p := s.begin(nil, "run", "t.json")
	s.hears(p, "copying ami-")
	s.kill(p)
	p = s.begin(nil, "resume")
	p.printed(patience, func(lines []string) bool { return len(lines) > 4 })
	p.signal(syscall.SIGKILL)
	if <-p.ended; !p.killed() {
		t.Error("the resume was not killed")
	}
	s.must("resume")
	s.leaves(copies + len(regions))
	at := map[string]int{}
	for _, i := range s.things().of("image") {
		at[i.Account+" "+i.Region]++
	}
	for _, n := range at {
		if n != 1 {
			t.Errorf("images by account and region: %v", at)
			break
		}
	}
	if len(at) != copies+len(regions) {
		t.Errorf("%d accounts and regions have images", len(at))
	}
	s.must("destroy", "--artifacts", "--yes", s.only())
	s.leaves(0)
}

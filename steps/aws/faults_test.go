package aws

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/aws/ec2local"
)

// whole is a template whose build makes one of everything.
func whole() *EBS {
	b := template()
	b.Communicator = "ssh"
	b.SSH.Username = "ubuntu"
	return b
}

func TestBadWeather(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ec2local.Faults{Throttle: 0.2, Error: 0.05, Reset: 0.03, LostReply: 0.03, Lag: 500 * time.Millisecond, Seed: 7})
	w.build(&dag.MemStore{}, w.graph(whole()))
	time.Sleep(600 * time.Millisecond) // until every call sees everything
	w.only(1)
}

func TestNoRoomInOneSubnet(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	b := template()
	b.SubnetFilter.Random = true
	var tried []string
	var tokens []string
	w.front.play = func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
		if action != "RunInstances" {
			return false
		}
		tried = append(tried, form.Get("SubnetId"))
		tokens = append(tokens, form.Get("ClientToken"))
		if n < 3 {
			refuse(rw, 500, "InsufficientInstanceCapacity", "We currently do not have sufficient t2.micro capacity.")
			return true
		}
		return false
	}
	w.build(&dag.MemStore{}, w.graph(b))
	if len(tried) != 3 || tried[0] == tried[1] || tried[1] == tried[2] || tried[0] == "" {
		t.Errorf("tried %v", tried)
	}
	if tokens[0] == tokens[1] || tokens[1] == tokens[2] {
		t.Errorf("client tokens %v are not one a try", tokens)
	}
	w.only(1)
}

func TestErrorsSayWhatToDo(t *testing.T) {
	w := newWorld(t, ec2local.Faults{})
	for _, c := range []struct{ code, message, want string }{
		{"VcpuLimitExceeded", "You have requested more vCPU capacity than your limit.", "ask AWS for a higher limit"},
		{"UnauthorizedOperation", "You are not authorized.", "the permission ec2:RunInstances"},
		{"AuthFailure", "AWS was not able to validate the provided access credentials", "look at the credentials"},
		{"InvalidParameterValue", "Value (nobody) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", "Profile name (look whether iam_instance_profile exists)"},
		{"InvalidParameterValue", "Invalid value 'x' for hostId.", "Invalid value 'x' for hostId"},
	} {
		w.front.play = func(rw http.ResponseWriter, action string, n int, form url.Values) bool {
			if action == "RunInstances" {
				refuse(rw, 400, c.code, c.message)
				return true
			}
			return false
		}
		r, err := w.engine(&dag.MemStore{}, &events{}).Solve(t.Context(), w.graph(whole()))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Failed) != 1 || len(r.Left) != 0 {
			t.Fatalf("%s: failed %v, left %v", c.code, r.Failed, r.Left)
		}
		if got := r.Failed[0].Err.Error(); !strings.HasPrefix(got, "cannot launch t2.micro: "+c.code) || !strings.Contains(got, c.want) {
			t.Errorf("%s: %s", c.code, got)
		} else if strings.Contains(got, "profile") && !strings.Contains(strings.ToLower(c.message), "profile") {
			t.Errorf("%s: %s speaks of a profile where there is none", c.code, got)
		}
		w.only(0)
	}
}

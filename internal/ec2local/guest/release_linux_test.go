package guest

import (
	"os/exec"
	"testing"
)

// TestRelease: scripts that ask what they run on get one answer by every way, and
// one that names what the guest stands on.
func TestRelease(t *testing.T) {
	h := newHost(t, "sandbox")
	g := launch(t, h, spec(nil))
	g.sh("root", "lsb_release -cs; lsb_release -is; lsb_release --release --short; lsb_release -c", "0 xenial\nUbuntu\n16.04\nCodename:\txenial")
	g.sh("root", "lsb_release -sd | grep -c 'Ubuntu 16.04'; lsb_release -a 2>/dev/null | wc -l", "0 1\n4")
	g.sh("root", ". /etc/os-release; echo $VERSION_CODENAME $UBUNTU_CODENAME; . /etc/lsb-release; echo $DISTRIB_CODENAME", "0 xenial xenial\nxenial")
	g.sh("root", "lsb_release -z 2>/dev/null", "2 ")

	// The same by our own program, should the host have one.
	g.sh("root", "cat >/usr/bin/lsb_release <<'END'\n"+lsbRelease+"END\nlsb_release -cs; lsb_release -is; lsb_release --release --short; lsb_release -c", "0 xenial\nUbuntu\n16.04\nCodename:\txenial")
	g.sh("root", "lsb_release -sd | grep -c 'Ubuntu 16.04 LTS, embedded EC2 on '; lsb_release -a 2>/dev/null | wc -l; lsb_release -irs", "0 1\n4\nUbuntu\n16.04")
	g.sh("root", "lsb_release -z 2>/dev/null", "2 ")

	s := spec(nil)
	s.User, s.Release = "ec2-user", Release{ID: "amzn", Version: "2", Name: "Amazon Linux 2"}
	g = launch(t, h, s)
	g.sh("root", ". /etc/lsb-release; echo $DISTRIB_ID $DISTRIB_RELEASE", "0 Amazon 2")
	if _, err := exec.LookPath("yum"); err == nil {
		t.Skip("NOT TESTED: this host has yum, so its guests do")
	}
	for _, p := range []string{"yum", "dnf"} {
		g.sh("root", p+" install -y httpd 2>&1 | grep -c 'this guest is called Amazon Linux 2 and has the programs of .*, which has no "+p+": '; "+p+" 2>/dev/null", "1 1")
	}
}

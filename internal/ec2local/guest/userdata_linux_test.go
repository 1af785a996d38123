package guest

import (
	"strings"
	"testing"
)

func TestCloudInit(t *testing.T) {
	c, h := newClient(t), newHost(t, "sandbox")
	s := spec(c)
	s.UserData = []byte(`#cloud-config
hostname: chosen
timezone: Europe/Berlin
bootcmd: [echo booted >>/opt/boots]
write_files:
  - path: /opt/conf/a.txt
    content: |
      alpha
    owner: ubuntu:ubuntu
    permissions: '0600'
runcmd:
  - cd /opt && pwd
  - [sh, -c, 'pwd; echo "$0 $1" >>/opt/args', "a b", c]
  - sleep .3; echo late >/opt/late
  - nohup sh -c 'sleep .2; echo still printing; sleep 1000' &
`)
	g := launch(t, h, s)
	c.ssh(g, "cloud-init status --wait | tr -d .; cat /opt/late /opt/args; ls /var/lib/cloud/instance/boot-finished; hostname; sudo -n true", // no complaint about the name
		"0 status: done\nlate\na b c\n/var/lib/cloud/instance/boot-finished\nchosen")
	who := "ubuntu ubuntu"
	if one(h) {
		who = "root root"
	}
	c.ssh(g, "sudo stat -c '%a %U %G' /opt/conf/a.txt; sudo cat /opt/conf/a.txt; cat /etc/hostname", "0 600 "+who+"\nalpha\nchosen")
	g.consoleHas("/opt\n/opt\n")
	g.consoleHas("cloud-init: user data: timezone is not supported by the embedded EC2\n")
	g.consoleHas("cloud-init: finished at ")
	eventually(t, "what user data left running prints", func() bool { return strings.Contains(string(g.Console()), "still printing\n") })
	c.ssh(g, "sudo grep -c 'still printing' /var/log/cloud-init-output.log", "0 1")

	// Not again at a reboot, but again in a guest of its image.
	c.cmd(g, "ssh", c.at(g), "sudo rm /opt/late && sudo reboot").Run()
	g.exit(Reboot)
	g.boot()
	c.ssh(g, "cloud-init status --wait >/dev/null; ls /opt/late 2>/dev/null; hostname; cat /opt/boots", "0 chosen\nbooted\nbooted")
	g.stop()
	s2 := spec(c)
	s2.Layers = g.freeze()
	s2.UserData = []byte("#!/bin/bash\nexec > >(tee /var/log/user-data.log | logger -t user-data -s 2>/dev/console) 2>&1\nsleep .3\n[[ -e /var/lib/cloud/instance/boot-finished ]] && echo too early\necho said by $0 as $(id -u); exit 3\n")
	g2 := launch(t, h, s2)
	c.ssh(g2, "while [ ! -f /var/lib/cloud/instance/boot-finished ]; do sleep .05; done; cloud-init status", "1 status: error")
	eventually(t, "the script's output", func() bool { return strings.Contains(string(g2.Console()), "said by /var/lib/cloud/instance") })
	if strings.Contains(string(g2.Console()), "too early") {
		t.Error("boot-finished of the image's first life was seen")
	}
	g2.consoleHas("cloud-init: part-001 failed: exit status 3\n")
	c.ssh(g2, "cloud-init query x", "1 cloud-init: query x: the embedded EC2 has only `cloud-init status [--wait] [--long]` and `cloud-init clean`")
	c.ssh(g2, "sudo cloud-init clean --logs && ls /var/lib/cloud", "0 ")
}

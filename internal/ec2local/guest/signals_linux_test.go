package guest

import (
	"bytes"
	"os/signal"
	"syscall"
	"testing"
)

// TestSignals: what runs in a guest ignores no signal because its server does,
// as it does under nohup.
func TestSignals(t *testing.T) {
	const none = "grep -cx 'SigIgn:.0*' /proc/self/status"
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE, syscall.SIGCONT)
	defer signal.Reset(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE, syscall.SIGCONT)
	const sigrtmin = 34 // the runtime leaves it alone
	var old sigaction
	action(sigrtmin, &sigaction{handler: sigIgnore}, &old)
	defer action(sigrtmin, &old, nil)
	for _, kind := range []string{"sandbox", "process"} {
		c, h := newClient(t), newHost(t, kind)
		s := spec(c)
		s.UserData = []byte("#!/bin/sh\necho booted with $(" + none + ")\n")
		g := launch(t, h, s)
		c.ssh(g, none, "0 1")
		c.want(c.cmd(g, "ssh", "-tt", c.at(g), none), "0 1")
		eventually(t, "a boot with fresh signals", func() bool { return bytes.Contains(g.Console(), []byte("booted with 1")) })
		if kind == "sandbox" { // nor do services whose start was asked for under nohup
			g.sh("root", "printf '[Service]\\nType=oneshot\\nExecStart=/bin/grep -cx SigIgn:.0* /proc/self/status\\n' >/etc/systemd/system/s.service; nohup systemctl start s; cat /var/log/units/s.log", "0 1")
		}
		g.stop()
	}
}

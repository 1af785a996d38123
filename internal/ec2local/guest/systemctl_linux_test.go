package guest

import (
	"strings"
	"testing"
)

func TestSystemctl(t *testing.T) {
	c, h := newClient(t), newHost(t, "sandbox")
	g := launch(t, h, spec(c))
	file := func(path, text string) {
		t.Helper()
		cmd := c.cmd(g, "ssh", c.at(g), "sudo tee "+path+" >/dev/null && sudo chmod +x "+path)
		cmd.Stdin = strings.NewReader(text)
		c.want(cmd, "0 ")
	}
	user := "User=ubuntu\n"
	if one(h) {
		user = ""
	}
	file("/etc/default/web", "WORDS=\"x y\"\nNAME='web one'\n")
	file("/etc/systemd/system/web.service", `[Unit]
Description=Web
[Service]
`+user+`Environment="A=1 2" B=3
EnvironmentFile=-/etc/default/web
EnvironmentFile=-/etc/default/none
RuntimeDirectory=web
StateDirectory=web
WorkingDirectory=/var/lib/web
ExecStartPre=-/bin/false
ExecStartPre=+/bin/sh -c 'id -u >/var/lib/web/pre'
ExecStart=/bin/sh -c 'id -un; pwd; echo "$$A|$$B|$0|$1|$2"; trap "echo hup" HUP; echo hup-ready; while :; do sleep .05; done' ${NAME} $WORDS
ExecReload=/bin/kill -HUP $MAINPID
ExecStopPost=/bin/sh -c 'echo over'
[Install]
WantedBy=multi-user.target
Alias=site.service
`)
	c.ssh(g, "systemctl is-enabled web; systemctl is-active web", "3 disabled\ninactive")
	if !one(h) {
		c.ssh(g, "systemctl start web", "1 interactive authentication is not supported by the embedded EC2: use sudo")
	}
	c.ssh(g, "sudo systemctl daemon-reload && sudo systemctl enable --now web 2>&1", "0 Created symlink /etc/systemd/system/multi-user.target.wants/web.service -> /etc/systemd/system/web.service.\n"+
		"Created symlink /etc/systemd/system/site.service -> /etc/systemd/system/web.service.")
	c.ssh(g, "systemctl is-enabled web; systemctl is-active web.service site | uniq; systemctl show -p MainPID --value web | xargs ps -o stat= -p | cut -c1 | tr R S; stat -c %a /run/web", "0 enabled\nactive\nS\n755")
	who := "ubuntu"
	if one(h) {
		who = "root"
	}
	log := "sudo cat /var/log/units/web.log"
	logs := func(line string) {
		t.Helper()
		eventually(t, line+" in the log", func() bool { _, code := g.run("root", "grep -qx "+line+" /var/log/units/web.log"); return code == 0 })
	}
	logs("hup-ready")
	c.ssh(g, log+"; sudo cat /var/lib/web/pre", "0 "+who+"\n/var/lib/web\n1 2|3|web one|x|y\nhup-ready\n0")
	c.ssh(g, "sudo systemctl reload web; systemctl status web | head -2", "0 * web.service - Web\n     Loaded: loaded (/etc/systemd/system/web.service; enabled)")
	logs("hup")
	c.ssh(g, "sudo systemctl restart web && sudo service web status >/dev/null && sudo service web restart && systemctl is-active web", "0 active")

	// It is there again after a reboot, and in a guest of the image.
	c.cmd(g, "ssh", c.at(g), "sudo reboot").Run()
	g.exit(Reboot)
	g.boot()
	c.ssh(g, "cloud-init status --wait >/dev/null; systemctl is-active web; sudo systemctl stop web; systemctl is-active web; "+log+" | tail -1; pgrep -c hup-ready", "1 active\ninactive\nover\n0")
	c.ssh(g, "sudo systemctl disable web 2>/dev/null; systemctl is-enabled web; sudo systemctl mask web && sudo systemctl start web", "1 disabled\ncannot mask web.service: /etc/systemd/system/web.service is a file")

	// Readiness, failure, restarts.
	file("/usr/local/bin/ready", `#!/usr/bin/perl
use Socket; socket(my $s, AF_UNIX, SOCK_DGRAM, 0); sleep 1; open(my $f, ">", "/run/was-ready"); close $f;
send($s, "READY=1\nSTATUS=fine", 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die; sleep 1000;
`)
	file("/etc/systemd/system/ready.service", "[Service]\nType=notify\nExecStart=/usr/local/bin/ready\n")
	c.ssh(g, "sudo systemctl start ready && ls /run/was-ready", "0 /run/was-ready")
	file("/etc/systemd/system/bad.service", "[Service]\nExecStart=/bin/sh -c 'echo broken; exit 4'\n")
	c.ssh(g, "sudo systemctl start bad 2>&1; systemctl is-failed bad; systemctl status bad | tail -1",
		"0 cannot start bad.service: /bin/sh -c 'echo broken; exit 4' ended before it was up: exit status 4; see /var/log/units/bad.log\nfailed\nbroken")
	file("/etc/systemd/system/again.service", "[Service]\nRestart=on-failure\nRestartSec=50ms\nExecStart=/bin/sh -c 'echo x >>/run/tries; sleep .2; test $(wc -l </run/tries) -ge 3 && exec sleep 1000'\n")
	c.ssh(g, "sudo systemctl start again; while [ $(wc -l </run/tries) -lt 3 ]; do sleep .05; done; sleep .4; systemctl is-active again; wc -l </run/tries", "0 active\n3")
	file("/etc/systemd/system/once.service", "[Unit]\nConditionPathExists=!/run/no\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo 1 >>/run/once'\nExecStart=/bin/sh -c 'echo 2 >>/run/once'\n")
	c.ssh(g, "sudo systemctl start once once; systemctl is-active once; tr '\\n' ' ' </run/once", "0 active\n1 2")
	file("/usr/local/bin/daemon", "#!/bin/sh\n(setsid sh -c 'echo $$ >/run/d.pid; exec sleep 54321' >/dev/null 2>&1 &)\nuntil pgrep -f '^sleep 54321' >/dev/null; do sleep .05; done\n")
	file("/etc/systemd/system/d.service", "[Service]\nType=forking\nPIDFile=/run/d.pid\nExecStart=/usr/local/bin/daemon\n")
	c.ssh(g, "sudo systemctl start d && pgrep -f '^sleep 54321' | diff - /run/d.pid && systemctl is-active d; sudo systemctl stop d; pgrep -f '^sleep 54321'", "1 active")

	// One that puts a new process in its place goes on, by its PID file or by what it
	// tells. A number that is left in the file from before is no process of the unit.
	file("/usr/local/bin/swap", `#!/bin/sh
if [ "$1" = serve ]; then
	printf '%s\nmore\n' $$ >/run/swap.pid
	trap '"$0" serve >/dev/null 2>&1 & until n=$(head -n1 /run/swap.pid); [ "${n:-$$}" != $$ ]; do sleep .05; done; exit 0' USR2
	while :; do sleep .05; done
fi
(sleep .5; exec setsid "$0" serve) >/dev/null 2>&1 &
`)
	file("/etc/systemd/system/swap.service", "[Service]\nType=forking\nPIDFile=/run/swap.pid\nExecStart=/usr/local/bin/swap\n")
	const moved = `main() { systemctl show -p MainPID --value $1; }; old=$(main $1); test $old = $(head -n1 /run/$1.pid) || { echo "main is $old"; exit; }
kill -USR2 $old; while [ -e /proc/$old ]; do sleep .05; done; until [ $(main $1) != $old ]; do sleep .05; done
systemctl is-active $1; test $(main $1) = $(head -n1 /run/$1.pid) && echo moved; systemctl stop $1; pgrep -cf "^(/bin/sh|/usr/bin/perl) /usr/local/bin/$1"; ls /run/$1.pid 2>/dev/null`
	g.sh("root", "echo 1 >/run/swap.pid; systemctl start swap; set swap; "+moved, "2 active\nmoved\n0")
	file("/usr/local/bin/tell", `#!/usr/bin/perl
use Socket; sub tell_ { socket(my $s, AF_UNIX, SOCK_DGRAM, 0); send($s, $_[0], 0, sockaddr_un($ENV{NOTIFY_SOCKET})) or die }
sub note { open(my $f, ">", "/run/tell.pid"); print $f "$_[0]\n"; close $f }
note($$); $SIG{USR2} = sub { my $p = fork; if ($p) { note($p); tell_("MAINPID=$p"); exit 0 } }; tell_("READY=1"); sleep 1 while 1;
`)
	file("/etc/systemd/system/tell.service", "[Service]\nType=notify\nExecStart=/usr/local/bin/tell\n")
	g.sh("root", "systemctl start tell; set tell; "+moved+"; rm /run/tell.pid", "0 active\nmoved\n0\n/run/tell.pid")
	file("/etc/systemd/system/multi@.service", "[Service]\nExecStart=/bin/sleep 9%i\n")
	c.ssh(g, "sudo systemctl start multi@77 && pgrep -xf '/bin/sleep 977' >/dev/null && systemctl is-active multi@77", "0 active")

	// Scripts of /etc/init.d.
	file("/etc/init.d/old", "#!/bin/sh\ncase $1 in start) setsid sleep 12121 >/dev/null 2>&1 & until $0 status; do sleep .05; done;; stop) pkill -f '^sleep 12121';; status) pgrep -f '^sleep 12121' >/dev/null;; hello) echo hi;; *) exit 2;; esac\n")
	c.ssh(g, "sudo service old start && systemctl is-active old; sudo service old hello; sudo service old stop; pgrep -f '^sleep 12121'", "1 active\nhi")

	// What is not there says so.
	c.ssh(g, "systemctl list-timers", "1 systemctl: list-timers is not supported by the embedded EC2")
	c.ssh(g, "systemctl --user start x", "1 systemctl: option --user is not supported by the embedded EC2")
	c.ssh(g, "sudo systemctl start nothing", "5 cannot start nothing.service: unit not found")
	c.ssh(g, "service nothing start", "1 service: nothing: unrecognized service")
	file("/etc/systemd/system/t.timer", "[Timer]\nOnBootSec=1\n")
	c.ssh(g, "sudo systemctl start t.timer", "1 cannot start t.timer: only services and targets are supported by the embedded EC2")
	c.ssh(g, "sudo systemctl restart sshd", "0 sshd.service: the SSH server of this machine is the embedded EC2's own; it runs")
	c.ssh(g, "sudo systemctl stop ssh", "1 cannot stop ssh.service: not supported by the embedded EC2")
	g.run("root", "systemctl poweroff")
	g.exit(PowerOff)
}

func TestSplitWords(t *testing.T) {
	for in, want := range map[string]string{
		`a  b`:           "a|b",
		`a 'b c' "d\"e"`: `a|b c|d"e`,
		`x\ y ''`:        "x y|",
		`a='b c'd`:       "a=b cd",
	} {
		got, err := splitWords(in)
		if err != nil || strings.Join(got, "|") != want {
			t.Errorf("%s: %q %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{`a 'b`, `a\`} {
		if got, err := splitWords(in); err == nil {
			t.Errorf("%s: %q", in, got)
		}
	}
}

package guest

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProcess(t *testing.T) {
	c := newClient(t)
	dir := t.TempDir()
	h := reopen(t, "process", dir)
	if h.Name() != "process" || !strings.Contains(Limits(h), "NOT contained") {
		t.Errorf("%s: %s", h.Name(), Limits(h))
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", "hush")
	s := spec(c)
	s.UserData = []byte("#cloud-config\nwrite_files:\n- {path: /home/ubuntu/f, content: x}\n- {path: /etc/process-guest, content: x}\npackages: [x]\nruncmd: ['echo ran $(pwd) >>out']\n")
	g := launch(t, h, s)
	home := filepath.Join(dir, "guests", g.Machine.(*processMachine).id, "root")
	eventually(t, "user data", func() bool { return bytes.Contains(g.Console(), []byte("cloud-init: finished")) })
	c.ssh(g, "pwd; echo $HOME; cat f out; echo ${AWS_SECRET_ACCESS_KEY:-clean}; exit 4", "4 "+home+"\n"+home+"\nxran "+home+"\nclean")
	g.consoleHas("write_files outside of /home/ubuntu/ (/etc/process-guest) in a process guest is not supported")
	g.consoleHas("packages in a process guest is not supported")
	if _, err := os.Stat("/etc/process-guest"); err == nil {
		t.Error("user data wrote to the machine")
	}
	c.want(c.cmd(g, "ssh", "-tt", c.at(g), "test -t 0 && stty size >/dev/null && sudo -n sh -c 'echo $HOME'"), "0 "+home)
	c.want(c.cmd(g, "ssh", "other@"+g.spec.Addr, "true"), "255 other@"+g.spec.Addr+": Permission denied (publickey).")
	local := filepath.Join(c.dir, "local")
	os.WriteFile(local, []byte("local\n"), 0o640)
	for _, mode := range []string{"-O", "-s"} {
		c.want(c.cmd(g, "scp", mode, "-q", local, c.at(g)+":up"+mode), "0 ")
		c.ssh(g, "cat up"+mode, "0 local")
	}
	long := c.cmd(g, "ssh", c.at(g), "setsid sleep 13579 >/dev/null 2>&1 </dev/null & echo $!; sleep 1000")
	out, _ := long.StdoutPipe()
	if err := long.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { long.Process.Kill(); long.Wait() }()
	out.Read(make([]byte, 10))
	eventually(t, "what left its session is known", func() bool { return len(g.Machine.(*processMachine).marked()) >= 2 })
	c.cmd(g, "ssh", c.at(g), "sudo reboot").Run()
	g.exit(Reboot)
	if left := g.Machine.(*processMachine).marked(); len(left) > 0 {
		t.Errorf("processes %d are left", left)
	}
	g.boot()
	c.ssh(g, "cat out", "0 ran "+home) // user data has not run again
	img := g.freeze()
	s2 := spec(c)
	s2.Layers = img
	g2 := launch(t, h, s2)
	c.ssh(g2, "cat f; rm f", "0 x")
	c.ssh(g, "cat f", "0 x")
	c.cmd(g, "ssh", c.at(g), "sudo shutdown -h now").Run()
	g.exit(PowerOff)
	var b bytes.Buffer
	if err := h.Export(context.Background(), &b, img); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for tr := tar.NewReader(&b); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names[h.Name] = true
	}
	if !names["f"] || !names[".ssh/authorized_keys"] {
		t.Errorf("the tar has %v", names)
	}
	if err := g.Remove(context.Background()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Dir(home)); err == nil {
		t.Error("the guest's files are still there")
	}
}

// A guest has its port from the start, and resets who comes before its time.
func TestPace(t *testing.T) {
	for _, kind := range []string{"process", "sandbox"} {
		t.Run(kind, func(t *testing.T) {
			s := spec(nil)
			s.Pace = time.Second
			h, begun := newHost(t, kind), time.Now()
			g := launch(t, h, s)
			resets, hello := 0, make([]byte, 8)
			eventually(t, "SSH", func() bool {
				c, err := net.Dial("tcp", net.JoinHostPort(s.Addr, strconv.Itoa(g.Ports()["ssh"])))
				if errors.Is(err, syscall.ECONNREFUSED) {
					t.Fatal("its port is not taken")
				}
				if err == nil {
					defer c.Close()
					_, err = io.ReadFull(c, hello)
				}
				if err != nil {
					resets++
				}
				return err == nil
			})
			if took := time.Since(begun); took < s.Pace || string(hello) != "SSH-2.0-" {
				t.Errorf("%q after %s and %d resets", hello, took, resets)
			}
		})
	}
}

package provision

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
	"github.com/imgflow/imgflow/steps/comm/sshproxy"
)

// way is how Ansible gets to the machine.
type way struct {
	host, user string
	port       int
	windows    bool
	line       dag.Text       // of the inventory
	vars       map[string]any // stronger than any inventory
	ssh        []string       // arguments of ssh, sftp and scp
	lost       func() bool    // has the connection been lost since this was asked last
	err        func() error   // why there could be none
	close      func()
}

func (s Ansible) way(ctx context.Context, e *comm.Env, v values, dir string) (*way, error) {
	w := &way{host: v.m.Host, port: v.m.Port, vars: map[string]any{}, close: func() {},
		lost: func() bool { return false }, err: func() error { return nil }}
	user, err := v.render("user", s.User, nil)
	if err != nil {
		return nil, err
	}
	w.user = user
	switch {
	case pathsOf(v.m).windows():
		if s.UseProxy != nil && *s.UseProxy {
			v.t.Warn("use_proxy has no effect: the proxy is for SSH, and this machine is reached over WinRM")
		}
		err = s.winrm(w, v)
	case s.UseProxy == nil || *s.UseProxy:
		err = s.proxy(w, e, v, dir)
	default:
		err = s.straight(ctx, w, e, v, dir)
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("cannot lead Ansible to the machine: %w", err)
	}
	return w, nil
}

// lineOf is a line of the inventory whose fields are filled in later.
func lineOf(more string) dag.Text {
	return dag.Word("{{ .HostAlias }}") + " ansible_host=" + dag.Word("{{ .Host }}") + " ansible_port=" + dag.Word("{{ .Port }}") +
		" ansible_user=" + dag.Word("{{ .User }}") + dag.Text(more)
}

// knows makes ssh verify the machine by these keys, and take others as before: those of
// hosts that a playbook goes to besides are the user's business.
func (w *way) knows(dir string, keys []string) error {
	host := w.host
	if w.port != 22 {
		host = "[" + w.host + "]:" + strconv.Itoa(w.port)
	}
	var b strings.Builder
	for _, key := range keys {
		b.WriteString(host + " " + strings.TrimSpace(key) + "\n")
	}
	file := filepath.Join(dir, "known_hosts")
	w.ssh = append(w.ssh, "-o", `UserKnownHostsFile="`+file+`" ~/.ssh/known_hosts`, "-o", "StrictHostKeyChecking=accept-new")
	return os.WriteFile(file, []byte(b.String()), 0o600)
}

// proxy leads through a server of ours.
func (s Ansible) proxy(w *way, e *comm.Env, v values, dir string) error {
	sftp, err := v.render("sftp_command", s.SFTPCommand, nil)
	if err != nil {
		return err
	}
	p, err := proxyOptions{KeyType: s.AnsibleProxyKeyType, HostKey: s.SSHHostKeyFile, Client: s.SSHAuthorizedKeyFile,
		SFTP: sftp, Address: s.ProxyBindAddress, Port: s.LocalPort}.listen(e, v, dir)
	if err != nil {
		return err
	}
	if p.keyFile != "" {
		w.vars["ansible_ssh_private_key_file"] = p.keyFile
	}
	w.close, w.err, w.lost = p.Close, p.Err, p.lost
	w.host, w.port = cmp.Or(s.ProxyHost, "127.0.0.1"), p.Port()
	w.user = cmp.Or(w.user, userHere(e), v.m.SSH.Username)
	w.line = lineOf("")
	return w.knows(dir, []string{string(ssh.MarshalAuthorizedKey(p.hostKey))})
}

// straight lets Ansible's ssh connect by itself, with a key that it cannot read.
func (s Ansible) straight(ctx context.Context, w *way, e *comm.Env, v values, dir string) error {
	w.user = cmp.Or(w.user, v.m.SSH.Username)
	w.line = lineOf("")
	if err := w.knows(dir, v.m.HostKeys); err != nil {
		return err
	}
	switch {
	case v.m.SSH.KeyName != "":
		text, err := v.of().PrivateKey()
		if err != nil {
			return err
		}
		socket, public := filepath.Join(dir, "agent"), filepath.Join(dir, "key.pub")
		a, err := sshproxy.ServeAgent(socket, []byte(text))
		if err != nil {
			return err
		}
		w.close = a.Close
		if err := os.WriteFile(public, ssh.MarshalAuthorizedKey(a.Public), 0o600); err != nil {
			return err
		}
		w.ssh = append(w.ssh, "-o", "IdentityAgent="+socket)
		w.vars["ansible_ssh_private_key_file"] = public
	case v.m.SSH.PrivateKeyFile != "":
		w.vars["ansible_ssh_private_key_file"] = v.m.SSH.PrivateKeyFile
		if v.m.SSH.CertificateFile != "" {
			w.ssh = append(w.ssh, "-o", "CertificateFile="+v.m.SSH.CertificateFile)
		}
	case v.m.SSH.Password != "":
		password, err := v.t.Reveal(v.m.SSH.Password)
		if err != nil {
			return err
		}
		w.vars["ansible_password"] = password
	}
	// Our own connection goes to the same machine: what becomes of it tells of Ansible's.
	lost := &atomic.Bool{}
	watch := func() (release func(), err error) {
		ch, err := e.Channel(ctx, v.t, v.m)
		if err != nil {
			return nil, err
		}
		letting := &atomic.Bool{}
		go func() {
			ssh.DiscardRequests(ch.Requests)
			if !letting.Load() {
				lost.Store(true)
			}
		}()
		return func() { letting.Store(true); ch.Release() }, nil
	}
	release, err := watch()
	if err != nil {
		return err
	}
	w.lost = func() bool {
		if !lost.Swap(false) {
			return false
		}
		release()
		again, err := watch()
		if err != nil {
			return false
		}
		release = again
		return true
	}
	closeAgent := w.close
	w.close = func() {
		release()
		endMasters(e, dir)
		closeAgent()
	}
	return nil
}

// endMasters ends the connections that ssh would keep for a minute more.
func endMasters(e *comm.Env, dir string) {
	sockets, _ := filepath.Glob(filepath.Join(dir, "cp", "*"))
	for _, socket := range sockets {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		cmd := exec.CommandContext(ctx, e.LookPath("ssh"), "-O", "exit", "-o", "ControlPath="+socket, "machine")
		cmd.Env = e.Environ
		cmd.Run() // it ends by itself, too
		cancel()
	}
}

// winrm lets Ansible connect by itself, as the communicator does.
func (s Ansible) winrm(w *way, v values) error {
	o := v.m.WinRM
	w.windows = true
	w.user = cmp.Or(w.user, o.Username)
	password, err := v.t.Reveal(o.Password)
	if err != nil {
		return err
	}
	w.vars["ansible_password"] = password
	transport, scheme := "basic", "http"
	if o.UseNTLM {
		transport = "ntlm"
	}
	if o.UseSSL && !s.WinRMUseHTTP {
		scheme = "https"
		switch {
		case o.CAFile != "":
			w.vars["ansible_winrm_ca_trust_path"] = o.CAFile
		case o.Insecure: // pywinrm cannot be told of one certificate
			w.vars["ansible_winrm_server_cert_validation"] = "ignore"
		}
	}
	if s.WinRMUseHTTP {
		w.vars["ansible_winrm_scheme"] = "http"
	}
	w.line = lineOf(" ansible_connection=winrm ansible_shell_type=powershell ansible_winrm_transport=" + transport + " ansible_winrm_scheme=" + scheme)
	return nil
}

package comm

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/imgflow/imgflow/dag"
)

// Report takes what is wrong with options, as steps.OptionErrors does.
type Report interface {
	Add(field, format string, a ...any)  // refuses an option
	Idle(field, format string, a ...any) // tells of one that has no effect
}

// Check reports what is wrong with the options, without reaching anything but
// local files.
func (s SSH) Check(r Report) {
	if s.Username == "" {
		r.Add("ssh_username", "must be set: the name to log in with, such as ec2-user or ubuntu")
	}
	port := func(field string, p int) {
		if p < 0 || p > 65535 {
			r.Add(field, "%d is not a port number", p)
		}
	}
	port("ssh_port", s.Port)
	port("ssh_bastion_port", s.BastionPort)
	port("ssh_proxy_port", s.ProxyPort)
	keyPair := func(prefix, key, cert string) {
		if key == "" {
			if cert != "" {
				r.Add(prefix+"certificate_file", "needs %sprivate_key_file", prefix)
			}
			return
		}
		if strings.Contains(key+cert, dag.MarkOpen) {
			return
		}
		if _, err := fileSigner(home(key), home(cert), prefix); err != nil {
			field := prefix + "private_key_file"
			if strings.Contains(err.Error(), "certificate") {
				field = prefix + "certificate_file"
			}
			r.Add(field, "%v", err)
		}
	}
	keyPair("ssh_", s.PrivateKeyFile, s.CertificateFile)
	if s.Timeout < 0 {
		r.Add("ssh_timeout", "must not be negative")
	}
	if s.HandshakeAttempts < 0 {
		r.Add("ssh_handshake_attempts", "must not be negative")
	}
	if s.ReadWriteTimeout < 0 {
		r.Add("ssh_read_write_timeout", "must not be negative")
	}
	good, weak := ssh.SupportedAlgorithms(), ssh.InsecureAlgorithms()
	algos := func(field string, names, known, more []string) {
		for i, n := range names {
			if !slices.Contains(known, n) && !slices.Contains(more, n) {
				r.Add(fmt.Sprintf("%s[%d]", field, i), "%q is not known; known are %s", n, strings.Join(slices.Concat(known, more), ", "))
			}
		}
	}
	algos("ssh_ciphers", s.Ciphers, good.Ciphers, weak.Ciphers)
	algos("ssh_key_exchange_algorithms", s.KeyExchanges, good.KeyExchanges, weak.KeyExchanges)
	if m := s.FileTransferMethod; m != "" && m != "scp" && m != "sftp" {
		r.Add("ssh_file_transfer_method", "%q is not known; use scp or sftp", m)
	}
	if k := s.HostKey; k != "" && k != "preset" && k != "console" && k != "first-use" {
		r.Add("ssh_host_key", "%q is not known; use preset, console or first-use", k)
	}
	if s.BastionHost != "" {
		if s.BastionUsername == "" {
			r.Add("ssh_bastion_username", "must be set when ssh_bastion_host is")
		}
		if l := s.bastionLogin(); l.password == "" && l.keyFile == "" && !l.agent && l.asks == "" {
			r.Add("ssh_bastion_host", "needs ssh_bastion_password, ssh_bastion_private_key_file, ssh_bastion_agent_auth or ssh_bastion_interactive")
		}
		if s.BastionPrivateKeyFile != "" {
			keyPair("ssh_bastion_", s.BastionPrivateKeyFile, s.BastionCertificateFile)
		}
		if s.ProxyHost != "" {
			r.Add("ssh_proxy_host", "cannot be used together with ssh_bastion_host")
		}
	}
	s.unusedParts(r)
	checkForwards(r, "ssh_remote_tunnels", s.RemoteTunnels)
	checkForwards(r, "ssh_local_tunnels", s.LocalTunnels)
	if s.ProxyHost != "" && s.ProxyUsername == "" && s.ProxyPassword != "" {
		r.Add("ssh_proxy_username", "must be set when ssh_proxy_password is")
	}
}

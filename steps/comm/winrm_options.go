package comm

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/internal/localfile"
)

// WinRM holds the options of the communicator winrm, under the names that
// templates use.
type WinRM struct {
	// The address to connect to. Default: that of the machine.
	Host string `json:"winrm_host,omitempty"`
	// The port to connect to. Default: 5985, or 5986 with TLS.
	Port int `json:"winrm_port,omitempty"`
	// The user to log in as, such as Administrator.
	Username string `json:"winrm_username,omitempty"`
	// The password to log in with. Default: on AWS the one that the machine makes.
	Password dag.Secret `json:"winrm_password,omitempty"`
	// Connects over HTTPS. Default: `false`.
	UseSSL bool `json:"winrm_use_ssl,omitempty"`
	// Takes the certificate that is seen first, whoever signed it, and only that from then on. Default: `false`.
	Insecure bool `json:"winrm_insecure,omitempty"`
	// A PEM file of who may sign the machine's certificate, or of the certificate itself. Default: the system's.
	CAFile string `json:"winrm_ca_file,omitempty" option:"file"`
	// Logs in by NTLM, with sealed messages over HTTP. Default: `false`.
	UseNTLM bool `json:"winrm_use_ntlm,omitempty"`
	// Connects without the proxy that the environment names. Default: `false`.
	NoProxy bool `json:"winrm_no_proxy,omitempty"`
	// How long to wait until the machine answers. Default: `30m`.
	Timeout time.Duration `json:"winrm_timeout,omitempty" key:"-"`
}

// Login is how to log in to a machine that made its own password.
type Login struct {
	Password string `json:"password"` // the name of the password in the vault
}

// Check reports what is wrong with the options, without reaching anything but
// local files.
func (s WinRM) Check(r Report) {
	if s.Username == "" {
		r.Add("winrm_username", "must be set: the name to log in with, such as Administrator")
	}
	if s.Port < 0 || s.Port > 65535 {
		r.Add("winrm_port", "%d is not a port number", s.Port)
	}
	if s.Timeout < 0 {
		r.Add("winrm_timeout", "must not be negative")
	}
	if s.Insecure && !s.UseSSL {
		r.Idle("winrm_insecure", "without winrm_use_ssl there is no certificate")
	}
	if s.CAFile == "" {
		return
	}
	if !s.UseSSL {
		r.Add("winrm_ca_file", "concerns certificates, and without winrm_use_ssl there are none: set that too, or leave this out")
	}
	if s.Insecure {
		r.Add("winrm_ca_file", "cannot be used together with winrm_insecure, which trusts any certificate")
	}
	if err := checkPEM(home(s.CAFile)); err != nil {
		r.Add("winrm_ca_file", "%v", err)
	}
}

// checkPEM reports why a file does not hold certificates.
func checkPEM(path string) error {
	b, err := localfile.Read(path, maxKeyFile)
	if err != nil {
		return fmt.Errorf("cannot read the certificate: %w", err)
	}
	n := 0
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("cannot read a certificate in %s: %w", path, err)
		}
		n++
	}
	if n == 0 {
		return fmt.Errorf("there is no certificate in %s: want PEM, which begins -----BEGIN CERTIFICATE-----", path)
	}
	return nil
}

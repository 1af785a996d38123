package comm

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/imgflow/imgflow/dag"
)

// WinRM holds the communicator options of a template that concern WinRM, under
// the names that templates use.
type WinRM struct {
	Host     string        `json:"winrm_host,omitempty"` // instead of the endpoint's
	Port     int           `json:"winrm_port,omitempty"` // instead of the endpoint's; 0: 5985, or 5986 with TLS
	Username string        `json:"winrm_username,omitempty"`
	Password dag.Secret    `json:"winrm_password,omitempty"`
	UseSSL   bool          `json:"winrm_use_ssl,omitempty"`
	Insecure bool          `json:"winrm_insecure,omitempty"` // trust the certificate that is seen first, and only that from then on
	CAFile   string        `json:"winrm_ca_file,omitempty"`  // PEM: who may sign the machine's certificate, or the certificate itself
	UseNTLM  bool          `json:"winrm_use_ntlm,omitempty"`
	NoProxy  bool          `json:"winrm_no_proxy,omitempty"`
	Timeout  time.Duration `json:"winrm_timeout,omitempty" key:"-"` // how long to wait until the machine answers; 0: 30 m
}

// Login is how to log in to a machine that made its own password.
type Login struct {
	Password string `json:"password"` // the name of the password in the vault
}

// Check reports what is wrong with the options, without reaching anything but
// local files.
func (s WinRM) Check() []dag.Fault {
	var faults []dag.Fault
	add := func(field, format string, a ...any) {
		faults = append(faults, dag.Fault{Field: field, Text: fmt.Sprintf(format, a...)})
	}
	if s.Username == "" {
		add("winrm_username", "must be set: the name to log in with, such as Administrator")
	}
	if s.Port < 0 || s.Port > 65535 {
		add("winrm_port", "%d is not a port number", s.Port)
	}
	if s.Timeout < 0 {
		add("winrm_timeout", "must not be negative")
	}
	if s.Insecure && !s.UseSSL {
		faults = append(faults, dag.Fault{Field: "winrm_insecure", Harmless: true,
			Text: "without winrm_use_ssl there is no certificate"})
	}
	if s.CAFile == "" {
		return faults
	}
	if !s.UseSSL {
		add("winrm_ca_file", "concerns certificates, and without winrm_use_ssl there are none: set that too, or leave this out")
	}
	if s.Insecure {
		add("winrm_ca_file", "cannot be used together with winrm_insecure, which trusts any certificate")
	}
	if err := checkPEM(home(s.CAFile)); err != nil {
		add("winrm_ca_file", "%v", err)
	}
	return faults
}

// checkPEM reports why a file does not hold certificates.
func checkPEM(path string) error {
	b, err := dag.ReadFile(path, maxKeyFile)
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

package comm

import (
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

package comm

import (
	"time"

	"github.com/imgflow/imgflow/dag"
)

// Endpoint is where a machine can be reached, before anybody has reached it.
type Endpoint struct {
	Protocol string            `json:"protocol"` // ssh, winrm or none
	Host     string            `json:"host"`
	Port     int               `json:"port"`
	HostKeys []string          `json:"host_keys,omitempty"` // in the form of authorized_keys, or for winrm "sha256:" and the certificate's digest; none: see Connect
	Thing    string            `json:"thing,omitempty"`     // what stands there, for messages: an instance id
	Place    string            `json:"place,omitempty"`     // where that is, for whoever made it
	Vars     map[string]string `json:"vars,omitempty"`      // build variables: ID, Host, SourceAMI ... never a secret
}

// Machine is a reached machine: all that it takes to reach it again. It is what
// provisioners take and give back.
type Machine struct {
	Endpoint
	SSH   SSH   `json:"ssh"`
	WinRM WinRM `json:"winrm,omitzero"`
}

// SSH holds the communicator options of a template that concern SSH, under the
// names that templates use. Secrets are sealed; see dag.Secret. An option tagged
// "-" is not for templates; one tagged "unsupported" is known and refused.
type SSH struct {
	Host                   string        `json:"ssh_host,omitempty"` // instead of the endpoint's
	Port                   int           `json:"ssh_port,omitempty"` // instead of the endpoint's
	Username               string        `json:"ssh_username,omitempty"`
	Password               dag.Secret    `json:"ssh_password,omitempty"`
	KeyName                string        `json:"key_name,omitempty" option:"-"` // a generated key in Vault
	PrivateKeyFile         string        `json:"ssh_private_key_file,omitempty"`
	CertificateFile        string        `json:"ssh_certificate_file,omitempty"`
	AgentAuth              bool          `json:"ssh_agent_auth,omitempty"`
	DisableAgentForwarding bool          `json:"ssh_disable_agent_forwarding,omitempty" key:"-"` // the agent is never forwarded
	Pty                    bool          `json:"ssh_pty,omitempty"`
	Timeout                time.Duration `json:"ssh_timeout,omitempty" key:"-"`
	HandshakeAttempts      int           `json:"ssh_handshake_attempts,omitempty" key:"-"`
	KeepAliveInterval      time.Duration `json:"ssh_keep_alive_interval,omitempty" key:"-"`
	ReadWriteTimeout       time.Duration `json:"ssh_read_write_timeout,omitempty" key:"-"`
	Ciphers                []string      `json:"ssh_ciphers,omitempty"`
	KeyExchanges           []string      `json:"ssh_key_exchange_algorithms,omitempty"`
	FileTransferMethod     string        `json:"ssh_file_transfer_method,omitempty"` // scp and sftp both mean the best that the machine has
	ClearAuthorizedKeys    bool          `json:"ssh_clear_authorized_keys,omitempty"`
	HostKey                string        `json:"ssh_host_key,omitempty"` // how the machine's host key comes to be known: preset, console or first-use; "": the best that there is

	BastionHost            string     `json:"ssh_bastion_host,omitempty"`
	BastionPort            int        `json:"ssh_bastion_port,omitempty"`
	BastionUsername        string     `json:"ssh_bastion_username,omitempty"`
	BastionPassword        dag.Secret `json:"ssh_bastion_password,omitempty"`
	BastionAgentAuth       bool       `json:"ssh_bastion_agent_auth,omitempty"`
	BastionInteractive     bool       `json:"ssh_bastion_interactive,omitempty" option:"unsupported"`
	BastionPrivateKeyFile  string     `json:"ssh_bastion_private_key_file,omitempty"`
	BastionCertificateFile string     `json:"ssh_bastion_certificate_file,omitempty"`
	BastionHostKeys        []string   `json:"bastion_host_keys,omitempty" option:"-"` // pinned by Connect

	ProxyHost     string     `json:"ssh_proxy_host,omitempty"` // SOCKS 5
	ProxyPort     int        `json:"ssh_proxy_port,omitempty"`
	ProxyUsername string     `json:"ssh_proxy_username,omitempty"`
	ProxyPassword dag.Secret `json:"ssh_proxy_password,omitempty"`

	RemoteTunnels []string `json:"ssh_remote_tunnels,omitempty" option:"unsupported"`
	LocalTunnels  []string `json:"ssh_local_tunnels,omitempty" option:"unsupported"`
}

// Vault keeps a run's secrets sealed. Get returns fs.ErrNotExist for a name
// that was never put.
type Vault interface {
	Get(name string) ([]byte, error)
	Put(name string, value []byte) error
}

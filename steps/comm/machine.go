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
	Stops    bool              `json:"stops,omitempty"`     // by itself, when it has been provisioned: a script that stops it is no failure
	Fleeting bool              `json:"fleeting,omitempty"`  // who runs it may take it back
	Tunnel   Tunnel            `json:"tunnel,omitzero"`     // through which it is reached, in place of its address
	Vars     map[string]string `json:"vars,omitempty"`      // build variables: ID, Host, SourceAMI ... never a secret
}

// Tunnel is a way to a machine that whoever made it knows; see Env.Tunnel.
type Tunnel struct {
	Name   string `json:"name"`
	Listen int    `json:"listen,omitempty"` // a port of this computer that leads there, too
	At     string `json:"at,omitempty"`     // the name of the host where it begins, for those that have one
}

// Machine is a reached machine: all that it takes to reach it again. It is what
// provisioners take and give back.
type Machine struct {
	Endpoint
	SSH   SSH   `json:"ssh"`
	WinRM WinRM `json:"winrm,omitzero"`
}

// SSH holds the options of the communicator ssh, under the names that templates use.
//
// Secrets are sealed; see dag.Secret. An option tagged
// "-" is not for templates; one tagged "unsupported" is known and refused.
type SSH struct {
	// The address to connect to. Default: that of the machine.
	Host string `json:"ssh_host,omitempty"`
	// The port to connect to. Default: `22`.
	Port int `json:"ssh_port,omitempty"`
	// The user to log in as.
	Username string `json:"ssh_username,omitempty"`
	// The password to log in with. Default: none.
	Password dag.Secret `json:"ssh_password,omitempty"`
	KeyName  string     `json:"key_name,omitempty" option:"-"` // a generated key in Vault
	// The file of a private key to log in with; ~ is the home directory. Default: a temporary key, where the builder
	// can make one.
	PrivateKeyFile string `json:"ssh_private_key_file,omitempty" option:"file"`
	// The file of a user certificate for the key of `ssh_private_key_file`. Default: none.
	CertificateFile string `json:"ssh_certificate_file,omitempty" option:"file"`
	// Logs in with the keys of the local SSH agent, at SSH_AUTH_SOCK. Default: `false`.
	AgentAuth bool `json:"ssh_agent_auth,omitempty"`
	// Accepted and without effect: the agent is never forwarded. Default: `false`.
	DisableAgentForwarding bool `json:"ssh_disable_agent_forwarding,omitempty" key:"-"`
	// Gives commands a terminal, for a sudo that asks for one. Default: `false`.
	Pty bool `json:"ssh_pty,omitempty"`
	// How long to wait until the machine lets us in. Default: 5m, or no limit if `ssh_handshake_attempts` is given.
	Timeout time.Duration `json:"ssh_timeout,omitempty" key:"-"`
	// How many logins may fail before the machine counts as one that does not let us in. Default: 10, or no limit if
	// `ssh_timeout` is given.
	HandshakeAttempts int `json:"ssh_handshake_attempts,omitempty" key:"-"`
	// How often to show that the connection is in use; negative: never. Default: `5s`.
	KeepAliveInterval time.Duration `json:"ssh_keep_alive_interval,omitempty" key:"-"`
	// How long nothing may come over the connection before it counts as lost. Default: no limit.
	ReadWriteTimeout time.Duration `json:"ssh_read_write_timeout,omitempty" key:"-"`
	// Ciphers that may be used, the best first. Default: those of Go.
	Ciphers []string `json:"ssh_ciphers,omitempty"`
	// Key exchanges that may be used, the best first. Default: those of Go.
	KeyExchanges []string `json:"ssh_key_exchange_algorithms,omitempty"`
	// `scp` or `sftp`; both mean the best that the machine has. Default: the same.
	FileTransferMethod string `json:"ssh_file_transfer_method,omitempty"`
	// Takes the key of the build out of authorized_keys before the image is made. Default: `false`.
	ClearAuthorizedKeys bool `json:"ssh_clear_authorized_keys,omitempty"`
	// How the machine's host key comes to be known: `preset` by user data, by its `console`, or `first-use`. Default:
	// the safest that there is.
	HostKey string `json:"ssh_host_key,omitempty"`

	// The address of a jump host to connect through. Default: none.
	BastionHost string `json:"ssh_bastion_host,omitempty"`
	// The port of the jump host. Default: `22`.
	BastionPort int `json:"ssh_bastion_port,omitempty"`
	// The user to log in as on the jump host.
	BastionUsername string `json:"ssh_bastion_username,omitempty"`
	// The password for the jump host. Default: none.
	BastionPassword dag.Secret `json:"ssh_bastion_password,omitempty"`
	// Logs in to the jump host with the keys of the local SSH agent. Default: `false`.
	BastionAgentAuth bool `json:"ssh_bastion_agent_auth,omitempty"`
	// Asks the person at the terminal what the jump host wants to know. Default: `false`.
	BastionInteractive bool `json:"ssh_bastion_interactive,omitempty"`
	// The file of a private key for the jump host. Default: that of `ssh_private_key_file`.
	BastionPrivateKeyFile string `json:"ssh_bastion_private_key_file,omitempty" option:"file"`
	// The file of a user certificate for that key. Default: none.
	BastionCertificateFile string   `json:"ssh_bastion_certificate_file,omitempty" option:"file"`
	BastionHostKeys        []string `json:"bastion_host_keys,omitempty" option:"-"` // pinned by Connect

	// The address of a SOCKS 5 proxy to connect through. Default: none.
	ProxyHost string `json:"ssh_proxy_host,omitempty"`
	// The port of the proxy. Default: `1080`.
	ProxyPort int `json:"ssh_proxy_port,omitempty"`
	// The user to log in as at the proxy. Default: none.
	ProxyUsername string `json:"ssh_proxy_username,omitempty"`
	// The password for the proxy. Default: none.
	ProxyPassword dag.Secret `json:"ssh_proxy_password,omitempty"`

	// Ports of the machine, on its loopback, that lead to hosts here, each as port:host:port. Default: none.
	RemoteTunnels []string `json:"ssh_remote_tunnels,omitempty"`
	// Ports here, on loopback, that lead to hosts as the machine reaches them, each as port:host:port. Default: none.
	LocalTunnels []string `json:"ssh_local_tunnels,omitempty"`
}

// Vault keeps a run's secrets sealed. Get returns fs.ErrNotExist for a name
// that was never put.
type Vault interface {
	Get(name string) ([]byte, error)
	Put(name string, value []byte) error
}

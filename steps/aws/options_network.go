package aws

import "time"

// NetworkOptions are the options that say where the instance stands.
type NetworkOptions struct {
	// The id of the VPC that the instance stands in. Default: that of the subnet, else the default VPC.
	VPC string `json:"vpc_id,omitempty"`
	// Looks for the VPC; exactly one has to fit. Default: none.
	VPCFilter Filter `json:"vpc_filter,omitzero"`
	// The id of the subnet that the instance stands in. Default: one that is found in the VPC.
	Subnet string `json:"subnet_id,omitempty"`
	// Looks for the subnet. Default: none.
	SubnetFilter SubnetFilter `json:"subnet_filter,omitzero"`
	// The availability zone that the instance stands in, such as us-east-1a. Default: that of the subnet.
	AvailabilityZone string `json:"availability_zone,omitempty"`
	// Whether the instance gets a public address. Default: as the subnet says.
	PublicIP *bool `json:"associate_public_ip_address,omitempty"`
	// Looks for security groups that exist; the instance gets all that fit. Default: none.
	GroupFilter Filter `json:"security_group_filter,omitzero"`
}

// Filter is a set of EC2 filters. A value may hold several, separated by commas.
type Filter struct {
	// Names of EC2's filters and their values, with commas between several values. Default: none.
	Filters map[string]string `json:"filters,omitempty"`
	// One filter, as a block that may be repeated.
	Filter []NameValue `json:"filter,omitempty"`
}

// SubnetFilter chooses among subnets.
type SubnetFilter struct {
	Filter
	// Takes the subnet with the most free addresses; without it or `random`, several are an error. Default: `false`.
	MostFree bool `json:"most_free,omitempty"`
	// Takes any of the subnets that fit. Default: `false`.
	Random bool `json:"random,omitempty"`
}

// NameValue is one filter as a block.
type NameValue struct {
	// The name of the filter.
	Name string `json:"name"`
	// The value that fits, or several with commas between them. Default: empty text.
	Value string `json:"value,omitempty"`
}

func (f Filter) empty() bool { return len(f.Filters) == 0 && len(f.Filter) == 0 }

// GroupOptions are the options of security groups.
type GroupOptions struct {
	// The id of a security group that exists, for the instance; no temporary one is made then. Default: none.
	GroupID string `json:"security_group_id,omitempty"`
	// Ids of security groups that exist, as `security_group_id`. Default: none.
	GroupIDs []string `json:"security_group_ids,omitempty"`
	// The networks that the temporary security group admits, such as 10.0.0.0/8. Default: the address of who runs
	// imgflow, or the private networks.
	SourceCIDRs []string `json:"temporary_security_group_source_cidrs,omitempty"`
	// Has the temporary security group admit the caller's public address, or fails if it cannot be learned. Default:
	// `false`.
	SourcePublicIP bool `json:"temporary_security_group_source_public_ip,omitempty"`
}

// KeyOptions are the options of the key pair that the instance is launched with.
// On Windows it seals the password, which only rsa can.
type KeyOptions struct {
	// The name of a key pair of EC2 that exists; its private half has to be in `ssh_private_key_file` or the agent.
	// Default: a temporary key.
	KeyPairName string `json:"ssh_keypair_name,omitempty"`
	// What the temporary key pair is called. Default: a generated name.
	TemporaryKeyName string `json:"temporary_key_pair_name,omitempty"`
	// The type of the temporary key: `ed25519` or `rsa`. Default: ed25519; rsa over WinRM, where only that can seal
	// the password.
	TemporaryKeyType string `json:"temporary_key_pair_type,omitempty"`
	// The size of a temporary key of the type rsa, in bits: 2048 or 4096. Default: `2048`.
	TemporaryKeyBits int `json:"temporary_key_pair_bits,omitempty"`
}

// ReachOptions are the options that say how the instance is reached, beside
// those of SSH itself.
type ReachOptions struct {
	// How the machine is reached: `ssh`, `winrm` or `none`. Default: `ssh`.
	Communicator string `json:"communicator,omitempty"`
	// The address at which the machine is reached: public_ip, private_ip, public_dns, private_dns or ipv6; or
	// session_manager, which opens no port and needs an instance profile; or instance_connect_endpoint, for SSH in
	// networks without a way in from outside. Default: the public one if there is one.
	Interface string `json:"ssh_interface,omitempty"`
	// How long to wait after the first connection, before a second one is used; something may still be installing
	// itself. Default: none.
	Pause time.Duration `json:"pause_before_connecting,omitempty"`
	// Leaves it to the machine to stop itself before the image is made. Default: `false`.
	DisableStop bool `json:"disable_stop_instance,omitempty"`
	// A port of this computer that leads to the machine's, too, while there are sessions of Session Manager.
	// Default: none.
	SSMPort int `json:"session_manager_port,omitempty"`
	// The id of the EC2 Instance Connect Endpoint to go through, for `ssh_interface` instance_connect_endpoint. Default:
	// one of the subnet, else of the VPC.
	ConnectEndpoint string `json:"instance_connect_endpoint_id,omitempty"`
	// How long to wait before the first session of Session Manager is begun. Default: none.
	PauseBeforeSSM time.Duration `json:"pause_before_ssm,omitempty"`
}

// PasswordOptions are the options of the password that a Windows machine makes.
type PasswordOptions struct {
	// How long to wait for the password that a Windows machine makes at its first boot. Default: `20m`.
	PasswordTimeout time.Duration `json:"windows_password_timeout,omitempty"`
}

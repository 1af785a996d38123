package aws

import "time"

// NetworkOptions are the options that say where the instance stands.
type NetworkOptions struct {
	VPC              string       `json:"vpc_id,omitempty"`
	VPCFilter        Filter       `json:"vpc_filter,omitzero"`
	Subnet           string       `json:"subnet_id,omitempty"`
	SubnetFilter     SubnetFilter `json:"subnet_filter,omitzero"`
	AvailabilityZone string       `json:"availability_zone,omitempty"`
	PublicIP         *bool        `json:"associate_public_ip_address,omitempty"`
	GroupFilter      Filter       `json:"security_group_filter,omitzero"`
}

// Filter is a set of EC2 filters. A value may hold several, separated by commas.
type Filter struct {
	Filters map[string]string `json:"filters,omitempty"`
	Filter  []NameValue       `json:"filter,omitempty"`
}

// SubnetFilter chooses among subnets.
type SubnetFilter struct {
	Filter
	MostFree bool `json:"most_free,omitempty"`
	Random   bool `json:"random,omitempty"`
}

// NameValue is one filter as a block.
type NameValue struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

func (f Filter) empty() bool { return len(f.Filters) == 0 && len(f.Filter) == 0 }

// GroupOptions are the options of security groups.
type GroupOptions struct {
	GroupID        string   `json:"security_group_id,omitempty"`
	GroupIDs       []string `json:"security_group_ids,omitempty"`
	SourceCIDRs    []string `json:"temporary_security_group_source_cidrs,omitempty"`
	SourcePublicIP bool     `json:"temporary_security_group_source_public_ip,omitempty"`
}

// KeyOptions are the options of the key pair that the instance is launched with.
// On Windows it seals the password, which only rsa can.
type KeyOptions struct {
	KeyPairName      string `json:"ssh_keypair_name,omitempty"`
	TemporaryKeyName string `json:"temporary_key_pair_name,omitempty"`
	TemporaryKeyType string `json:"temporary_key_pair_type,omitempty"` // ed25519 or rsa
	TemporaryKeyBits int    `json:"temporary_key_pair_bits,omitempty"` // of rsa: 2048 unless given, or 4096
}

// ReachOptions are the options that say how the instance is reached, beside
// those of SSH itself.
type ReachOptions struct {
	Communicator   string        `json:"communicator,omitempty"` // ssh, winrm or none
	Interface      string        `json:"ssh_interface,omitempty"`
	Pause          time.Duration `json:"pause_before_connecting,omitempty"`
	DisableStop    bool          `json:"disable_stop_instance,omitempty"`
	SSMPort        int           `json:"session_manager_port,omitempty" option:"unsupported"`
	PauseBeforeSSM time.Duration `json:"pause_before_ssm,omitempty" option:"unsupported"`
}

// PasswordOptions are the options of the password that a Windows machine makes.
type PasswordOptions struct {
	PasswordTimeout time.Duration `json:"windows_password_timeout,omitempty"`
}

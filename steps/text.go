package steps

// SourceWords are what templates call the image that a machine begins from. They
// are known before there is a machine.
var SourceWords = []string{"BuildRegion", "SourceAMI", "SourceAMICreationDate", "SourceAMIName", "SourceAMIOwner", "SourceAMIOwnerName"}

// MachineWords are what templates call a machine that stands. A provisioner may use
// them beside the SourceWords.
var MachineWords = []string{"ConnType", "Host", "ID", "PackerHTTPAddr", "PackerHTTPIP", "PackerHTTPPort", "PackerRunUUID", "Password", "Port",
	"SSHAgentAuth", "SSHPrivateKey", "SSHPrivateKeyFile", "SSHPublicKey", "User", "WinRMPassword"}

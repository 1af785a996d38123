package winguest

import (
	"slices"
	"strings"

	"github.com/imgflow/imgflow/internal/winguest/posh"
)

// Parameters that many cmdlets have in common. Each ends with a blank.
const (
	jobs       = "AsJob CimSession Session ThrottleLimit " // of all cmdlets that Windows makes of classes of WMI
	filters    = "AssociatedNetFirewallAddressFilter AssociatedNetFirewallApplicationFilter AssociatedNetFirewallInterfaceFilter AssociatedNetFirewallInterfaceTypeFilter AssociatedNetFirewallPortFilter AssociatedNetFirewallProfile AssociatedNetFirewallSecurityFilter AssociatedNetFirewallServiceFilter Description EdgeTraversalPolicy GPOSession LSM LocalOnlyMapping LooseSourceMapping Owner PolicyStoreSource PolicyStoreSourceType PrimaryStatus Status TracePolicyStore "
	conditions = "Authentication DynamicTarget DynamicTransport Encryption GPOSession InterfaceAlias LSM LocalOnlyMapping LocalUser LooseSourceMapping OverrideBlockRules Owner Package Platform RemoteMachine RemoteUser "
	elsewhere  = "Authentication CertificateThumbprint ConnectionURI Credential OptionSet SessionOption am auth c cred os so "
)

// refusedParams are the parameters, and other names of them, that the cmdlets have
// on Windows and do not have here.
var refusedParams = map[string]string{
	"Disable-NetFirewallRule":      filters + jobs + "Action Direction Enabled",
	"Disable-ScheduledTask":        jobs,
	"Enable-NetFirewallRule":       filters + jobs + "Action Direction Enabled",
	"Enable-ScheduledTask":         jobs,
	"Get-CimInstance":              "ResourceUri",
	"Get-NetConnectionProfile":     jobs + "IPv4Connectivity IPv6Connectivity",
	"Get-NetFirewallProfile":       jobs + "AssociatedNetFirewallRule AssociatedNetIPsecMainModeRule AssociatedNetIPsecRule GPOSession",
	"Get-NetFirewallRule":          filters + jobs,
	"Get-ScheduledTask":            jobs,
	"Get-ScheduledTaskInfo":        jobs,
	"Get-Service":                  "DS DependentServices Exclude Include RequiredServices SDO ServicesDependedOn",
	"Get-WSManInstance":            "ApplicationName Associations Authentication Base BasePropertiesOnly CU CURI CertificateThumbprint ConnectionURI Credential Dialect Filter Fragment OS OptionSet Port RT ReturnType SO SSL SessionOption Shallow UBPO UseSSL am auth c cred",
	"Get-WmiObject":                "Amended AsJob Authority Credential DirectRead Locale Recurse ThrottleLimit",
	"Invoke-CimMethod":             "CimClass QueryDialect ResourceUri",
	"Invoke-WmiMethod":             "AsJob Authority Credential Locale ThrottleLimit",
	"New-CimInstance":              "ResourceUri",
	"New-NetFirewallRule":          conditions + jobs,
	"New-ScheduledTask":            jobs,
	"New-ScheduledTaskAction":      jobs,
	"New-ScheduledTaskPrincipal":   jobs + "GroupId RequiredPrivilege",
	"New-ScheduledTaskSettingsSet": jobs + "MaintenanceDeadline MaintenanceExclusive MaintenancePeriod",
	"New-ScheduledTaskTrigger":     jobs,
	"New-SelfSignedCertificate":    "AlternateSignatureAlgorithm CloneCert Container CurveExport ExistingKey Extension HardwareKeyUsage KeyDescription KeyFriendlyName KeyLocation KeyProtection KeyUsageProperty NotBefore Pin Reader SecurityDescriptor SerialNumber Signer SignerPin SignerReader SmimeCapabilities SuppressOid TestRoot",
	"New-WSManInstance":            elsewhere + "ApplicationName CU CURI FilePath Port UseSSL",
	"Register-ScheduledTask":       "CimSession Session ThrottleLimit",
	"Remove-NetFirewallRule":       filters + jobs + "Action Direction Enabled PassThru",
	"Remove-WSManInstance":         elsewhere + "ApplicationName Port SSL UseSSL",
	"Rename-Computer":              "DomainCredential LocalCredential Protocol WsmanAuthentication",
	"Restart-Computer":             "AsJob Authentication Credential DcomAuthentication Delay For Impersonation Protocol ThrottleLimit Timeout TimeoutSec Wait WsmanAuthentication",
	"Restart-Service":              "Exclude Include",
	"Set-CimInstance":              "QueryDialect ResourceUri",
	"Set-NetConnectionProfile":     jobs + "IPv4Connectivity IPv6Connectivity",
	"Set-NetFirewallProfile":       jobs + "AllowInboundRules AllowLocalFirewallRules AllowLocalIPsecRules AllowUnicastResponseToMulticast AllowUserApps AllowUserPorts DefaultInboundAction DefaultOutboundAction DisabledInterfaceAliases EnableStealthModeForIPsec GPOSession LogAllowed LogBlocked LogFileName LogIgnored LogMaxSizeKilobytes NotifyOnListen PassThru",
	"Set-NetFirewallRule":          conditions + jobs + "EdgeTraversalPolicy IcmpType InterfaceType Service",
	"Set-Service":                  "ComputerName cn",
	"Set-TimeZone":                 "InputObject",
	"Set-WSManInstance":            elsewhere + "ApplicationName Dialect FilePath Fragment Port SSL UseSSL",
	"Start-ScheduledTask":          "CimSession Session ThrottleLimit",
	"Start-Service":                "Exclude Include",
	"Stop-Computer":                "AsJob Authentication Credential DcomAuthentication Impersonation Protocol ThrottleLimit WsmanAuthentication",
	"Stop-ScheduledTask":           "CimSession Session ThrottleLimit",
	"Stop-Service":                 "Exclude Include",
	"Test-WSMan":                   "ApplicationName Authentication CertificateThumbprint Credential Port UseSSL am auth c cred",
	"Unregister-ScheduledTask":     "CimSession Session ThrottleLimit",
}

// asking are the cmdlets that have -WhatIf and -Confirm.
var asking = strings.Fields(`
	Add-LocalGroupMember Disable-LocalUser Disable-NetFirewallRule Enable-LocalUser Enable-NetFirewallRule Enable-PSRemoting Export-Certificate
	Invoke-CimMethod Invoke-WmiMethod New-CimInstance New-LocalGroup New-LocalUser New-NetFirewallRule New-SelfSignedCertificate
	New-Service Remove-LocalGroupMember Remove-LocalUser Remove-NetFirewallRule Rename-Computer Rename-LocalUser Restart-Computer
	Restart-Service Set-CimInstance Set-LocalUser Set-NetConnectionProfile Set-NetFirewallProfile Set-NetFirewallRule Set-Service
	Set-TimeZone Start-Service Stop-Computer Stop-Service Unregister-ScheduledTask`)

// refuseParams adds them to the cmdlets.
func (c *cmdlets) refuseParams() {
	for i := range c.list {
		d := &c.list[i]
		d.Asks = slices.Contains(asking, d.Name)
		for _, n := range strings.Fields(refusedParams[d.Name]) {
			d.Params = append(d.Params, posh.Param{Name: n, Type: "-"})
		}
	}
}

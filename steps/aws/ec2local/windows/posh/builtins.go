package posh

import (
	"strings"
	"sync"
)

// builtins are the cmdlets of this package, by lower-case name.
var builtins = sync.OnceValue(func() map[string]*Command {
	out := map[string]*Command{}
	for _, l := range [][]Command{outputCommands(), objectCommands(), contentCommands(), itemCommands(), jsonCommands(), miscCommands(), processCommands()} {
		for i := range l {
			out[strings.ToLower(l[i].Name)] = &l[i]
		}
	}
	return out
})

// builtinAliases are those of Windows PowerShell 5.1.
var builtinAliases = map[string]string{
	"%": "ForEach-Object", "?": "Where-Object", "ac": "Add-Content", "asnp": "Add-PSSnapin", "cat": "Get-Content", "cd": "Set-Location", "chdir": "Set-Location",
	"clc": "Clear-Content", "clear": "Clear-Host", "cli": "Clear-Item", "cls": "Clear-Host", "clv": "Clear-Variable", "compare": "Compare-Object",
	"copy": "Copy-Item", "cp": "Copy-Item", "cpi": "Copy-Item", "curl": "Invoke-WebRequest", "cvpa": "Convert-Path", "del": "Remove-Item", "diff": "Compare-Object",
	"dir": "Get-ChildItem", "echo": "Write-Output", "epcsv": "Export-Csv", "erase": "Remove-Item", "fl": "Format-List", "foreach": "ForEach-Object", "ft": "Format-Table",
	"fw": "Format-Wide", "gal": "Get-Alias", "gc": "Get-Content", "gci": "Get-ChildItem", "gcim": "Get-CimInstance", "gcm": "Get-Command", "gdr": "Get-PSDrive",
	"gi": "Get-Item", "gl": "Get-Location", "gm": "Get-Member", "gp": "Get-ItemProperty", "gps": "Get-Process", "gpv": "Get-ItemPropertyValue", "group": "Group-Object",
	"gsv": "Get-Service", "gu": "Get-Unique", "gv": "Get-Variable", "gwmi": "Get-WmiObject", "icim": "Invoke-CimMethod", "icm": "Invoke-Command", "iex": "Invoke-Expression",
	"ii": "Invoke-Item", "ipcsv": "Import-Csv", "ipmo": "Import-Module", "irm": "Invoke-RestMethod", "iwmi": "Invoke-WmiMethod", "iwr": "Invoke-WebRequest", "kill": "Stop-Process",
	"lp": "Out-Printer", "ls": "Get-ChildItem", "measure": "Measure-Object", "md": "mkdir", "mi": "Move-Item", "mount": "New-PSDrive", "move": "Move-Item",
	"mp": "Move-ItemProperty", "mv": "Move-Item", "nal": "New-Alias", "ndr": "New-PSDrive", "ni": "New-Item", "nv": "New-Variable", "ogv": "Out-GridView", "oh": "Out-Host",
	"popd": "Pop-Location", "ps": "Get-Process", "pushd": "Push-Location", "pwd": "Get-Location", "rd": "Remove-Item", "ren": "Rename-Item", "ri": "Remove-Item",
	"rm": "Remove-Item", "rmdir": "Remove-Item", "rni": "Rename-Item", "rp": "Remove-ItemProperty", "rv": "Remove-Variable", "rvpa": "Resolve-Path",
	"sajb": "Start-Job", "sal": "Set-Alias", "saps": "Start-Process", "sasv": "Start-Service", "sc": "Set-Content", "select": "Select-Object", "set": "Set-Variable",
	"si": "Set-Item", "sl": "Set-Location", "sleep": "Start-Sleep", "sls": "Select-String", "sort": "Sort-Object", "sp": "Set-ItemProperty", "spps": "Stop-Process",
	"spsv": "Stop-Service", "start": "Start-Process", "sv": "Set-Variable", "tee": "Tee-Object", "type": "Get-Content", "wget": "Invoke-WebRequest", "where": "Where-Object",
	"wjb": "Wait-Job", "write": "Write-Output", "gjb": "Get-Job", "rjb": "Remove-Job", "rcjb": "Receive-Job", "gin": "Get-ComputerInfo", "stz": "Set-TimeZone", "gtz": "Get-TimeZone",
	"swmi": "Set-WmiInstance", "rwmi": "Remove-WmiObject", "rcim": "Remove-CimInstance", "scim": "Set-CimInstance", "gcls": "Get-CimClass", "gcb": "Get-Clipboard", "scb": "Set-Clipboard",
}

// foreign are cmdlets of a plain Windows Server that are not here. Calling one is
// refused: as an unknown command it would be an error that a script may catch,
// and then go on as if the machine were another.
var foreign = func() map[string]bool {
	out := map[string]bool{}
	for _, n := range strings.Fields(strings.ToLower(foreignNames)) {
		out[n] = true
	}
	return out
}()

const foreignNames = `Add-Computer Add-History Add-JobTrigger Add-LocalGroupMember Add-MpPreference Add-Printer Add-PSSnapin Add-WindowsCapability Add-WindowsDriver
Add-WindowsFeature Add-WindowsPackage Backup-GPO Checkpoint-Computer Clear-DnsClientCache Clear-EventLog Clear-History Clear-ItemProperty Clear-RecycleBin Complete-Transaction
Connect-PSSession Connect-WSMan Convert-String ConvertFrom-SecureString ConvertFrom-String ConvertTo-Html ConvertTo-Xml Copy-ItemProperty Debug-Process Disable-ComputerRestore Disable-JobTrigger
Disable-LocalUser Disable-NetAdapter Disable-NetAdapterBinding Disable-NetFirewallRule Disable-PSBreakpoint Disable-PSRemoting Disable-ScheduledTask Disable-WindowsErrorReporting
Disable-WindowsOptionalFeature Disconnect-PSSession Disconnect-WSMan Dismount-DiskImage Dismount-WindowsImage Enable-ComputerRestore Enable-LocalUser Enable-NetFirewallRule Enable-PSRemoting
Enable-PSSessionConfiguration Enable-ScheduledTask Enable-WindowsOptionalFeature Enter-PSSession Exit-PSSession Export-Alias Export-Certificate Export-Clixml Export-Csv Export-FormatData
Export-ModuleMember Export-PfxCertificate Export-PSSession Export-ScheduledTask Find-Module Find-Package Find-Script Format-Volume Get-Acl Get-AppxPackage Get-AuthenticodeSignature Get-Certificate
Get-CimAssociatedInstance Get-CimClass Get-CimInstance Get-CimSession Get-Clipboard Get-ComputerInfo Get-ComputerRestorePoint Get-ControlPanelItem Get-Counter Get-Credential Get-Disk Get-DnsClient
Get-DnsClientServerAddress Get-Event Get-EventLog Get-EventSubscriber Get-FormatData Get-Help Get-History Get-HotFix Get-ItemPropertyValue Get-Job Get-JobTrigger Get-LocalGroup Get-LocalGroupMember
Get-LocalUser Get-Module Get-MpComputerStatus Get-MpPreference Get-NetAdapter Get-NetConnectionProfile Get-NetFirewallProfile Get-NetFirewallRule Get-NetIPAddress Get-NetIPConfiguration
Get-NetIPInterface Get-NetRoute Get-NetTCPConnection Get-Package Get-PackageProvider Get-PackageSource Get-Partition Get-PfxCertificate Get-PhysicalDisk Get-PnpDevice Get-PSBreakpoint Get-PSCallStack
Get-PSProvider Get-PSRepository Get-PSSession Get-PSSessionConfiguration Get-PSSnapin Get-RunspaceDebug Get-ScheduledTask Get-ScheduledTaskInfo Get-Service Get-SmbShare Get-StoragePool Get-TimeZone
Get-TraceSource Get-Transaction Get-TypeData Get-UICulture Get-Verb Get-VirtualDisk Get-Volume Get-WinEvent Get-WindowsCapability Get-WindowsDriver Get-WindowsEdition Get-WindowsFeature
Get-WindowsImage Get-WindowsOptionalFeature Get-WindowsPackage Get-WmiObject Get-WSManCredSSP Get-WSManInstance Import-Alias Import-Certificate Import-Clixml Import-Csv Import-LocalizedData
Import-PackageProvider Import-PfxCertificate Import-PSSession Initialize-Disk Install-Module Install-Package Install-PackageProvider Install-Script Install-WindowsFeature Invoke-CimMethod
Invoke-History Invoke-Item Invoke-RestMethod Invoke-WebRequest Invoke-WmiMethod Invoke-WSManAction Limit-EventLog Measure-VM Mount-DiskImage Mount-WindowsImage Move-ItemProperty New-CimInstance
New-CimSession New-CimSessionOption New-Event New-EventLog New-JobTrigger New-LocalGroup New-LocalUser New-Module New-ModuleManifest New-NetFirewallRule New-NetIPAddress New-NetRoute New-Partition
New-PSDrive New-PSRoleCapabilityFile New-PSSession New-PSSessionConfigurationFile New-PSSessionOption New-ScheduledJobOption New-ScheduledTask New-ScheduledTaskAction New-ScheduledTaskPrincipal
New-ScheduledTaskSettingsSet New-ScheduledTaskTrigger New-SelfSignedCertificate New-Service New-SmbShare New-VirtualDisk New-Volume New-WebServiceProxy New-WinEvent New-WSManInstance New-WSManSessionOption
Optimize-Volume Out-GridView Out-Printer Pop-EventLog Protect-CmsMessage Publish-Module Receive-Job Receive-PSSession Register-ArgumentCompleter Register-CimIndicationEvent Register-EngineEvent
Register-ObjectEvent Register-PackageSource Register-PSRepository Register-PSSessionConfiguration Register-ScheduledJob Register-ScheduledTask Register-WmiEvent Remove-AppxPackage Remove-CimInstance
Remove-CimSession Remove-Computer Remove-Event Remove-EventLog Remove-Job Remove-JobTrigger Remove-LocalGroup Remove-LocalGroupMember Remove-LocalUser Remove-Module Remove-NetFirewallRule
Remove-NetIPAddress Remove-NetRoute Remove-Partition Remove-PSBreakpoint Remove-PSDrive Remove-PSSession Remove-PSSnapin Remove-SmbShare Remove-TypeData Remove-WindowsCapability Remove-WindowsFeature
Remove-WindowsPackage Remove-WmiObject Remove-WSManInstance Rename-Computer Rename-ItemProperty Rename-LocalGroup Rename-LocalUser Rename-NetAdapter Rename-NetFirewallRule Repair-Volume
Repair-WindowsImage Reset-ComputerMachinePassword Resize-Partition Resolve-DnsName Restart-Computer Restart-NetAdapter Restart-Service Restore-Computer Resume-Job Resume-Service Save-Help Save-Module
Save-Package Send-MailMessage Set-Acl Set-AuthenticodeSignature Set-CimInstance Set-Clipboard Set-Culture Set-Date Set-Disk Set-DnsClient Set-DnsClientServerAddress Set-JobTrigger Set-LocalGroup
Set-LocalUser Set-MpPreference Set-NetAdapter Set-NetConnectionProfile Set-NetFirewallProfile Set-NetFirewallRule Set-NetIPAddress Set-NetIPInterface Set-PackageSource Set-Partition
Set-PSBreakpoint Set-PSRepository Set-PSSessionConfiguration Set-ScheduledTask Set-Service Set-SmbServerConfiguration Set-TimeZone Set-TraceSource Set-Volume Set-WinHomeLocation Set-WinSystemLocale
Set-WinUILanguageList Set-WmiInstance Set-WSManInstance Set-WSManQuickConfig Show-Command Show-ControlPanelItem Show-EventLog Start-Job Start-ScheduledTask Start-Service Start-Transaction
Start-Transcript Stop-Computer Stop-Job Stop-ScheduledTask Stop-Service Stop-Transcript Suspend-Job Suspend-Service Switch-Certificate Test-Certificate Test-ComputerSecureChannel Test-Connection
Test-ModuleManifest Test-NetConnection Test-PSSessionConfigurationFile Test-WSMan Trace-Command Undo-Transaction Uninstall-Module Uninstall-Package Uninstall-WindowsFeature Unregister-Event
Unregister-PackageSource Unregister-PSRepository Unregister-PSSessionConfiguration Unregister-ScheduledJob Unregister-ScheduledTask Update-FormatData Update-Help Update-List Update-Module
Update-Script Update-TypeData Use-Transaction Use-WindowsUnattend Wait-Debugger Wait-Event Wait-Job Write-EventLog`

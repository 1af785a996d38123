package posh

import (
	_ "embed"
	"maps"
	"slices"
	"strings"
	"sync"
)

// builtins are the cmdlets of this package, by lower-case name.
var builtins = sync.OnceValue(func() map[string]*Command {
	out := map[string]*Command{}
	for _, l := range [][]Command{outputCommands(), objectCommands(), contentCommands(), itemCommands(), jsonCommands(), miscCommands(), processCommands()} {
		for i := range l {
			for _, n := range strings.Fields(refusedParams[l[i].Name]) {
				l[i].Params = append(l[i].Params, refused(n))
			}
			if slices.Contains(ofDrives, l[i].Name) {
				l[i].Params = append(l[i].Params, refused("UseTransaction"), refused("usetx"))
			}
			l[i].Asks = slices.Contains(asking, l[i].Name)
			out[strings.ToLower(l[i].Name)] = &l[i]
		}
	}
	return out
})

// Cmdlets are the cmdlets that this package brings along.
func Cmdlets() []Command {
	var out []Command
	for _, name := range slices.Sorted(maps.Keys(builtins())) {
		out = append(out, *builtins()[name])
	}
	return out
}

// Foreign are the names of those that it knows to be Windows', here or not.
func Foreign() []string { return strings.Fields(cmdletNames) }

// asking are the cmdlets that have -WhatIf and -Confirm.
var asking = strings.Fields(`
	Add-Content Clear-Content Clear-Item Clear-Variable Compress-Archive Copy-Item Expand-Archive ForEach-Object Move-Item
	New-Alias New-Item New-ItemProperty New-TemporaryFile New-Variable Out-File Remove-Item Remove-ItemProperty Remove-Variable
	Rename-Item Set-Alias Set-Content Set-ExecutionPolicy Set-Item Set-ItemProperty Set-Variable Stop-Process Unblock-File`)

// ofDrives are the cmdlets that could take part in a transaction, which is refused.
var ofDrives = strings.Fields(`
	Add-Content Clear-Content Clear-Item Convert-Path Copy-Item Get-ChildItem Get-Content Get-Item Get-ItemProperty
	Get-ItemPropertyValue Get-Location Get-PSDrive Join-Path Move-Item New-Item New-ItemProperty Pop-Location Push-Location
	Remove-Item Remove-ItemProperty Rename-Item Resolve-Path Set-Content Set-Item Set-ItemProperty Set-Location Split-Path
	Test-Path`)

// refusedParams are the parameters of 5.1 that cmdlets do not have here, beside
// those that stand with the cmdlets themselves.
var refusedParams = map[string]string{
	"Add-Type":        "CP CodeDomProvider CompilerParameters IgnoreWarnings NS OA OT OutputAssembly OutputType PSPath Provider RA Using UsingNamespace",
	"Clear-Item":      "Credential Exclude Filter Include",
	"Clear-Variable":  "Exclude Include PassThru",
	"Compare-Object":  "Culture",
	"Format-List":     "DisplayError ShowError",
	"Format-Table":    "DisplayError ShowError",
	"Get-Command":     "Args ArgumentList FullyQualifiedModule PSSnapin ParameterType ShowCommandInfo",
	"Get-Location":    "StackName",
	"Get-PSDrive":     "LiteralName",
	"Get-Process":     "Cn FV FVI",
	"Group-Object":    "Culture",
	"Import-Module":   "Alias Args AsCustomObject Assembly CimNamespace CimResourceUri CimSession FullyQualifiedName MaximumVersion ModuleInfo NoClobber NoOverwrite PSSession RequiredVersion Scope Variable",
	"Invoke-Command":  "AllowRedirection ApplicationName Authentication CU CertificateThumbprint Cn ConfigurationName ConnectionUri ContainerId Disconnected EnableNetworkAccess HCN HideComputerName InDisconnectedSession JobName PSPath Port RunAsAdministrator SessionName SessionOption ThrottleLimit URI UseSSL VMGuid VMId VMName",
	"New-Alias":       "PassThru",
	"New-Variable":    "PassThru",
	"Out-Default":     "Transcript",
	"Remove-Variable": "Exclude Include",
	"Rename-Item":     "Credential",
	"Resolve-Path":    "Credential",
	"Set-Alias":       "PassThru",
	"Set-Item":        "Credential Exclude Filter Include",
	"Set-Variable":    "Exclude Include",
	"Split-Path":      "Credential",
	"Write-Error":     "Activity Reason TargetName TargetType",
}

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
	"algm": "Add-LocalGroupMember", "dlu": "Disable-LocalUser", "elu": "Enable-LocalUser", "glg": "Get-LocalGroup", "glgm": "Get-LocalGroupMember", "glu": "Get-LocalUser",
	"nlg": "New-LocalGroup", "nlu": "New-LocalUser", "rlg": "Remove-LocalGroup", "rlgm": "Remove-LocalGroupMember", "rlu": "Remove-LocalUser", "rnlg": "Rename-LocalGroup",
	"rnlu": "Rename-LocalUser", "slg": "Set-LocalGroup", "slu": "Set-LocalUser", "clp": "Clear-ItemProperty", "cpp": "Copy-ItemProperty", "rdr": "Remove-PSDrive",
	"rnp": "Rename-ItemProperty", "cfs": "ConvertFrom-String", "fhx": "Format-Hex", "fc": "Format-Custom", "dbp": "Disable-PSBreakpoint", "ebp": "Enable-PSBreakpoint",
	"epal": "Export-Alias", "epsn": "Export-PSSession", "gbp": "Get-PSBreakpoint", "gcs": "Get-PSCallStack", "ipal": "Import-Alias", "ipsn": "Import-PSSession",
	"rbp": "Remove-PSBreakpoint", "sbp": "Set-PSBreakpoint", "shcm": "Show-Command", "trcm": "Trace-Command", "gip": "Get-NetIPConfiguration", "tnc": "Test-NetConnection",
	"clhy": "Clear-History", "cnsn": "Connect-PSSession", "dnsn": "Disconnect-PSSession", "etsn": "Enter-PSSession", "exsn": "Exit-PSSession", "ghy": "Get-History",
	"gmo": "Get-Module", "gsn": "Get-PSSession", "gsnp": "Get-PSSnapIn", "h": "Get-History", "history": "Get-History", "ihy": "Invoke-History", "nmo": "New-Module",
	"npssc": "New-PSSessionConfigurationFile", "nsn": "New-PSSession", "r": "Invoke-History", "rcsn": "Receive-PSSession", "rmo": "Remove-Module", "rsn": "Remove-PSSession",
	"rsnp": "Remove-PSSnapin", "rujb": "Resume-Job", "spjb": "Stop-Job", "sujb": "Suspend-Job", "fimo": "Find-Module", "inmo": "Install-Module", "pumo": "Publish-Module",
	"upmo": "Update-Module", "add-windowsfeature": "Install-WindowsFeature", "remove-windowsfeature": "Uninstall-WindowsFeature",
}

// foreign are the cmdlets of Windows Server 2016 and 2019, with all their
// features. Calling one that is not here is refused: as an unknown command it
// would be an error that a script may catch, and then go on as if the machine were
// another.
var foreign = sync.OnceValue(func() map[string]bool {
	out := map[string]bool{}
	for _, n := range Foreign() {
		out[strings.ToLower(n)] = true
	}
	return out
})

//go:embed cmdlets.txt
var cmdletNames string

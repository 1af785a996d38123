# The programs that Windows knows, of 64 bits and of 32.
$found = @()
foreach ($of in 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall', 'HKLM:\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall') {
	if (-not (Test-Path -LiteralPath $of)) { continue }
	foreach ($key in @(Get-ChildItem -LiteralPath $of)) {
		$p = Get-ItemProperty -LiteralPath $key.PSPath
		if (-not $p.DisplayName) { continue }
		$found += @{ Name = [string]$p.DisplayName; Version = [string]$p.DisplayVersion; Publisher = [string]$p.Publisher }
	}
}
ConvertTo-Json -InputObject @{ Version = [string][Environment]::OSVersion.Version; Programs = @($found) } -Compress -Depth 3

# What the scripts behind this text have in common. State that outlives a line
# is in $s: a function cannot assign to a variable of its caller.
$s = @{}

# What a user names, with the variables of the environment that stand in it as in
# PowerShell's text, $env:TEMP or ${env:TEMP}: no name of a file has a colon.
function named($path) {
	$out = ''
	$at = 0
	foreach ($m in [Text.RegularExpressions.Regex]::Matches($path, '(?i)\$(?:\{env:([^}]+)\}|env:(\w+))')) {
		$out += $path.Substring($at, $m.Index - $at) + [Environment]::GetEnvironmentVariable($m.Groups[1].Value + $m.Groups[2].Value)
		$at = $m.Index + $m.Length
	}
	$out + $path.Substring($at)
}

# The full path of it: .NET does not know PowerShell's place.
function full($path) { $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath((named $path)) }

# A directory that only administrators and those who need it can read.
function guarded($dir, $user) {
	[void][IO.Directory]::CreateDirectory($dir)
	$all = ':(OI)(CI)F'
	$who = @(('*S-1-5-32-544' + $all), ('*S-1-5-18' + $all), ($env:USERDOMAIN + '\' + $env:USERNAME + $all))
	if ($user) { $who += $user + $all }
	$ErrorActionPreference = 'Continue'
	$said = & "$env:SystemRoot\System32\icacls.exe" $dir /inheritance:r /grant:r $who 2>&1
	if ($LASTEXITCODE -ne 0) { throw "the rights of $dir cannot be set: $said" }
}

# Deletes a directory; somebody may look at it, as a virus scanner does.
function discard($dir) {
	for ($i = 0; [IO.Directory]::Exists($dir); $i++) {
		try { [IO.Directory]::Delete($dir, $true) }
		catch {
			if ($i -ge 30) { throw }
			Start-Sleep -Milliseconds 100
		}
	}
}

function digest($path) {
	$f = [IO.File]::Open($path, 'Open', 'Read', 'ReadWrite')
	try { sum $f } finally { $f.Close() }
}

# Not SHA256.Create: what that makes is refused where a policy wants FIPS.
function sum($f) {
	$sum = (New-Object Security.Cryptography.SHA256CryptoServiceProvider).ComputeHash($f)
	[BitConverter]::ToString($sum).Replace('-', '').ToLowerInvariant()
}

# How long the machine has been up, in ms: no change of its clock changes that.
# While it starts or goes down WMI may not answer: it is waited for, until the
# machine goes away if it does.
function up {
	for ($i = 0; $true; $i++) {
		try {
			$os = Get-CimInstance -ClassName Win32_OperatingSystem
			return [long]($os.LocalDateTime - $os.LastBootUpTime).TotalMilliseconds
		} catch {
			if ($i -ge 120) { throw }
			Start-Sleep -Milliseconds 500
		}
	}
}

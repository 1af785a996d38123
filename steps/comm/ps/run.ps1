# The detached runner, behind lib.ps1; it begins in its starter's directory, with
# the command's streams for its own.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$own = [Environment]::CurrentDirectory
$dir = [IO.Path]::GetDirectoryName($own)
$root = $env:SystemRoot
[Environment]::CurrentDirectory = $root                # a directory that somebody is in cannot be deleted
$job = ConvertFrom-Json ([IO.File]::ReadAllText("$own\job.json"))
[IO.File]::Delete("$own\job.json")
# The command, the script, where it must lie, where the command begins, and names
# and values of the session's environment.
$more = @([IO.File]::ReadAllLines("$own\more") | ForEach-Object { [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($_)) })
$path = $more[2]

# What is open cannot be deleted, whatever the script cleans up.
function keep($name, $text) {
	$f = [IO.File]::Open("$dir\$name", 'Create', 'Write', 'Read')
	$b = [Text.Encoding]::ASCII.GetBytes($text)
	$f.Write($b, 0, $b.Length)
	$f.Flush()
	$f
}

# Exactly one runner passes. Others may look at the lock for a moment.
$lock = $null
for ($i = 0; $lock -eq $null -and $i -lt 50 -and -not [IO.File]::Exists("$dir\run"); $i++) {
	try { $lock = [IO.File]::Open("$dir\lock", 'OpenOrCreate', 'ReadWrite', 'None') }
	catch { Start-Sleep -Milliseconds 100 }
}
if ($lock -eq $null -or [IO.File]::Exists("$dir\run")) {
	if ($lock) { $lock.Close() }
	[IO.Directory]::Delete($own, $true)
	exit
}

try {
	if ($path) {
		if ([IO.Directory]::Exists($path)) { throw "$path is a directory" }
		[void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($path))
		[IO.File]::Copy($more[1], $path, $true)
	}
	$streams = @('out', 'err' | ForEach-Object { [IO.File]::Open("$own\$_", 'Open', 'Read', 'ReadWrite') })
	$st = keep 'st' '-'.PadRight(4096)                        # reserved now: a full disk cannot lose the status
	for ($i = 4; $i + 1 -lt $more.Count; $i += 2) { [Environment]::SetEnvironmentVariable($more[$i], $more[$i + 1]) }
	[Environment]::SetEnvironmentVariable('PSExecutionPolicyPreference', $null)     # that is for our own scripts
	foreach ($v in $job.env) { [Environment]::SetEnvironmentVariable($v[0], $v[1]) }
	$at = $env:USERPROFILE
	if ($more.Count -gt 3) { $at = $more[3] }
	if (-not $at -or -not [IO.Directory]::Exists($at)) { $at = $root }
	[Console]::OutputEncoding = New-Object Text.UTF8Encoding $false   # also of what is started here
	$run = keep 'run' "$(up) $([DateTime]::UtcNow.Ticks) $([IO.Path]::GetFileName($own)) ."

	# Not Start-Process: it lets go of the process, and with it of the exit code.
	$start = New-Object Diagnostics.ProcessStartInfo
	$start.FileName = "$root\System32\cmd.exe"
	$start.Arguments = '/d /s /c "' + $more[0] + '"'
	$start.WorkingDirectory = $at
	$start.UseShellExecute = $false
	$p = [Diagnostics.Process]::Start($start)
	$main = keep 'main' "$($p.Id) $($p.StartTime.ToFileTimeUtc()) ."
	$p.WaitForExit()
} catch {
	$e = $_.Exception
	while ($e.InnerException) { $e = $e.InnerException }
	[IO.File]::WriteAllText("$dir\fail", $e.Message)
	exit 1
}

if ($path -and -not $job.keep) {
	try { [IO.File]::Delete($path) } catch { }
}
$full = 0
try {
	[IO.File]::WriteAllBytes("$dir\probe", (New-Object byte[] 65536))
	[IO.File]::Delete("$dir\probe")
} catch { $full = 1 }
$b = [Text.Encoding]::ASCII.GetBytes("$($p.ExitCode) $full $($streams[0].Length) $($streams[1].Length) .".PadRight(256))
[void]$st.Seek(0, 'Begin')
$st.Write($b, 0, $b.Length)
$st.Close()

# Starts, follows, cancels or forgets a run. The first line says what to do, in
# JSON: op, token, base (the directory of runs), off (where the streams go on),
# elevated, late (seconds that a runner may take to begin), and to start also:
#   runner   the words of cmd.exe that make powershell.exe run ".\run.ps1", its
#            streams being ".\in", ".\out" and ".\err"
#   path     where the script must lie; "" for the starter's directory
#   script   the script's name there; "" for none
#   user, password   of an elevated run
#   dirmark, pathmark   what stands for these in the command
#   command  for cmd.exe
#   job      what run.ps1 reads, JSON in base64
# Behind it come the files as "F <name in base64> <content in base64>", in parts,
# then "go", and at the end of a run "ack".
function take($line) {
	if (-not $s.a) {
		$s.a = ConvertFrom-Json (text $line)
		$base = $s.a.base
		if (-not $base) { $base = $env:ProgramData }   # not a directory that clean-up scripts empty
		$s.dir = "$base\imgf-" + $s.a.token
		switch ($s.a.op) {
			'start' { prepare }
			'attach' { follow }
			'cancel' { cancel }
			'forget' { forget }
		}
	}
	elseif ($line -eq 'go') {
		if ($s.own) {
			try { launch }
			catch {
				withdraw
				throw
			}
		}
		follow
	}
	elseif ($line -eq 'ack') { forget }
	elseif ($s.own) {
		$f = $line.Split(' ')
		$b = [Convert]::FromBase64String($f[2])
		$to = [IO.File]::Open($s.own + '\' + (text $f[1]), 'Append', 'Write', 'None')
		try { $to.Write($b, 0, $b.Length) } finally { $to.Close() }
	}
}

# The runner keeps the lock open until it ends, however it ends.
function held {
	try { [IO.File]::Open($s.dir + '\lock', 'Open', 'ReadWrite', 'ReadWrite').Close() }
	catch {
		return [IO.File]::Exists($s.dir + '\lock')
	}
	$false
}

function begun { [IO.File]::Exists($s.dir + '\run') -or (held) }

# Each starter has a directory of its own in the run's; only one of their
# runners gets the lock.
function prepare {
	if (begun) { return }
	guarded $s.dir $s.a.user
	[IO.File]::Delete($s.dir + '\fail')
	$s.own = $s.dir + '\' + $PID
	if ([IO.Directory]::Exists($s.own)) { discard $s.own }
	[void][IO.Directory]::CreateDirectory($s.own)
}

function launch {
	$a = $s.a
	$script = ''
	if ($a.script) { $script = $s.own + '\' + $a.script }
	$path = ''
	if ($a.path) { $path = full $a.path }
	$q = $script
	if ($path) { $q = $path }
	$more = @($a.command.Replace($a.pathmark, $q).Replace($a.dirmark, $s.own), $script, $path)
	if (-not $a.elevated) {
		# The command finds what it would find in this session.
		$more += full '.'
		$more += Get-ChildItem Env: | ForEach-Object { $_.Name; $_.Value }
	}
	[IO.File]::WriteAllLines($s.own + '\more', [string[]]@($more | ForEach-Object { code $_ }))
	[IO.File]::WriteAllText($s.own + '\job.json', (text $a.job))
	foreach ($f in 'in', 'out', 'err') { [IO.File]::WriteAllText($s.own + '\' + $f, '') }
	$cmd = "$env:SystemRoot\System32\cmd.exe"
	if ($a.elevated) {
		$task = 'imgf-' + $a.token
		$action = New-ScheduledTaskAction -Execute $cmd -Argument $a.runner -WorkingDirectory $s.own
		$set = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -ExecutionTimeLimit ([TimeSpan]::Zero) -Priority 4
		if ($a.password) {
			$null = Register-ScheduledTask -TaskName $task -Action $action -Settings $set -User $a.user -Password $a.password -RunLevel Highest -Force
		} else {
			$who = New-ScheduledTaskPrincipal -UserId $a.user -LogonType ServiceAccount -RunLevel Highest
			$null = Register-ScheduledTask -TaskName $task -Action $action -Settings $set -Principal $who -Force
		}
		Start-ScheduledTask -TaskName $task
		return
	}
	# Outside of this session, which takes all its processes with it.
	$r = Invoke-CimMethod -ClassName Win32_Process -MethodName Create -Arguments @{ CommandLine = $cmd + ' ' + $a.runner; CurrentDirectory = $s.own }
	if ($r.ReturnValue -ne 0) { throw "Win32_Process.Create returns $($r.ReturnValue)" }
}

# What could not be launched leaves nothing, unless another starter was faster.
function withdraw {
	untask
	discard $s.own
	try { [IO.Directory]::Delete($s.dir) } catch { }
}

function untask {
	if ($s.a.elevated) {
		Unregister-ScheduledTask -TaskName ('imgf-' + $s.a.token) -Confirm:$false -ErrorAction SilentlyContinue
	}
}

# Waits until the run has begun; says why it does not.
function await {
	for ($i = 0; $true; $i++) {
		# Who writes the record holds the lock before, and until he ends.
		$there = [IO.File]::Exists($s.dir + '\run')
		$alive = held
		if (@(words 'run').Count -gt 0) { return $true }
		if (failed) { return $false }
		if (-not $alive -and ($there -or -not [IO.Directory]::Exists($s.dir))) {
			say "L gone $(up)"
			return $false
		}
		if ($i -ge $s.a.late * 20) {
			$why = ''
			if ($s.a.elevated) { $why = [string](Get-ScheduledTaskInfo -TaskName ('imgf-' + $s.a.token)).LastTaskResult }
			say ('L late ' + $why)
			return $false
		}
		Start-Sleep -Milliseconds 50
	}
}

# Whoever writes why it failed holds the lock until it is written.
function failed {
	if (-not [IO.File]::Exists($s.dir + '\fail') -or (held)) { return $false }
	say ('L failed ' + (code ([IO.File]::ReadAllText($s.dir + '\fail'))))
	$true
}

# The words of a small file that is complete when they end in a dot.
function words($name) {
	if (-not [IO.File]::Exists($s.dir + '\' + $name)) { return }
	$f = [IO.File]::Open($s.dir + '\' + $name, 'Open', 'Read', 'ReadWrite')
	try {
		$b = New-Object byte[] 256
		$w = [Text.Encoding]::ASCII.GetString($b, 0, $f.Read($b, 0, 256)).Trim().Split(' ')
	} finally { $f.Close() }
	if ($w[-1] -eq '.') { $w }
}

# Sends what is new in a stream, up to an end if there is one, and returns where
# it goes on.
function pump($letter, $name, $at, $end) {
	if (-not [IO.File]::Exists($s.dir + '\' + $name)) { return $at }
	$f = [IO.File]::Open($s.dir + '\' + $name, 'Open', 'Read', 'ReadWrite')
	try {
		$to = $f.Length
		if ($end -ge 0 -and $end -lt $to) { $to = $end }
		if ($at -lt $to) {
			[void]$f.Seek($at, 'Begin')
			$b = New-Object byte[] 65536
			while ($at -lt $to) {
				$n = $f.Read($b, 0, [Math]::Min(65536, $to - $at))
				if ($n -eq 0) { break }
				say "$letter $at $([Convert]::ToBase64String($b, 0, $n))"
				$at += $n
			}
		}
	} finally { $f.Close() }
	$at
}

function follow {
	try { watch }
	catch {
		if ([IO.File]::Exists($s.dir + '\run')) { throw }
		say "L gone $(up)"                 # while we looked at it
	}
}

function watch {
	if (-not $s.own -and -not (begun)) {
		if (-not (failed)) { say "L gone $(up)" }
		return
	}
	if (-not (await)) { return }
	$run = @(words 'run')
	if ($run.Count -eq 0) {
		say "L gone $(up)"
		return
	}
	# How long the machine was up when the run began, how long ago that is by its
	# clock, and how long it is up now.
	if ($s.own) { say "B $($run[0]) 0 $($run[0])" }
	else {
		$age = [long](([DateTime]::UtcNow.Ticks - [long]$run[1]) / 10000)
		say "B $($run[0]) $age $(up)"
	}
	$out = $run[2] + '\out'
	$err = $run[2] + '\err'
	$o = [long]$s.a.off[0]
	$e = [long]$s.a.off[1]
	$quiet = 0
	while ($true) {
		$alive = $true
		if ($quiet % 8 -eq 0) { $alive = held }
		$st = @(words 'st')               # after the lock, before the streams
		if (-not [IO.File]::Exists($s.dir + '\run')) {
			say "L gone $(up)"
			return
		}
		$was = $o + $e
		$oend = -1
		$eend = -1
		if ($st.Count -gt 0) {
			$oend = [long]$st[2]
			$eend = [long]$st[3]
		}
		$o = pump 'O' $out $o $oend
		$e = pump 'E' $err $e $eend
		if ($st.Count -gt 0) {
			say "S $($st[0]) $($st[1])"
			return
		}
		if (-not $alive) {
			if (-not (failed)) { say 'L lost' }
			return
		}
		if ($o + $e -ne $was) { $quiet = 0 }
		else { $quiet++ }
		Start-Sleep -Milliseconds ([Math]::Min(250, 50 + 5 * $quiet))
	}
}

function cancel {
	if (-not (begun)) {
		# A runner may be on its way; without its files it does not begin.
		untask
		try { discard $s.dir } catch { }
		if (-not (begun)) {
			say 'C none'
			return
		}
	}
	try { stop }
	catch {
		if ([IO.File]::Exists($s.dir + '\run')) { throw }
		say 'C done'                       # its follower let it be forgotten while we looked
	}
}

function stop {
	if (-not (await)) { return }
	$main = @()
	for ($i = 0; $i -lt 50; $i++) {
		$main = @(words 'main')
		if ($main.Count -gt 0 -or @(words 'st').Count -gt 0 -or -not (held)) { break }
		Start-Sleep -Milliseconds 50
	}
	if ($main.Count -gt 0 -and @(words 'st').Count -eq 0) {
		# The number may be another's by now.
		$p = Get-Process -Id $main[0] -ErrorAction SilentlyContinue
		if ($p -and [string]$p.StartTime.ToFileTimeUtc() -eq $main[1]) {
			$ErrorActionPreference = 'Continue'
			$null = & "$env:SystemRoot\System32\taskkill.exe" /T /F /PID $main[0] 2>&1
		}
	}
	for ($i = 0; $i -lt 200 -and @(words 'st').Count -eq 0 -and (held); $i++) { Start-Sleep -Milliseconds 50 }
	say 'C done'
}

function forget {
	for ($i = 0; $i -lt 100 -and (held); $i++) { Start-Sleep -Milliseconds 50 }
	untask
	discard $s.dir
	say 'A'
}

# Sends a file, or a directory as a zip archive. The first line says, in JSON:
# path, dir, name (of the directory for the archive), and of a transfer that goes
# on: off, size and ticks (when the file was written). The next line is "ack": all
# has arrived.
function take($line) {
	if ($s.a) {
		if ($s.a.dir) { discard ("$env:SystemRoot\Temp\" + $s.a.name) }
		say 'A'
		return
	}
	$s.a = ConvertFrom-Json (text $line)
	$p = full $s.a.path
	if ($s.a.dir) {
		if ([IO.File]::Exists($p)) { return say 'N isfile' }
		if (-not [IO.Directory]::Exists($p)) { return say 'N none' }
		$p = archive $p
	}
	elseif ([IO.Directory]::Exists($p)) { return say 'N isdir' }
	elseif (-not [IO.File]::Exists($p)) { return say 'N none' }
	$f = [IO.File]::Open($p, 'Open', 'Read', 'ReadWrite')
	try {
		$size = $f.Length
		$ticks = [IO.File]::GetLastWriteTimeUtc($p).Ticks
		say "I $size $ticks"
		$at = [long]$s.a.off
		if ($at -gt 0 -and ($size -ne $s.a.size -or [string]$ticks -ne $s.a.ticks)) { return say 'N changed' }
		[void]$f.Seek($at, 'Begin')
		$b = New-Object byte[] 65536
		while ($at -lt $size) {
			$n = $f.Read($b, 0, [Math]::Min(65536, $size - $at))
			if ($n -eq 0) { break }
			say ('F ' + [Convert]::ToBase64String($b, 0, $n))
			$at += $n
		}
	} finally { $f.Close() }
	say ('K ' + (digest $p))
}

# The archive that a transfer which broke began with is good for its rest. Who
# served that one may still be at work, and have its file open.
function archive($p) {
	$dir = "$env:SystemRoot\Temp\" + $s.a.name
	guarded $dir
	foreach ($old in [IO.Directory]::GetFiles($dir)) {
		if ($s.a.off -gt 0 -and (New-Object IO.FileInfo $old).Length -eq $s.a.size -and [string][IO.File]::GetLastWriteTimeUtc($old).Ticks -eq $s.a.ticks) { return $old }
		try { [IO.File]::Delete($old) } catch { }
	}
	$new = "$dir\$PID.zip"
	Add-Type -AssemblyName System.IO.Compression
	$f = [IO.File]::Open($new, 'Create', 'ReadWrite', 'None')
	try {
		$zip = New-Object IO.Compression.ZipArchive $f, 'Create'
		pack $zip $p ''
		$zip.Dispose()
	} finally { $f.Close() }
	$new
}

function pack($zip, $dir, $under) {
	foreach ($i in @(Get-ChildItem -LiteralPath $dir -Force)) {
		$name = $under + $i.Name
		if ([string]$i.Attributes -match 'ReparsePoint') { say ('W ' + (code $name)) }   # may lead anywhere
		elseif ($i.PSIsContainer) {
			[void]$zip.CreateEntry("$name/")
			pack $zip $i.FullName "$name/"
		} else {
			$from = [IO.File]::Open($i.FullName, 'Open', 'Read', 'ReadWrite')
			try {
				$to = $zip.CreateEntry($name).Open()
				try { $from.CopyTo($to) } finally { $to.Close() }
			} finally { $from.Close() }
		}
	}
}

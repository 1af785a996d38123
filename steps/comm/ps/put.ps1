# Takes a zip archive and unpacks it. The first line says, in JSON: path, dir
# (unpack all below path; else its only file becomes path), name (of the directory
# for what has arrived), digest and size of the archive, and of a single file
# content (its digest) and bytes. Each line behind it is "<offset> <base64>".
# Every 32 of them it says so, for a sender that has to know of a failure.
# What arrived stays until all is there, so that a broken transfer goes on: whoever
# writes to the file writes the same bytes to the same place.
function take($line) {
	if (-not $s.a) { begin_put (ConvertFrom-Json (text $line)) }
	elseif (-not $s.over) {
		$f = $line.Split(' ')
		$b = [Convert]::FromBase64String($f[1])
		try { $to = [IO.File]::Open($s.part, 'OpenOrCreate', 'Write', 'ReadWrite') }
		catch { return finish }                          # another has got all, and is at it or done
		try {
			[void]$to.Seek([long]$f[0], 'Begin')
			$to.Write($b, 0, $b.Length)
			$have = $to.Length
		} finally { $to.Close() }
		if ($have -ge $s.a.size) { finish }
		else {
			$s.n++
			if ($s.n % 32 -eq 0) { say 'P' }
		}
	}
}

function refuse($why) {
	$s.over = $true
	say ('N ' + $why)
}

function begin_put($a) {
	$s.a = $a
	$s.n = 0
	$s.over = $false
	$s.path = full $a.path
	if ($a.dir) {
		if ([IO.File]::Exists($s.path)) { return refuse 'isfile' }
	} else {
		if ([IO.Directory]::Exists($s.path)) { return refuse 'isdir' }
		if ([IO.File]::Exists($s.path) -and (New-Object IO.FileInfo $s.path).Length -eq $a.bytes -and (digest $s.path) -eq $a.content) {
			$s.over = $true
			say 'K same'
			return
		}
	}
	$s.dir = "$env:SystemRoot\Temp\" + $a.name
	guarded $s.dir
	$s.part = $s.dir + '\' + $a.digest
	foreach ($f in [IO.Directory]::GetFiles($s.dir)) {
		if ($f -ne $s.part) { try { [IO.File]::Delete($f) } catch { } }    # of another content; somebody may be at it
	}
	$have = 0
	if ([IO.File]::Exists($s.part)) { $have = (New-Object IO.FileInfo $s.part).Length }
	if ($have -ge $a.size) { return finish }
	say "H $have"
}

function finish {
	$s.over = $true
	$f = alone
	if ($f -eq $null) { return say 'G' }
	try {
		$good = (sum $f) -eq $s.a.digest
		if ($good) {
			Add-Type -AssemblyName System.IO.Compression
			$zip = New-Object IO.Compression.ZipArchive $f
			if ($s.a.dir) { unpack $zip }
			else { replace $zip.Entries[0] }
		}
	} finally { $f.Close() }
	try { discard $s.dir }
	catch {
		if (-not $good) { throw }
		return say 'K left'
	}
	if ($good) { say 'K' }
	else { say 'D' }
}

# What has arrived, for us alone. One whose sender lost the connection may have
# all and be unpacking it: it is waited for, until its shell must have died. Then
# nothing may be left.
function alone {
	for ($i = 0; [IO.File]::Exists($s.part); $i++) {
		try { return [IO.File]::Open($s.part, 'Open', 'Read', 'None') }
		catch {
			if ($i -ge 9000 -or $_.Exception.InnerException -isnot [IO.IOException]) { throw }
			Start-Sleep -Milliseconds 100
		}
	}
}

function spill($entry, $path) {
	$from = $entry.Open()
	try {
		$to = [IO.File]::Open($path, 'Create', 'Write', 'None')
		try { $from.CopyTo($to) } finally { $to.Close() }
	} finally { $from.Close() }
}

# The file appears when it is complete.
function replace($entry) {
	$new = $s.path + '.' + $s.a.name
	[void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($s.path))
	try {
		spill $entry $new
		if ([IO.File]::Exists($s.path)) {
			[IO.File]::SetAttributes($s.path, 'Normal')
			[IO.File]::Delete($s.path)
		}
		[IO.File]::Move($new, $s.path)
	} catch {
		[IO.File]::Delete($new)
		throw
	}
}

function unpack($zip) {
	[void][IO.Directory]::CreateDirectory($s.path)
	$root = $s.path.TrimEnd('\') + '\'
	foreach ($e in $zip.Entries) {
		$to = [IO.Path]::GetFullPath($root + $e.FullName.Replace('/', '\'))
		if (-not $to.StartsWith($root, 'OrdinalIgnoreCase')) { throw "$($e.FullName) leads out of the directory" }
		if ($e.FullName.EndsWith('/')) { [void][IO.Directory]::CreateDirectory($to) }
		else {
			[void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($to))
			if ([IO.File]::Exists($to)) { [IO.File]::SetAttributes($to, 'Normal') }
			spill $e $to
		}
	}
}

# What lies at a path: nothing, a file or a directory.
$p = full $a.path
if ([IO.Directory]::Exists($p)) { '{"dir":true}' }
elseif ([IO.File]::Exists($p)) {
	$f = New-Object IO.FileInfo $p
	'{"file":true,"readonly":' + ([string]$f.IsReadOnly).ToLowerInvariant() + ',"size":' + $f.Length + ',"ticks":' + $f.LastWriteTimeUtc.Ticks + '}'
} else { '{}' }

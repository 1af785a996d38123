# Runs a script once: its text, then its arguments, which it finds in $a.
function take($line) {
	if (-not $s.script) {
		$s.script = [ScriptBlock]::Create((text $line))
		return
	}
	$a = ConvertFrom-Json (text $line)
	$out = @(& $s.script)
	say ('R ' + (code ($out -join "`n")))
}

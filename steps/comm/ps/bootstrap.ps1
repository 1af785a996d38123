# What powershell.exe is told to run, a constant. Its input comes line by line:
# the first is a script of this folder, the others are handed to its function
# take. All lines, in and out, are ASCII; what is text is base64 of UTF-8.
begin {
	$ErrorActionPreference = 'Stop'
	$ProgressPreference = 'SilentlyContinue'
	$ready = $false
	$dead = $false
	function say($line) { [Console]::Out.WriteLine($line) }
	function text($code) { [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($code)) }
	function code($text) { [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($text)) }
}
process {
	if (-not $dead) {
		try {
			if ($ready) { $null = take ([string]$_) }
			else {
				. ([ScriptBlock]::Create((text ([string]$_))))
				$ready = $true
				say 'IMGF1'
			}
		} catch {
			$dead = $true
			$e = $_.Exception
			while ($e.InnerException) { $e = $e.InnerException }
			say ('X ' + (code $e.Message))
		}
	}
}

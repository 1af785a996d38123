# Which of the registry keys are there.
$found = @($a.keys | Where-Object { Test-Path -LiteralPath $_ })
ConvertTo-Json -InputObject $found -Compress

# What a pattern with wildcards matches.
$found = @(Get-Item -Path (named $a.pattern) -Force -ErrorAction SilentlyContinue | ForEach-Object { $_.FullName })
ConvertTo-Json -InputObject $found -Compress

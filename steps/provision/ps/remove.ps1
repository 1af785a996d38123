# Removes the files and directories, if they are there.
foreach ($path in @($a.paths | ForEach-Object { named $_ })) {
    if (Test-Path -LiteralPath $path) { Remove-Item -LiteralPath $path -Recurse -Force -ErrorAction Stop }
}

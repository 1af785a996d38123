# Runs a script as the file that it is, and ends with the code that tells how it
# went: what it exits with, else what the last native program that it ran ended
# with, and 1 after an exception. All names here begin with imgflow, since the
# script sees them.
param([string]$imgflowScript, [string]$imgflowPolicy, [int]$imgflowTrace, [string]$imgflowVars)

$ProgressPreference = 'SilentlyContinue'
$global:LASTEXITCODE = 0
try {
    if ($imgflowPolicy) { Set-ExecutionPolicy -ExecutionPolicy $imgflowPolicy -Scope Process -Force }
    if ($imgflowVars) { . ([Environment]::ExpandEnvironmentVariables(($imgflowVars -replace '\$(?:\{env:([^}]+)\}|env:(\w+))', '%$1$2%'))) }
    if ($imgflowTrace) { Set-PSDebug -Trace $imgflowTrace }
    & $imgflowScript
}
catch {
    if ($imgflowTrace) { Set-PSDebug -Off }
    [Console]::Out.Flush()
    [Console]::Error.WriteLine($_.Exception.Message)
    if ($_.InvocationInfo) { [Console]::Error.WriteLine($_.InvocationInfo.PositionMessage) }
    exit 1
}
exit $global:LASTEXITCODE

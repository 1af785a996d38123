# Installs Salt by the script of its makers, with the arguments that the environment names.
[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
$script = Join-Path $env:TEMP 'imgflow-bootstrap-salt.ps1'
(New-Object Net.WebClient).DownloadFile('https://github.com/saltstack/salt-bootstrap/releases/latest/download/bootstrap-salt.ps1', $script)
try { Invoke-Expression ("& '" + $script + "' " + $env:IMGFLOW_SALT_ARGS) }
finally { Remove-Item -LiteralPath $script -Force }

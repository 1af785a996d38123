# Installs Chef by the script of its makers, in the version that the environment names
# or the newest.
[Net.ServicePointManager]::SecurityProtocol = [Net.SecurityProtocolType]::Tls12
$script = (New-Object Net.WebClient).DownloadString('https://omnitruck.chef.io/install.ps1')
$install = 'Install-Project'
if ($env:IMGFLOW_CHEF_VERSION) { $install += " -version '" + $env:IMGFLOW_CHEF_VERSION + "'" }
Invoke-Expression ($script + "`n" + $install)

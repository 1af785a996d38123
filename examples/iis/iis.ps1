$ErrorActionPreference = 'Stop'
Install-WindowsFeature -Name @('Web-Server', 'Web-Asp-Net45', 'Web-Mgmt-Console') | Out-Null
Remove-Item C:\inetpub\wwwroot\iisstart.* -ErrorAction SilentlyContinue
Set-Service -Name W3SVC -StartupType Automatic

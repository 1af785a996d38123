Write-Host "built as $Env:PACKER_BUILD_NAME on $Env:COMPUTERNAME"
Get-Content -Path C:\Greetings\maker.txt

# EC2Launch v2: the next first boot is like that of a new machine.
$ErrorActionPreference = 'Stop'
$launch = 'C:\Program Files\Amazon\EC2Launch\EC2Launch.exe'
& $launch reset --block
& $launch sysprep --shutdown --block

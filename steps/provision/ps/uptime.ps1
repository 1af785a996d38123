# How long the machine has been up, in ms: setting its clock does not change that.
$os = Get-CimInstance -ClassName Win32_OperatingSystem
[long]($os.LocalDateTime - $os.LastBootUpTime).TotalMilliseconds

# How long the machine has been up, in ms: setting its clock does not change that.
# While it starts or goes down WMI may not answer: it is waited for, until the
# machine goes away if it does.
for ($i = 0; $true; $i++) {
    try {
        $os = Get-CimInstance -ClassName Win32_OperatingSystem
        return [long]($os.LocalDateTime - $os.LastBootUpTime).TotalMilliseconds
    } catch {
        if ($i -ge 120) { throw }
        Start-Sleep -Milliseconds 500
    }
}

# Looks for updates of Windows, and installs those that the filters let through. It ends
# with 0 if there are none, and with 101 if one has to restart the machine and look
# again. What is looked for comes by the environment.
$ask = ConvertFrom-Json -InputObject $env:IMGFLOW_UPDATE
$again = 101
if ((New-Object -ComObject Microsoft.Update.SystemInfo).RebootRequired) {
    'Windows has to restart before it is updated.'
    exit $again
}
$session = New-Object -ComObject Microsoft.Update.Session
$filters = @($ask.filters | ForEach-Object { @{ take = $_.take; test = [ScriptBlock]::Create($_.test) } })
$chosen = New-Object -ComObject Microsoft.Update.UpdateColl
foreach ($update in $session.CreateUpdateSearcher().Search($ask.criteria).Updates) {
    if ($chosen.Count -ge $ask.limit) { break }
    $take = $false
    foreach ($filter in $filters) {
        if (@($update | Where-Object -FilterScript $filter.test).Count) {
            $take = $filter.take
            break
        }
    }
    if (-not $take) { continue }
    if ($update.InstallationBehavior.CanRequestUserInput) {
        'left out, since it may ask somebody: ' + $update.Title
        continue
    }
    if (-not $update.EulaAccepted) { $update.AcceptEula() }
    $chosen.Add($update) | Out-Null
    'update: ' + $update.Title
}
if ($chosen.Count -eq 0) {
    'There is nothing to update.'
    exit 0
}
'loading ' + $chosen.Count + ' updates'
$downloader = $session.CreateUpdateDownloader()
$downloader.Updates = $chosen
$downloader.Download() | Out-Null
$loaded = New-Object -ComObject Microsoft.Update.UpdateColl
foreach ($update in $chosen) {
    if ($update.IsDownloaded) { $loaded.Add($update) | Out-Null }
    else { 'not loaded: ' + $update.Title }
}
if ($loaded.Count -eq 0) {
    [Console]::Error.WriteLine('No update could be loaded.')
    exit 1
}
'installing ' + $loaded.Count + ' updates'
$installer = $session.CreateUpdateInstaller()
$installer.Updates = $loaded
$done = $installer.Install()
$good = 0
for ($i = 0; $i -lt $loaded.Count; $i++) {
    $result = $done.GetUpdateResult($i)
    # 2 is success, and 3 is success with warnings.
    if ($result.ResultCode -eq 2 -or $result.ResultCode -eq 3) { $good++ }
    else { 'failed (0x{0:X8}): {1}' -f $result.HResult, $loaded.Item($i).Title }
}
if ($good -eq 0 -and -not $done.RebootRequired) {
    [Console]::Error.WriteLine('No update could be installed.')
    exit 1
}
exit $again

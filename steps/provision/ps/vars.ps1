# Sets the variables of the environment that the file beside this one holds: in
# each line a name and its value, both in base64, so that nothing in them means
# anything to PowerShell.
foreach ($imgflowLine in [IO.File]::ReadAllLines($PSCommandPath + '.txt')) {
    $imgflowPair = @($imgflowLine.Split(' ') | ForEach-Object { [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($_)) })
    [Environment]::SetEnvironmentVariable($imgflowPair[0], $imgflowPair[1])
}

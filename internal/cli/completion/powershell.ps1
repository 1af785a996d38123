# Completion of imgflow in PowerShell: imgflow completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName imgflow -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object { $_.ToString() })
    $rest = @()
    if ($words.Count -gt 1) { $rest = $words[1..($words.Count - 1)] }
    # An empty word at the end is lost on the way to a program unless it is quoted.
    $last = $wordToComplete
    if ($last -eq '') { $last = '""' }
    & $words[0] __complete @rest $last 2>$null | Where-Object { $_ -ne ':files' } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }
}

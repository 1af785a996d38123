// Package posh is the powershell.exe of the embedded Windows guests: a subset of
// Windows PowerShell 5.1, written from the language's published rules.
//
// [Main] is the program with its command line: -File, -Command, -EncodedCommand
// and the flags that go with them. What a script can reach is a [Machine] that the
// caller gives; the package itself touches nothing of the computer it runs on.
//
// # What is in
//
// The language: strings with their expansion and escapes, here-strings, variables
// and their scopes, drives such as $env:, arrays, hashtables, [ordered] and
// [pscustomobject], all operators, redirections, if, switch, loops, functions and
// script blocks with param, begin, process and end, splatting, try, trap, throw,
// #Requires of script files, $?, $LASTEXITCODE and the preference variables, pipelines of cmdlets, functions
// and native programs, whose arguments are passed as 5.1 passes them.
//
// Cmdlets: those for items, content, paths, objects, JSON and CSV, archives and
// hashes, output, processes, dates and variables that scripts of builds use;
// builtins.go lists them. The machine adds its own through [Options]. Types of
// .NET: the usual values, String, Math, Convert, Regex, Encoding, the collections,
// IO with streams and archives, SHA and MD5, Environment, Console, Process. Regular
// expressions are .NET's (regexp2, a port of its engine) but for RightToLeft,
// ECMAScript and named blocks of Unicode, within the bounds of regex.go: a pattern
// that backtracks for more than 5 s ends the script.
//
// # What is outside
//
// Everything else ends the script at once, with an error that wraps
// [ErrOutside], names what was used and its line, and cannot be caught by the
// script: never a silent success. Known cmdlets of Windows that are not here are
// refused by name; a name that nobody knows is PowerShell's own error. Classes,
// workflows, jobs, remoting, modules, COM and COM objects are outside. Parameters
// that providers add to cmdlets are those of New-Item, see [Maker].
//
// # How it was checked
//
// testdata/powershell.json holds scripts with the output of a genuine engine (6.2
// on Linux). Every script that is accepted must give that output; the test prints
// the share. testdata/language.txt has small scripts with what they print by the
// language's published rules. A generator makes programs over the grammar, whose
// output a model written apart from the evaluator predicts; POSH_SEED and
// POSH_PROGRAMS make it go on elsewhere and longer. Where Windows PowerShell 5.1 is known to differ, the package does as
// 5.1: encodings of files and streams, line ends, paths. That part rests on
// documentation alone.
package posh

// Package quote makes words of a POSIX shell of any text.
//
// Command lines of Windows programs are winguest.Quote's. Values of ours reach
// PowerShell as data; those that a user's own format puts into a script are quoted
// by the provisioner that knows the format.
package quote

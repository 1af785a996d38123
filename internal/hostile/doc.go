// Package hostile holds machines and endpoints that attack whoever builds on
// them, and tries a real imgflow against each.
//
// An [Attack] is one thing that a machine over SSH ([Linux]), a machine over
// WinRM ([Windows]) or an EC2 endpoint does to its caller, together with the
// template that runs into it. A [Trial] serves an embedded EC2 whose machines
// attack, runs `imgflow run` there, and holds what happened against what may
// happen: the build ends with the words that the attack expects, nothing outside
// of the build's own directory has changed, no file name or output drives the
// terminal, and imgflow never needed more memory than [MaxMemory].
//
//	go run ./internal/hostile/cmd -list
//	go run ./internal/hostile/cmd -attack NAME
//	go run ./internal/hostile/cmd -attack NAME -serve
//
// The second tries an imgflow, the third only serves the attack and prints how to
// run into it by hand. All servers are on loopback and end with the program; no
// attack runs anything on this computer.
//
// # How to add one
//
// An attack is a value in one of the lists that [Attacks] joins, in the file of
// its kind. TestAttacks tries each, so there is nothing else to do.
package hostile

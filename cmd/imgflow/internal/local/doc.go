// Package local finds, starts and joins the one embedded EC2 server that serves
// the local runs of a directory.
//
// The server is a process of its own and not a part of the run, so that the
// machines of a run outlive it: when imgflow is killed, a script goes on in its
// machine, and a resume finds both. Several runs share the server. Whoever uses
// it holds a lease, an HTTP request that stays open: it ends with its process,
// however that ends, and the server ends some time after the last lease.
//
// In the directory lie server.json, which says where the server answers, lock,
// which the server holds as long as it lives, server.log, what it printed, and
// the copy of the program that it was started from.
package local

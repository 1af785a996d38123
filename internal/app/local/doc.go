// Package local finds, starts and joins the one embedded EC2 server that serves
// the local runs of a directory.
//
// The server is a process of its own and not a part of the run, so that the
// machines of a run outlive it: when imgflow is killed, a script goes on in its
// machine, and a resume finds both. Several runs share the server. Whoever uses
// it holds a lease, an HTTP request that stays open: it ends with its process,
// however that ends, and the server ends some time after the last lease.
//
// Loopback is open to every user of the machine and to every page of a browser,
// so a server answers only what is signed with its key. It makes the key, in a
// file that its user alone can read, and shows that it has it when a lease is
// taken: at the address of a server that has ended somebody else may listen.
//
// In the directory lie server.json, which says where the server answers,
// credentials, its key, lock, which the server holds as long as it lives,
// server.log, what it printed, and the copy of the program that it was started
// from.
package local

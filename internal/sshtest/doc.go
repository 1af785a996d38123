// Package sshtest starts Debian's OpenSSH server for tests: this computer is then a
// machine that is there already. It listens on loopback, takes one key, which it
// makes, and ends with the process that has started it.
package sshtest

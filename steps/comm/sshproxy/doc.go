// Package sshproxy lets an SSH client on this computer work on a machine whose key it
// does not have.
//
// A [Server] listens on loopback, unless it is told otherwise, and takes one key. What a client asks of a session
// goes to a channel of somebody else's connection as it is: commands, shells,
// subsystems, terminals, variables and signals there, exit statuses and signals back,
// and bytes both ways in whatever pieces they come. Each direction has the window of
// the slower side: nothing is kept but what is on its way. Neither an agent nor a
// display is forwarded, and no ports are.
//
// A machine without the subsystem sftp is asked for its usual programs, since clients
// such as Ansible prefer it to everything else.
//
// An [Agent] holds one private key for clients that connect by themselves. It is in
// this process alone, and gone with it.
package sshproxy

// Command bench measures imgflow beside its peers: builds beside Packer, and transfers
// beside OpenSSH's own clients; its tests upload to a Windows machine beside winrmcp,
// which Packer uses (go test -bench Upload). It is a module of its own, so that the program does
// not depend on what measures it.
//
//	go run . build                          # imgflow and /usr/bin/packer, five times each, in turn
//	go run . build -fresh                   # with a new home for every build
//	go run . build -early                   # and imgflow with ami_create_during_shutdown
//	go run . build -packer ~/packer-1.15    # and another
//	go run . transfer
//
// A build is measured against a cloud that takes the same time for each of its steps in
// every round: the embedded EC2 with --latency. What the cloud takes at least is the
// critical path; what a tool takes beyond that is its own. Rounds alternate, medians
// count, and one round may meet other work of the machine.
//
// "Image known" is the moment of a tool's first question about images that the cloud
// answered after the image was ready. It is the same for all tools, since the cloud's
// log tells it and no tool's output is read.
package main

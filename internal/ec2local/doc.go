// Package ec2local is an EC2 that runs in this program: an [http.Handler] that
// speaks EC2's Query protocol (version 2016-11-15), and of STS, IAM, KMS, Systems
// Manager, Secrets Manager and S3 the calls that image builds need. The AWS CLI, the AWS SDKs and builders that
// know nothing of it work against it.
//
//	host, err := guest.NewHost("auto", filepath.Join(dir, "guests"), windows)
//	server, err := ec2local.New(ec2local.Options{Dir: dir, Key: key, Guests: host})
//	http.Serve(listener, server) // on a loopback address
//
// # Instances
//
// Behind an instance stands a guest (package guest) with its own files, its own
// processes and an SSH server. It has a loopback address of its own, which is
// both its public and its private address; no name resolves to it, so names are
// the address too. If its SSH server could not have port 22, the instance
// carries the tag ec2local:ssh-port. CreateImage freezes the guest's files as a
// layer, which the image's snapshot holds; an instance of that image stands on
// it. Only root volumes have content: other volumes are records. Security
// groups are kept and checked, but filter only what comes through an EC2 Instance Connect Endpoint.
//
// A Windows instance has a guest, too, of Go code alone: see package winguest. It
// serves WinRM, and if it could not have port 5985 or 5986, the tag is
// ec2local:winrm-port or ec2local:winrms-port.
//
// # Who may call
//
// A request must carry a signature of version 4, in its header or its query, made
// within a quarter of an hour with [Options].Key; a role that was taken by
// AssumeRole has a key of its own. Loopback keeps nobody out: every user of the
// machine reaches it, and so does every page in a browser, by its address or by a
// name that leads there. So a request is refused, too, if it names a host that is
// not this machine, if it has an Origin or comes from a site of a browser's, and
// if it changes something but is no POST. With [Options].AnyKey the signature is
// not verified; the rest holds. A policy of IAM ([Options].Policy) bounds what the key may do.
//
// The region is that of the signature's scope: any of AWS, of China and of the
// US government, too, whose names differ as theirs do. Every instance type is
// known. Every region has a default VPC with a subnet in each of three zones, and the
// same catalogue of public images: Ubuntu, Debian, Amazon Linux, Windows, several dates of each.
//
// The key's account is 123456789012. Another one is called as by a role that was taken there,
// or by an access key whose id is the number of the account, with the same secret. It has
// things of its own, and sees what others share with it; all accounts are of every organization.
//
// # Parameters, secrets and keys
//
// Systems Manager has sessions of Session Manager to ports of instances that have an instance
// profile, whose data channels are on this port, too. It has a Parameter Store, in which public parameters name the images
// of the catalogue. It and Secrets Manager hold what calls put there, and what the file
// [Options].Seed says. Their values are in the store as they are, and nowhere else. KMS
// has keys that encrypt nothing: EC2 looks at them as AWS does, after it has answered.
//
// # Objects and imports
//
// S3 has buckets, objects and uploads in parts, by paths (http://127.0.0.1:PORT/BUCKET/KEY):
// no versions, access lists or policies. Their content lies in files below [Options].Dir, 256 GiB
// at most. ImportImage makes an image of an object. No guest can boot a disk, so RunInstances
// refuses the image and says why; all else can be done with it. The service role of an
// import is not looked for.
//
// # Strictness
//
// Requests are read by Amazon's own service model (package model). An unknown
// action, parameter or filter is an error, and so is one that EC2 has and this
// endpoint has not: UnsupportedOperation. Names, lengths, states, dependencies
// and client tokens are checked as EC2 checks them, and refused with its codes.
//
// # State
//
// Everything but the content of objects is in one file of [Options].Dir. A call's effect is on disk before
// its answer is sent, all of it or nothing; a dry run is a real run that is not
// committed. After any end of the program, New boots the instances that were
// running and goes on with what was under way. What builds leave behind that
// nobody can ask for any more, terminated instances and client tokens, is
// forgotten after a day, and New writes the file anew if most of it is empty.
//
// # Time and faults
//
// By default things take as long as they take, and a call that begins something
// is answered when it is done, or after ten seconds: its answer says pending, and
// the next call finds it running. [Options].Latency plays the durations of AWS
// instead, or those that it names: see [CheckLatency]. [Options].Faults says what
// goes wrong: see [ParseFaults].
//
// # Watching
//
// GET /_ec2local/inventory answers with everything that exists, as JSON. GET
// /_ec2local/lease answers with a connection that stays open: [Server.Leases]
// counts them. Both are signed as every call, with service ec2.
package ec2local

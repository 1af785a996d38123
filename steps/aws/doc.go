// Package aws turns a template's amazon-ebs options into typed steps, and is the
// one place that knows EC2.
//
// # The life of a build
//
// [EBS] holds the options. Machine adds the steps up to a reached machine,
// Capture those from there to the finished image:
//
//	access ┬─ source ──────────┬─ launch ─ wait ─ connect ─ (provisioners) ─┬─ stop ──┬─ image ─ image-ready ─┬─ share, imds, deprecate, protect
//	       ├─ name-check ──────┤                                            └ regroup ┘                       └─ copy-REGION ─ copy-ready-REGION ─ ...
//	       ├─ network ─ group ─ admit ─┤
//	key ───┴─ keypair ─────────┤
//	host-key ──────────────────┘
//
// A Windows build without winrm_password has a step password between wait and
// connect.
//
// Where words of the template wait for the source image, or volumes are laid over
// its own, a step values between source and launch looks at what they come to.
//
// Access asks EC2 whether it takes the credentials, so that bad ones are reported
// once and before anything is made. The key pair goes right after the launch.
// Regroup moves the instance into the default group of its VPC while it stops, so
// that the temporary group goes while the image is made. The instance goes when
// the image is ready. What is done to a finished image comes in steps of their
// own, each a goal: when one fails, the image stays, and a resume does only what
// is missing.
//
// A default build makes 16 calls, which a test counts, and the looks of its waits:
// about eight where everything goes as fast as it can, and one every few seconds
// for all builds of an account and region together where it does not.
//
// # Nothing twice, nothing forgotten
//
// Every call that makes something tags it in the call: see [TagRun] and the
// others. Where EC2 takes a client token (RunInstances, CopyImage) it is the
// task's token; where it does not, the token is the name (key pair, group), or
// the name that the user chose is adopted if the thing carries the token (image).
// So a reply that was lost costs nothing, in this process or the next.
//
// EC2 takes 50 tags of one thing, and all of them may be the user's. At the making
// three of ours have their place in any case, those of the run, the token and the
// lease; what of the user's then has no room waits until the image is ready, and
// takes the place of ours. On what is temporary it is left out, with a warning.
//
// Find looks for a thing by its token in the place that the output names, or
// after a crash in every place that [Cloud.Learn] was told of. It says that
// there is nothing only after CloudOptions.Settle, 8 s by default: EC2 shows new
// things and tags within a few seconds. A shorter time risks to overlook what was
// made in the last seconds before a crash; a longer one delays every resume.
//
// What an error of EC2 means (may pass, not there yet, made before, no room,
// refused, fails) is decided by one table, in errors.go, from its code, the call and the
// age of the thing spoken of. Throttling, 5xx, broken connections and replies that
// broke off or are not the service's own are retried within the call, at a pace
// that all callers of one account and region share; what takes longer is retried
// by the engine. A call that was refused for its credentials proves that nothing
// was made, unless an earlier attempt of it had no answer.
//
// A reply is read whole, up to a bound, before anything of it is believed, and
// one in which something has no id is none: see replies.go, through which every
// client of EC2, of STS and of whatever gives credentials is made.
//
// Waits have no deadline. One poller for each account and region serves all of
// them with one call a round: quickly at first, every 5 to 10 s later.
//
// # Leases and orphans
//
// What is made carries the end of its lease, an hour from its making.
// [Cloud.KeepLease] renews the leases of a run while a process drives it.
// [Cloud.Orphans] lists by tags alone what has no valid lease, without any local
// state; the lease of a run is that of the thing of it that was renewed last, so
// nothing of a run in progress is an orphan. ImageReady tags a finished image and
// its snapshots as [TagArtifact], with the time, and ends their lease: they are
// results. A hunt for artifacts takes them for abandoned, at the soonest, a lease
// after that time.
//
// # The end of an instance that everybody forgot
//
// With max_lifetime (or CloudOptions.MaxLifetime) an instance is told at launch
// to terminate when it is shut down from inside, and user data starts a process
// on it that shuts it down at that age. A stop by EC2 and a reboot are not
// shutdowns in this sense. On images that are known to run cloud-init the timer
// starts again at every boot; a user's own script as user data is run after it;
// other user data is refused together with max_lifetime. Nothing of it is stored
// on the machine, so the image is without it.
//
// # Who may reach the machine
//
// The temporary group admits the caller's public address and nobody else, unless
// the template names others. Where the machine is reached by its private address,
// since ssh_interface says so or its subnet gives no public one, the caller comes
// from a private network, all of which are admitted as well;
// temporary_security_group_source_public_ip keeps them out.
// Where the endpoint is on this machine, the caller is loopback; where the address
// cannot be learned, everybody is admitted and a warning says so. The address is
// learned once: from another network a resume reaches the machine only if the
// template names it.
//
// Images of Canonical, Debian and Amazon Linux get a host key in user data, so
// that the machine is known before it boots, unless the template has user data
// of its own. Otherwise the keys are read off the console if they are there
// already, and else pinned at first sight, with a warning. ssh_host_key decides it:
// preset is the first of these or an error, console waits up to 10 minutes for the
// keys on the console, first-use pins.
//
// # The password of Windows
//
// A Windows machine makes a password at its first boot and seals it for the key
// pair that it was launched with, which is one of type rsa, made for the build.
// [Password] asks for it until windows_password_timeout, 20 minutes by default,
// and puts it into the run's vault; no output, message or key of a step holds it.
// With winrm_password nothing is asked, and no key pair is made. Only an image
// that was prepared by Sysprep makes a new password: an image of a Windows build
// has the accounts and passwords of the machine that it was made from.
//
// # Accounts and endpoints
//
// Steps name an account by a digest of its settings ([Cloud.Register]), never by
// a secret. A process that does not know the account, such as one that only
// destroys, uses the SDK's own choice of credentials. With CloudOptions.Endpoint
// every call of every region goes to that endpoint with throwaway credentials.
package aws

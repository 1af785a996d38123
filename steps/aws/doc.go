// Package aws turns a template's amazon-ebs options into typed steps, and is the
// one place that knows EC2.
//
// # The steps of a build
//
// [EBS] holds the options. [EBS.Wire] adds the steps; the provisioners come between
// connect and stop:
//
//	access ┬─ source ──────────┬─ launch ─ wait ─ connect ─ (provisioners) ─┬─ stop ──┬─ image ─ image-ready ─┬─ share, imds, deprecate, protect, ...
//	       ├─ name-check ──────┤                                            └ regroup ┘                       └─ copy-REGION ─ copy-ready-REGION ─ ...
//	       ├─ network ─ group ─ admit ─┤
//	key ───┴─ keypair ─────────┤
//	host-key ──────────────────┘
//
// Some steps are there only when the template needs them: values (checks, before the launch, settings that depend
// on the source image), kms-keys and fast-launch-template (in each region, before the launch), password (of Windows),
// volumes and keep-volumes, enhance, deregister, drop-snapshots, copied, and all that follow image-ready.
//
// An image with tests is a candidate first: between image and image-ready stand
//
//	candidate ─ test.launch ─ test.wait ─ test.connect ─ (its provisioners) ─ test.pass
//
// for each of them, side by side; image-ready and all that follows it come after every
// test.pass. The key pair and the group are those of the build, so regroup is left out.
//
// Up to stop all sources are wired so. Then [EBSSurrogate] has snapshot-DEVICE and -ready of each volume, and an image
// that registers them, or volumes-to-swap and swap-root; [EBSVolume] keep-volumes, and snapshot-DEVICE, -ready and share-snapshot-DEVICE.
//
// Things are removed early: the key pair right after the launch; the security group while the image is made, since
// regroup moves the instance into the default group of its VPC; the instance when the image is ready. What is done to a
// finished image is a goal of its own each: when one fails, the image stays, and a resume does only what is missing.
//
// A default build makes 12 calls (TestDefaultBuildIsCheap), looks at images twice, and
// makes the calls of its three waits: one each on an instant endpoint, about 25 in all
// on AWS. Whose the credentials are is told by the check of the access; leases are
// renewed by calls of the run's.
//
// Data sources are one step each; what is secret of their outputs is in the run's vault.
//
// # The files
//
// Each kind of step stands in a file called after the kind, with a test beside it:
// aws.copy in copy.go and copy_test.go. The options are in options_*.go, what is
// checked of them without a call in check*.go and limits.go, and ebs_wire.go adds the
// steps to a graph. Below the steps stand [Cloud] (cloud.go: accounts, and a client
// and a poller for each account and region), API (api.go: every call that is made)
// with jsoncall.go and s3.go (those of other services), poll.go (waits), pace.go (rate limits), batch.go (one call for many things),
// errors.go, and replies.go with scanxml.go (what is believed of a reply). Tags and leases are in tags.go and
// lease.go; what a crash has left, orphans.go finds. What it costs is in cost.go and forecast.go, what AWS has to allow in rights.go.
//
// # Nothing twice, nothing forgotten
//
// Every call that makes something tags it in the same call with the run ([TagRun]),
// the token of the task and the end of a lease. Where EC2 takes a client token
// (RunInstances, CopyImage) it is the task's token. Where it takes none, the token is
// the name (key pair, group), or a thing of the user's name is adopted if it carries
// the token (image, registered or created). So a lost reply costs nothing, in this process or the next.
//
// EC2 takes 50 tags of one thing. While something is made, three places are ours;
// tags of the user's without a place are put on the image when it is ready, where
// they replace ours, and are left out, with a warning, of what is temporary.
//
// Find looks for a thing by its token in the place that its output names, or after a crash in every place that
// [Cloud.Learn] was told. EC2 shows new things and tags within a few seconds: only what was not seen for
// CloudOptions.ConsistencyWindow, 8 s by default, does not exist. A shorter window may overlook what was made just
// before a crash; a longer one delays every resume.
//
// # Errors and waits
//
// One table in errors.go classifies the errors of EC2 by code, call and the age of the thing: transient, notFound,
// alreadyExists, noCapacity, unauthorized, permanent. Throttling, 5xx and broken or truncated replies are retried
// within the call, at the rate that AWS publishes, which all callers of an account and region share. What takes
// longer the engine retries. A call that was unauthorized proves that nothing was made, unless an earlier attempt of
// it had no reply.
//
// A wait has no deadline of its own; only the password of Windows, and host keys that must come from the console,
// have one. One poller for each account and region looks for all waits that are due with one call. It looks rarely
// before a thing usually is done, and often around then, as CloudOptions.Times has learned (package usual).
//
// An instance is removed when EC2 has begun to terminate it: nothing stops that,
// nobody pays for it, and Find does not find it. A group or volume that it still uses
// waits for its end.
//
// # Accounts and endpoints
//
// Steps name an account by a digest of its settings ([Cloud.Register]), never by a secret; equal settings are one
// account, however many builders have them. A process that does not know an account, such as one that only destroys,
// uses the SDK's own choice of credentials. With CloudOptions.Endpoint every call of every region goes there, with
// throwaway credentials.
package aws

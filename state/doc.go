// Package state keeps what must not be lost about a run: its records, pins and
// secrets, its events, and a summary that others may read while it works.
//
// A [Home] holds all runs. A [Run] is one of them, held by one process at a time. A
// [Backend] keeps them: a directory, unless a program has another, such as package
// state/postgres, and package statetest has the tests that each must pass. What is
// common to them is here: what is kept of a run, that its secrets are sealed and kept out of
// all else, and what a failure says. A directory has
//
//	runs/<id>/state.db      records, documents and sealed secrets, in bbolt
//	runs/<id>/events.jsonl  one event a line, in the order in which they came
//	runs/<id>/run.json      the summary, replaced as a whole
//	identity                opens the secrets of every run
//
// # Who may do what
//
// (In a directory; the documentation of state/postgres says what takes the place of the
// lock there.)
//
// Whoever creates or opens a run drives it: the lock on state.db is held until
// Close or until the process ends, however it ends. A second driver gets a
// [BusyError] at once. Readers use the summary and the events only, and never
// wait for a driver nor make one wait.
//
// # Durability
//
// [Run.Put] and the other writes to state.db return when the data is on disk;
// those that come while a commit is under way share the next one. [Run.Later] and
// the like put a write off: it goes with the next one, after a fifth of a second
// without one, or when the run is closed. The order stays, so that a process that
// dies loses the last of what it has put off, and nothing from between. [Run.Emit]
// hands an event to the operating system, so that it survives the death of the
// process; [Run.Sync] makes it survive a power cut.
//
// A full disk fails the write that met it and leaves what was there before as it
// was; [WriteError] names the file and the things that exist outside. A damaged
// file is a [CorruptError], never a panic and never silently wrong data: every
// value carries a checksum.
//
// # Runs of many processes
//
// A run that an engine drives from elsewhere is assigned to it ([Home.Assign]); whoever
// does steps of it joins it with the epoch of that ([Home.Join]), claims each step
// ([Run.Claim]), and reads what the others have changed ([Run.Refresh]). Whoever is late,
// since it was paused and another goes on, is refused with a [FencedError], and told by
// [Run.Lost]. Only backends that many processes reach can do that.
//
// # Contents
//
// [Run.PutBlob] keeps files beside the records by their SHA-256, and [Run.Blob] returns
// what has that sum or nothing.
//
// # Secrets
//
// The [Vault] of a run seals values with age to an identity that lies in the
// home, or wherever IMGFLOW_IDENTITY points, or to the recipients of
// [Home.WithRecipients], whose identities open them elsewhere. What is kept of a run
// alone gives none of them away. The [Redactor] keeps them out of the events.
package state

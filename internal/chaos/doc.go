// Command chaos breaks builds in every way there is, and looks at what remains.
//
//	go run ./internal/chaos -n 200 -workers 16
//	go run ./internal/chaos -n 40 -template windows
//	go run ./internal/chaos -n 60 -runner process
//	go run ./internal/chaos -n 60 -state postgres
//	go run ./internal/chaos -n 60 -on temporal
//	go run ./internal/chaos -boundary -guest sandbox
//	go run ./internal/chaos -boundary -template production
//	go run ./internal/chaos -seed 1234
//
// # The campaign
//
// Each run has a number, its seed, and all that happens to it is drawn from
// that: the template, the faults of the embedded EC2 that it builds in (a fifth of
// all calls throttled, 5 % refused, 3 % of connections cut, some replies lost,
// things visible up to five seconds late; some machines are spot instances, which are
// taken back once or twice), how long things take there, and the
// moment at which the real imgflow process gets a real SIGKILL (sometimes a
// SIGTERM). Some builds reach their machine through Session Manager, some encrypt, with keys of
// each region, and share what they make, some publish it or have it launched fast, and some make
// volumes in place of an image. What follows is drawn, too: the instance may be terminated or
// rebooted through the EC2 API, and then comes `imgflow resume`, or `imgflow
// destroy`, or the state directory is deleted and `imgflow destroy --orphans`
// comes. These are killed in turn up to three times before they may finish.
//
// In the end the whole inventory of the embedded EC2 is held against what was
// wanted. After a resume there is one image (in each region that the template
// names) with its snapshots, or one volume and one snapshot, encrypted, shared and published
// (once) as asked for; after a destroy there is nothing, or that image if
// the build had made it before; and nothing else: no instance that is not
// terminated, no key pair, no group but the default ones, no volume. Then
// `imgflow destroy --artifacts` must leave nothing at all. At no moment two
// instances of the build were alive.
//
// After a resume the log holds every line of the scripts exactly once, unless the
// machine was made again. With -template windows the image is one of Windows: by
// WinRM, sealed by NTLM or plain, with a file, PowerShell scripts of which some run
// elevated, and a restart between them.
//
// One line is printed for each run, and a total at the end. A run that went
// wrong says what is there too much or too little, and the command that repeats
// it alone. What a seed decides is always the same; when the kernel schedules
// what is not, so a repeated run may need a few tries to go the same way.
//
// # Steps in a process of their own
//
// With -runner process all of the steps' work (Do, Find and Undo of every kind) is done
// by another process than the engine's: a hidden mode of an imgflow that was built to be
// broken, with neither environment nor working directory, which is told everything
// through a pipe. It is killed with -9 too, up to four times for each imgflow, at
// moments that the seed decides; the engine goes on with another one.
//
// # Runs in PostgreSQL
//
// With -state postgres the program is imgflow-fleet, and the runs are in a PostgreSQL that
// is started for it, each world's in a database of its own.
//
// # Builds by workers
//
// With -on temporal imgflow-fleet only submits: two workers build, by a Temporal server that
// each world has for itself, with the runs in PostgreSQL. They are killed with -9, and each
// fifth time the server is, at the moments that the seed has for a process of steps; others take
// their places. A run whose submitter was killed goes on, or is taken from the workers by
// `imgflow destroy`.
//
// Each template has a secret, which its scripts print. It is neither in imgflow's home, nor in
// the database, in a history of the server, or in what a worker prints.
//
// # Kills at every checkpoint
//
// With -boundary the program is one that can kill itself at its nth write to the
// run's state, immediately before or after the write lands (built with the tag
// chaos, and told by IMGFLOW_CRASH_AT). A build with a file and two scripts is
// killed at every n, on both sides, and then resumed, and then destroyed. With -on temporal
// a worker is killed so, too, and another one goes on. With -template production it is the
// example of that name, and all that the API tells of what there is afterwards is held against
// what a build without a kill has left.
//
// # Running it
//
// The program under test is built from this source unless -imgflow names one.
// Each run has an embedded EC2 of its own, as a process on a loopback port; all
// of them end with this program. The directory of a run that went wrong is left: it
// has the home, the events, the log of the endpoint and, in outcome.txt, what was
// wrong and how to repeat it. Sandbox guests want root, or a user who may make namespaces.
//
// The tests of this package are the same, shorter, and single stories of what
// can break; docs/failure-model.md says which test proves what.
package main

// Package comm reaches machines: it says how to reach one ([Endpoint],
// [Machine]), keeps the live connections ([Env]), copies files and directories,
// and runs scripts so that they survive the connection and the caller.
//
// # Connections
//
// [Connect] waits until a machine lets us in and returns a [Machine], which is
// plain data. Env.Remote makes a [Remote] of it. Env keeps one live connection
// for each machine and dials again when it dropped; a peer that stays silent
// for three keep-alive intervals counts as dropped. ssh_timeout and winrm_timeout end
// an attempt that is under way, too: at a silent server, bastion, proxy or agent. While a machine boots, only
// refused logins count against ssh_handshake_attempts, and the wait between two
// attempts grows from a quarter of a second to five seconds, beginning anew
// whenever the failure changes.
//
// While a machine cannot be reached Env.Status is asked every few seconds what has
// become of it. One that is stopped or terminated is not waited for: the error holds
// a [DownError]. One that was never reached is asked about after 20 s.
//
// An agent may hold more keys than a server bears on one connection (OpenSSH 6): the
// others are shown on the next ones, which is one attempt.
//
// Host keys are always verified. One that nobody knows beforehand is pinned on
// first use, with a warning, and is part of the Machine from then on. The SSH
// agent is never forwarded.
//
// Windows is reached over WinRM (package wsman). A machine is ready when a
// script has really run on it; while it boots it may refuse all, logins too, for
// as long as winrm_timeout. A login that the machine offers and refuses is tried
// nine times, with waits that double, within eight and a half minutes: the tenth
// would lock the account. With winrm_insecure the certificate that is seen first,
// after the pause if there is one, is pinned, with a warning, and is part of the
// Machine from then on.
//
// # Runs
//
// Remote.Run starts a script on the machine so that it goes on when the connection
// breaks or this process dies; the next call with the same Job.Token follows it. The
// task's printed lines are the journal: what was printed and where to go on are one
// record. That it has begun, and its end, are saved in the task. The end of a run is never guessed: it is an exit status, a reboot (the
// machine's boot id has changed), or a [LostError], and a lost run is not started
// again. After a failed attempt a step that wants to run its script again must use
// another token; see [JobToken].
//
// It needs Linux with /proc, a POSIX sh and the usual small commands, and takes four
// to five times as long as the same script by a bare `ssh host sh -s` (BenchmarkRun).
// How it is done is told in run.go.
//
// # Runs on Windows
//
// The scripts in ps are constants for Windows PowerShell 3 and later; whatever is a
// value goes to them as data. What keeps a run alive there is told in winrm_run.go.
//
// # Files
//
// Single files go over SFTP, or over a plain channel to servers without it, and
// replace their destination at once when they are complete; a destination that
// is a link, a device or somebody else's is written in place. Directories go as
// one tar stream, compressed by gzip if the first 256 KiB of it shrink by a quarter:
// photographs, packages and archives do not. Level 1 compresses source code to 32 %,
// at 105 MB/s; the default level to 28 %, at 40 MB/s, which most networks outrun.
// Machines without tar get directories as commands for a shell with the bytes of
// the files between them, in one stream (sh/tree.sh): 5,000 files in 15 s. They send
// them by SFTP, file by file, or without that like an archive (sh/read.sh). Package tree says what becomes of symbolic links on their way there.
//
// A machine is not trusted with what it sends. A directory is unpacked below an
// os.Root and nowhere else; names that lead out are refused, and so are those that
// are longer than 4,096 bytes or deeper than 256 directories. A symbolic link is made
// only if it stays inside, whatever else is made later: it goes up first and then
// only down, or is made to. Others, devices, pipes and sparse files are left out with
// a warning. What is kept in memory has a bound; see limit.go.
//
// To Windows both go as a zip archive, in parts of 270,000 bytes. It is checked by
// its digest when it is complete; of one that broke, the rest is sent; a file that is
// there already and the same is not sent. The file replaces its destination when it
// is complete, directories are unpacked in place. Modes and times do not go along.
//
// What WinRM costs, in HTTP requests over Basic and in the shell that is there
// (TestCostOfWindows): a command of Exec or PowerShell 4, a run 8 with the shell of
// its own, and one more whenever it has printed something; an upload 7 and 4 for
// each MiB of the archive, which is 1.8 MiB then: base64 twice. Each also starts
// powershell.exe once, except Exec. NTLM adds 2 for each new connection.
package comm

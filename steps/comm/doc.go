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
// While a machine cannot be reached Env.Fate is asked every few seconds what has
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
// Remote.Run starts a script on the machine under a few lines of POSIX sh
// (sh/run.sh) that detach it, spool its output and keep its exit status. One
// exec channel uploads, starts and follows (sh/launch.sh). When the channel
// breaks, or this process dies, the script goes on; the next call with the same
// Job.Token follows from where the lines that were kept end. A run is started
// once: every starter must make the directory "claim.<boot id>", and only one
// can; once the file "run" is there nobody tries. A reboot before that leaves a
// run that never began, and the next starter's claim is a new one.
//
// The task's printed lines are the journal. A line is printed with the offset
// behind it, so what was printed and where to go on are one record. The streams
// of a job are named "stdout" and "stderr" if its token is the task's, and else
// have a tail, "stdout/1" for the token <task's token>-1: readers show what is
// before the slash. A line without end is broken at 64 KiB. Two more streams
// hold numbers in place of an offset and are not shown; their names begin with
// "exit": "exit-boot" is the boot of the machine in which the run began, and
// "exit" its end. Only when that is on disk does the machine forget the run.
//
// After a failed attempt a step that wants to run its script again must use
// another token; see [JobToken]. The end of a run is never guessed: it is an
// exit status, a reboot (the machine's boot id has changed), or a [LostError],
// and a lost run is not started again.
//
// On the machine a run lives in /var/tmp/.imgf-<token>, else in the home
// directory, else in /tmp. Its script may be one that cleans these up: it may
// delete, move, hide or give away all that lies there. What the runner
// (sh/run.sh) has open is the run then, reached by /proc/<pid>/fd, and the runner
// stays until somebody has taken the end of the script; only a reboot, or who kills
// the runner as well, loses it. A command that ends with 0 and has never read the
// script (Exit.Unread) is known by the script's time of access, where there is one. It needs Linux with /proc, a POSIX sh and the usual
// small commands; GNU's and busybox's do. If setsid is missing the script is
// still not hurt by the end of the connection. Where logind is told to kill
// users' processes (KillUserProcesses=yes), log in as root.
//
// A run costs about 20 ms more than the same script by a bare `ssh host sh -s`
// over a connection that is already open (30 against 8 ms with dash; see
// BenchmarkRun), and as many round trips plus one, the acknowledgement.
//
// # Runs on Windows
//
// The scripts in ps are constants for Windows PowerShell 3 and later; whatever is
// a value goes to them as data, and never becomes part of a program or of a command
// line. powershell.exe is started with ps/bootstrap.ps1, reads a script and its
// data from its input line by line, and answers in lines.
//
// ps/launch.ps1 makes the directory %ProgramData%\imgf-<token>, which only
// administrators and the user can read and clean-up scripts do not empty (what is
// needed there is held open, too, and so cannot be deleted), and lets WMI start the runner (ps/run.ps1),
// outside of the session, whose end ends all its processes; an elevated run is
// started by a scheduled task of the same name. A runner must open the file
// "lock" for itself alone, which only one can, and holds it until it ends: so it is
// known whether it is alive, and a starter that dies leaves nothing locked. Once the
// file "run" is there nobody tries. The command has the environment of a fresh
// session, with Job.Env over it; a variable with an empty value is not set, as
// Windows has none. Its input is empty. UTF-8 is the console's code page, so native
// programs print it unless they insist on another.
//
// Windows has no boot id. A reboot is told by the time for which the machine is up,
// which no change of its clock changes: it must have grown by as much as has passed
// since the run was first heard of. If our own clock is set forward meanwhile, a run
// whose runner was killed counts as rebooted. Cancel ends the tree of the command's
// processes; one whose parent has ended before is not found. What is left running
// and has the streams open keeps the run's directory from being removed; then there
// is a warning.
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
// (TestWindowsCost): a command of Exec or PowerShell 4, a run 8 with the shell of
// its own, and one more whenever it has printed something; an upload 7 and 4 for
// each MiB of the archive, which is 1.8 MiB then: base64 twice. Each also starts
// powershell.exe once, except Exec. NTLM adds 2 for each new connection.
package comm

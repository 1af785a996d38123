// Package winguest is a Windows Server machine made of a folder and of code of
// this program, as far as building images on one needs it.
//
//	m, err := winguest.Open(dir, winguest.Spec{Release: winguest.ReleaseOf("2019"), Addr: "127.16.0.7"})
//	m.TakePorts(nil)
//	m.Boot(winguest.Boot{UserData: data, Key: key, Console: w, Exited: func(reboot bool) { ... }})
//
// No byte of Windows is in it, and nothing of it runs outside of this process:
// what its users can reach is the folder. Its programs are functions of Go. What
// it has not, it refuses by name; it does not pretend.
//
// # Disk
//
// Drive C: is the folder c, with the names, the share modes and the limits of
// Windows: see disk.go. There are no other drives, no links, no owners, no 8.3 names,
// no network paths.
//
// # Registry
//
// HKLM and HKCU (a user's own part of HKU; HKCR is HKLM\SOFTWARE\Classes), all
// six types of values, kept at once. It holds what scripts look at: CurrentVersion,
// the machine's environment, Policies\System, the services' and the sessions'
// managers; of the keys that tell of a pending restart none. Three parts of it do
// something: the environments, EnableLUA with LocalAccountTokenFilterPolicy, and
// the policies of WinRM. Services, tasks and accounts have no keys.
//
// # Accounts
//
// Local users and groups, with the password policy of a server. Administrator has
// no password until the first boot or a script gives it one, and nobody without
// one gets in. Rights are those of administrators or not; UAC counts as it does
// remotely and in tasks: the built-in Administrator has all rights, other members
// of Administrators have them with LocalAccountTokenFilterPolicy or the run level
// Highest. The registry and whatever changes the machine ask for them.
//
// # Processes
//
// [Machine.Start] takes a command line as CreateProcess does. The programs are
// powershell.exe (package posh), cmd.exe with batch files (package batch) and the
// native ones of this package's programs; each is a small file where Windows has
// it. Any other .exe is "not a valid Win32 application": there is no processor
// for it. A process has an id, a parent, a job, an account, 32 bits of exit code.
// The processes of a remote shell are a job that ends with the shell; what
// Win32_Process.Create or the task scheduler starts is outside of it. All end
// with the machine.
//
// # Services and tasks
//
// The usual services can be started, stopped and set. Only WinRM does something:
// the others are records, and one that a script makes cannot be started. Tasks
// run as SYSTEM, as a service account, or as a user whose password is looked at
// when the task is registered and again when it starts; at boot, once or daily.
// A task for a user who must be logged on never runs: nobody is. Its last result
// says what became of it, as on Windows.
//
// # Network
//
// WinRM (package wsman) listens where its listeners say, if the service runs and
// the firewall lets somebody in; changes count at once, and a closed port closes
// its connections. As in EC2 the network is public, and clients are not in the
// machine's subnet: a fresh machine has a listener that nobody reaches. Configured
// are WinRM (winrm, WSMan:, WSManInstance, policies), its certificates (LocalMachine\My,
// made here), rules and profiles of the firewall. Nothing else listens.
//
// # Life
//
// [Machine.PowerOff] ends the machine after a while or at once, as shutdown.exe
// asks; a boot has a new time, and for 0.7 s after the end nothing answers. At the first
// boot the launch agent gives the administrator a random password, encrypted with
// the key of the launch, and runs the user's data as Administrator: <script>, then
// <powershell>, with <powershellArguments> and <persist>. An image of the machine
// keeps its accounts and runs no user data, unless ec2launch reset or sysprep, or
// InitializeInstance.ps1 or SysprepInstance.ps1, made the next boot a first one.
// Sysprep makes nothing general: name and identifiers stay.
//
// # Management
//
// WMI has the classes of [Machine.Instances], with WQL conditions, and the methods
// of [Proc.CreateProcess] and [Proc.Call]; PowerShell reaches it all by cmdlets
// (CIM and WMI, services, scheduled tasks, local users, firewall, power, WinRM,
// certificates) and by the drives HKLM:, HKCU:, Registry::, WSMan: and Cert:.
// Roles, features, packages, updates, modules and domains are refused.
//
// # State
//
// All but the disk is in machine.json, of mode 0600: passwords of accounts and
// tasks and keys of certificates are in it as they are. It is written at each
// change.
package winguest

// Package provision holds the provisioners of a template: the steps that change
// a machine before it becomes an image.
//
// Each is one struct. Its exported fields are the options, under the names that
// templates use; Check says what is wrong with them before anything is made, Add
// puts the struct itself into a graph, and Do does the work when the machine
// stands. A provisioner takes the machine and gives it back, so that the next one
// runs after it and nothing runs beside it.
//
//	shell          [Shell]       scripts on the machine
//	file           [FileCopy]    files to the machine and back
//	shell-local    [ShellLocal]  scripts on this computer
//	sleep          [Sleep]       nothing, for a while
//	ansible        [Ansible]       a playbook, by the Ansible of this computer
//	ansible-local  [AnsibleLocal]  playbooks, by an Ansible on the machine
//	inspec         [InSpec]        a profile of tests, by the InSpec of this computer
//
//	puppet-masterless, puppet-server  [PuppetMasterless], [PuppetServer]
//	chef-solo, chef-client            [ChefSolo], [ChefClient]
//	salt-masterless                   [SaltMasterless]
//	converge                          [Converge]
//	goss                              [Goss]
//
// and on Windows, where shell is not:
//
//	powershell       [PowerShell]      PowerShell scripts on the machine
//	windows-shell    [WindowsShell]    batch files on the machine
//	windows-restart  [WindowsRestart]  the machine restarts
//	windows-update   [WindowsUpdate]   Windows is updated, with the restarts that this takes
//
// At a [Breakpoint] whoever runs the graph waits for the user.
//
// # Windows
//
// Nothing that a user wrote becomes part of a text that PowerShell or cmd.exe
// reads: scripts travel as files, and variables as the environment that their
// process begins with, byte for byte. The two exceptions are asked for by the
// user: env_var_format, and {{.Vars}} in the execute_command of windows-shell.
// {{.Vars}} in a command of powershell is the path of a constant script that
// reads the variables from the file beside it.
//
// A PowerShell script runs under ps/wrap.ps1, which turns its end into an exit
// code: that of exit, else $LASTEXITCODE, and 1 after an exception. An
// execution_policy is that of the script; the wrapper itself always runs. Files
// with other text than ASCII and without a byte order mark are sent with that of
// UTF-8, which Windows PowerShell would not guess; binary leaves them alone.
//
// Scripts and what belongs to them lie in the run's own directory, or where
// remote_path and remote_env_var_path say, and are removed; with skip_clean the
// scripts stay, never the variables. A script that restarts the machine fails,
// unless 2300218 is among its valid_exit_codes: windows-restart behind it knows
// when the machine is back.
//
// # Programs of the machine
//
// What has a program of the machine do the work, such as Puppet, does it by a tool: files
// are staged once for each try, and each command is a run like that of a script.
// A file that is private, such as a key, is for the user alone, and off the machine again when
// the try is over: no image holds it. What has to be secret reaches the program by
// its environment or by a file; the command that the user writes is sent as a script, so that it
// is in no list of processes, but what sudo is given by a command line is.
//
// # Interruptions
//
// Scripts on the machine outlive the connection and this process. A shell step that is resumed follows the script
// that still runs, shows what it has printed meanwhile, and does not run again what has ended. Copying is simply done
// again. A local script dies with this process and starts again from its beginning.
//
// So does a playbook of ansible, and a profile of inspec. A watcher beside it ends it, and removes the files of
// its call, when this process is gone in whatever way; and it holds a lock for as long as
// anything of it runs, so that the next one waits until it is.
//
// # Ansible and InSpec
//
// Over SSH ansible-playbook gets a proxy (package sshproxy) with keys made for the call, or, without it, an agent
// that has the machine's key; in both cases our own known_hosts beside the user's. Over WinRM it connects by itself,
// with the password in a file of extra variables. All of these files lie in a directory that only this user can
// enter. A sensitive value in extra_arguments goes to such a file, too: command lines are seen by everybody. What
// Ansible finds beside a playbook (roles, templates, group_vars ...) is part of the step's key.
//
// InSpec goes the same ways. It does not verify the proxy, which is on this computer and takes one key alone; its
// password for WinRM is in a configuration file.
//
// # Values known late
//
// Options that are a dag.Text may use the values of the build: {{ build `ID` }} and
// the like. They are put in when the step runs. Sensitive values never enter a step's
// key or its stored form.
package provision

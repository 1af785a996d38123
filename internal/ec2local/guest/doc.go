// Package guest keeps the guests that stand behind the instances of an embedded
// EC2: real files, real processes, a real SSH server.
//
// # Kinds
//
// A sandbox guest (Linux) is a set of namespaces over overlays of the host's own
// system directories: its programs are the host's, what it changes is its own.
// Home directories, credentials, logs, password hashes, host keys, other
// processes and every top-level directory of the host that is not part of the
// system are not there. It has users, sudo, apt or dnf, user data, services and
// reboots. Creating an image from a guest at rest costs a rename.
//
// How much works depends on who runs the server:
//
//   - root (with CAP_SYS_ADMIN): everything. Where the kernel has idmapped mounts
//     for all that a guest is made of, root of the guest is nobody on the host.
//     Elsewhere it is no security boundary: uid 0 of the guest is uid 0 of the
//     host, with fewer capabilities. Do not run code in it that you would not run
//     as root.
//   - a user with a range in /etc/subuid and /etc/subgid, and newuidmap: packages
//     that the host does not have can be installed; packages that it has cannot
//     be upgraded, since their files belong to nobody in the guest.
//   - any other user whose kernel allows user namespaces: one user id. Plain
//     scripts work, and apt for packages without users of their own; su does not.
//
// What of the host's /proc, devices, keyrings, traffic, memory and processes is
// out of reach, and what is not, is in docs/local.md.
//
// A sandbox guest of a public image stands instead on the root file system that
// was imported for its system (see [Import]), if one was. Then nothing of the host's
// directories is there; what is frozen of it lies upon that root file system.
//
// A process guest (any Unix) is a scratch directory and an SSH server whose
// commands run as you, on this machine. HOME and the directory in which
// commands, scp and sftp start are the scratch directory; every absolute path,
// /tmp and /etc as well as /home/USER, is the machine's own. sudo gives no
// rights. An image is the scratch directory. It is chosen by name only.
//
// A Windows guest (Spec.Platform; under any of the kinds above) is a folder and
// code of this program: see package winguest for what it has. It needs no rights.
// An image is a copy of the folder; what is exported of it is drive C:.
//
// A none guest is a record, Windows or not.
//
// # What a sandbox guest shares with the host
//
// The kernel and the network: a server in a guest listens on the host's ports,
// and two guests cannot both have port 6379. /sys is empty. What an image holds is the difference to the host it
// was made on: over a host whose packages have changed since, its package
// database is out of date.
//
// # What stands in for the machine
//
//   - SSH: users log in with the keys of their ~/.ssh/authorized_keys as it is at
//     that moment (with the checks of StrictModes), and with the password that
//     /etc/shadow has for them where PasswordAuthentication is yes (for root,
//     PermitRootLogin too) in /etc/ssh/sshd_config.d/*.conf or
//     /etc/ssh/sshd_config, of which nothing else is read. Passwords are off
//     unless user data (ssh_pwauth) or the image turns them on; one that has
//     expired is refused. The guest's unix_chkpwd, a part of PAM, compares. In a
//     process guest only the password that user data gives the login user
//     counts. The ssh service cannot be stopped. There is exec, a terminal, sftp,
//     scp, rsync and forwarding to loopback; no agent, X11 or remote forwarding.
//     As under sshd, a command without a terminal outlives its connection.
//   - shutdown, reboot, poweroff, halt, init 0 and init 6 end the guest. After a
//     reboot /proc/sys/kernel/random/boot_id has changed.
//   - systemctl and service run units: Exec lines, Type, User, Group, Environment,
//     WorkingDirectory, Restart, the notify protocol, PID files, and scripts of
//     /etc/init.d. Enabled services start at boot. Output goes to
//     /var/log/units/NAME.log. Timers, sockets, mounts and sandboxing settings of
//     units are not there; commands that have no meaning fail and say so.
//   - cloud-init: scripts (#!) and, of #cloud-config, hostname, ssh_keys,
//     ssh_authorized_keys, ssh_pwauth, password, chpasswd (not random ones; they
//     expire at once unless expire is false), write_files, packages, package_update,
//     package_upgrade, bootcmd and runcmd. All else is named on the console as not
//     supported. cloud-init status --wait and cloud-init clean work.
//   - sudo is the host's, or where that cannot work a stand-in without a password.
//
// The programs that stand in are this program itself, executed under another
// name: any program that links this package can be a guest's first process.
//
// # Life
//
// Guests end with the server, however it ends, and boot again from their files.
// A directory belongs to one server at a time.
package guest

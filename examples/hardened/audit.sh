#!/bin/sh
# Fails when the image is not what it has to be, and says in what.
bad=0
check() { # check TEXT COMMAND...
  text=$1; shift
  if "$@" >/dev/null 2>&1; then echo "pass  $text"; else echo "FAIL  $text"; bad=1; fi
}
mode() { test "$(stat -c %a "$2")" = "$1"; }

check 'packets are not forwarded' grep -qx 'net.ipv4.ip_forward = 0' /etc/sysctl.d/60-hardened.conf
check 'cramfs cannot be mounted' grep -q '^install cramfs' /etc/modprobe.d/hardened.conf
check 'root cannot log in' grep -qx 'PermitRootLogin no' /etc/ssh/sshd_config.d/10-hardened.conf
check 'sshd_config is for root' mode 600 /etc/ssh/sshd_config
check 'crontab is for root' mode 600 /etc/crontab
check 'cron.d is for root' mode 700 /etc/cron.d
check 'there is a banner' grep -q 'Authorized use only' /etc/issue.net
check 'root alone has the user id 0' test "$(awk -F: '$3 == 0 {print $1}' /etc/passwd)" = root
check 'no account has an empty password' test -z "$(awk -F: '$2 == "" {print $1}' /etc/shadow)"
exit $bad

#!/bin/sh
# Puts the settings into their places. They take effect when a machine of the image starts.
set -eu
cd /tmp/etc
find . -type f | while read -r file; do
  install -D -o root -g root -m 644 "$file" "/etc/$file"
done
rm -rf /tmp/etc

cp /etc/issue.net /etc/issue
chmod 600 /etc/ssh/sshd_config
install -d -m 700 /etc/cron.d /etc/cron.daily
touch /etc/crontab && chmod 600 /etc/crontab
if [ "$LEVEL" -ge 2 ]; then
  echo 'install squashfs /bin/false' >> /etc/modprobe.d/hardened.conf
fi

#!/bin/sh
# What every machine of the company has.
set -eu
useradd --system --create-home --shell /usr/sbin/nologin app
install -d -o app -g app -m 750 /opt/app
echo 'This machine is the property of Example Ltd.' > /etc/motd

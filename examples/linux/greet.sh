#!/bin/sh
# Says what it was told to say, and on what.
set -e
echo "$GREETING"
echo "this is $(. /etc/os-release; echo "$PRETTY_NAME")" >&2

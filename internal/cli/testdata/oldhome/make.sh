#!/bin/sh
# make.sh IMGFLOW makes home.tar.gz: what that program leaves behind of one run that
# has finished, one that was killed in the middle of a script when its other build
# was done, and one that has failed and was suspended. No path of this machine enters
# the runs, since the templates are looked for in the working directory of whoever
# reads them. It needs Linux and root, for guests and for a host name that is nobody's.
set -eu
[ -n "${INSIDE-}" ] || INSIDE=1 exec unshare --uts sh "$0" "$(realpath "$1")"
hostname builder
here=$(dirname "$(realpath "$0")") dir=$(mktemp -d)
cp "$here"/*.json "$dir"
cd "$dir"
export PWD=/proc/self/cwd IMGFLOW_HOME="$dir/home" HOME=/nonexistent AWS_EC2_METADATA_DISABLED=true
"$1" run --local finished.json
"$1" run --local killed.json >out & run=$!
until grep -q 'win: begun' out && grep -q 'bare: Removing instance' out; do sleep .1; done
sleep 1
kill -9 $run
"$1" run --local -on-error=suspend failed.json || [ $? = 1 ]
sleep 6 # the script of the killed run comes to its end, which nobody has seen
server=$(sed 's/.*"pid":\([0-9]*\).*/\1/' home/local/server.json)
kill "$server"
while kill -0 "$server" 2>/dev/null; do sleep .1; done
# Left out: programs and keys that are made again, and guests that are of this host.
rm -rf home/local/program-* home/local/credentials home/local/server.log home/local/guests/layers home/local/guests/base.json
for guest in home/local/guests/guests/*; do [ -d "$guest/windows" ] || rm -rf "$guest"; done
tar --owner=0 --group=0 --numeric-owner --sort=name -czf "$here/home.tar.gz" home
rm -rf "$dir"

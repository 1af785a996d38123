# Runs the PgBouncer $1 with the settings in $CONFIG until standard input ends.
trap '' HUP INT TERM QUIT
umask 077
dir=$(mktemp -d "${TMPDIR:-/tmp}/pgtest-XXXXXX") || exit 1
printf '%s' "$CONFIG" >"$dir/pgbouncer.ini"
"$1" -q "$dir/pgbouncer.ini" >"$dir/log" 2>&1 &
read -r nothing
kill -9 $!
rm -rf "$dir"

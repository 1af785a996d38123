# Serves PostgreSQL with the programs of $1 and the options $2 from a directory of its own,
# as the lines of standard input say (start, stop, kill), and answers each with a line, done
# or failed. When there are no more, whoever has started this is gone: the server is ended and
# what it has stored is removed.
trap '' HUP INT TERM QUIT
umask 077
dir=$(mktemp -d "${TMPDIR:-/tmp}/pgtest-XXXXXX") || exit 1

ctl() { "$1/pg_ctl" -D "$dir/data" -s -w -t 60 "$2" "$3" "$4" -l "$dir/log" 2>&1; }

prepare() {
	[ -d "$dir/data" ] && return
	printf '%s\n' "$PASSWORD" >"$dir/password"
	"$1/initdb" -D "$dir/data" -U postgres -A scram-sha-256 --pwfile="$dir/password" --no-locale -E UTF8 --no-sync 2>&1 >/dev/null &&
		printf '%s\n' "$CERT" >"$dir/data/server.crt" && printf '%s\n' "$KEY" >"$dir/data/server.key"
}

while read -r word; do
	case $word in
	start) prepare "$1" && ctl "$1" start -o "$2" || { tail -n 20 "$dir/log"; false; } ;;
	stop) ctl "$1" stop -m fast ;;
	kill) ctl "$1" stop -m immediate ;;
	*) false ;;
	esac && echo done || echo failed
done
ctl "$1" stop -m immediate >/dev/null
rm -rf "$dir"

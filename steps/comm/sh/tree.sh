# Makes a directory of what the input tells, without tar: each line is a call of one of
# the functions below, and behind that of a file come its bytes. The caller puts the
# assignment of d before this text, the directory.
LC_ALL=C nl='
'
die() { echo "$*" >&2; exit 1; }
case $d in -*) d=./$d;; esac
[ -d "$d" ] || mkdir "$d" || exit 1
cd "$d" || exit 1
umask 077
full=0
[ "$(printf 1234 | dd bs=4 count=1 iflag=fullblock 2>/dev/null)" != 1234 ] || full=1

# take passes on so many bytes of the input. It reads no further; a block may come in
# pieces, which not every dd waits for.
take() {
	[ "$1" != 0 ] || return 0
	[ $full = 1 ] || { dd ibs=1 obs=65536 count="$1" 2>/dev/null; return; }
	[ "$1" -lt 65536 ] || dd bs=65536 count=$(($1 / 65536)) iflag=fullblock 2>/dev/null || return
	[ $(($1 % 65536)) = 0 ] || dd bs=$(($1 % 65536)) count=1 iflag=fullblock 2>/dev/null
}

# dress gives a file or directory its mode and time. Not every file system has times.
dress() { # path mode time
	chmod "$2" "$1" || die "cannot set the mode of $1"
	TZ=UTC0 touch -t "$3" "$1" 2>/dev/null || true
}

file() { # path mode time size
	rm -f "$1" && take "$4" >"$1" || { rm -f "$1"; die "cannot write $1"; }
	dress "$1" "$2" "$3"
}

link() { # path where
	rm -f "$1" && ln -s -- "$2" "$1" || die "cannot make the link $1"
}

# A link to a directory, such as /lib, is left and followed.
dir() { [ -d "$1" ] || mkdir "$1" || exit 1; } # path
leave() { [ -L "$1" ] || dress "$1" "$2" "$3"; } # path mode time
end() { exit 0; }

while IFS= read -r line; do eval "$line" || exit 1; done
die "the upload was cut short"

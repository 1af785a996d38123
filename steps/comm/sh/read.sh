# Sends what a directory holds, without tar and SFTP: of each file, directory and link
# "KIND MODE TIME SIZE PATH" and a NUL, and behind that a file's bytes, or the text of a
# link and a NUL. The caller puts the assignment of d before this text, the directory.
die() { echo "$*" >&2; exit 1; }
case $d in -*) d=./$d;; esac
cd "$d" || exit 1
for t in stat head readlink; do command -v $t >/dev/null || die "the machine has neither tar nor SFTP nor $t: install tar in the source image"; done

# Each pattern that matches nothing stays as it is, and is no file.
walk() { # directory, with a slash
	[ -r "$1" ] && [ -x "$1" ] || die "cannot read $1"
	for f in "$1"* "$1".[!.]* "$1"..?*; do
		if [ -L "$f" ]; then
			t=$(readlink "$f" && echo .) || die "cannot read $f"
			printf 'l 777 0 0 %s\0%s\0' "$f" "${t%??}"
		elif [ -d "$f" ]; then
			s=$(stat -c '%a %Y' "$f") && printf 'd %s 0 %s\0' "$s" "$f" && walk "$f/"
		elif [ -f "$f" ]; then
			s=$(stat -c '%a %Y %s' "$f") && [ -r "$f" ] || die "cannot read $f"
			printf 'f %s %s\0' "$s" "$f" && head -c "${s##* }" "$f"
		elif [ -e "$f" ]; then
			printf 'x 0 0 0 %s\0' "$f"
		fi || exit 1
	done
}
walk ./
printf 'end\0'

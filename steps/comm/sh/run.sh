# The detached runner; its directory is the run's. A script may empty, move or hide
# that directory: what is needed after it began is in open files, and 3 (the state), 4
# and 5 (the streams) and 8 (what the directory lies in) are there for followers.
# $1 token  $2 suffix of this starter's files  $3 where the script must lie, or nothing
# $4 1: leave it there  $5 1: under a terminal  $6 boot id  $7 where it lies already, outside
T=$1 U=$2 P=$3 KEEP=$4 PTY=$5 B=$6 A=$7
umask 077
mkdir "claim.$B" 2>/dev/null || { rm -f "cmd.$U" "script.$U" "$0"; exit 0; }  # exactly one starter passes
trap : TERM INT                                                    # caught, so that children get the default back
exec 8>&1 >/dev/null
quit() { printf '%s\n' "$1" >"fail.$B"; exit 1; }
{ grep '^oom_kill ' /proc/vmstat & } >oom 2>/dev/null 8>&-           # made now: a script may be removing all that lies here
if [ -n "$P" ] && [ -e "script.$U" ]; then
  [ ! -d "$P" ] || quit "$P is a directory"
  z=$(mv -f "script.$U" "$P" 2>&1) || quit "$z"
fi
rm -f o e d                                                        # of a starter that a reboot ended
mkfifo o e d 2>/dev/null || quit "no named pipes"
: >out; : >err
printf -- '-\n%08190d\n' 0 >st || quit "no space"                   # reserved now: a full disk cannot lose the status
# Opened so that nothing waits: busybox takes the end of a child for the end of a wait.
exec 9<>d 6<>o 7<>e 4<o 5<e
# One reader for each stream. FIFOs, not plain files: a script that opens
# /dev/stderr would empty a file, and a full disk would hit the script. When the
# spool can take no more the reader goes on to drain, so that nobody gets SIGPIPE.
spool() { (
  trap 'k=1; kill $c' TERM; k=; exec 4<&$1 5<&- 6<&- 7<&- 8>&-
  cat <&4 >&3 4<&- & c=$!
  wait $c && { echo $1 >&9; exit; }
  trap '' TERM
  [ -n "$k" ] || { echo f >&9; cat <&4 >/dev/null; echo $1 >&9; exit; }
  exec cat <&4 >/dev/null
  ) & }
exec 3>>out; spool 4; co=$!; exec 3>>err; spool 5; ce=$!
exec 3<>st 4<out 5<err
D=$PWD
read -r z </proc/$$/stat; z=${z##*) }; set -- $z
printf '%s\n' "$$ ${20} $B ." >run
echo $$ >&8; exec 8<..                                             # tells the starter
if command -v setsid >/dev/null; then S=setsid; else S=; fi
# Whether the command has read the script shows by the time of its last access.
Q=${P:-${A:-script.$U}}; touch -c -a -d @1 "$Q" 2>/dev/null
if [ "$PTY" = 1 ] && command -v script >/dev/null && script -qec true /dev/null </dev/null >/dev/null 2>&1; then
  { IFS= read -r z; printf '%s; exec script -qefc "exec sh %s/tty" /dev/null\n' "$z" "$PWD"; cat >tty; } <"cmd.$U" >cmd.tty
  U=tty; export TERM="${TERM:-xterm}"
fi
exec 2>why
# In parentheses: dash would close its own files for as long as the command runs.
(IMGFLOW_RUN=$T; export IMGFLOW_RUN; exec $S sh "./cmd.$U" 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-); rc=$?
sig=0; [ ! -s /proc/$$/fd/2 ] || [ $rc -le 128 ] || sig=$((rc - 128)) # sh tells of real signal deaths only ("Killed")
oom=0
if [ $rc = 137 ]; then # a count of the whole machine, so only probably this run's
  set -- $(grep '^oom_kill ' /proc/vmstat); read -r z k0 <oom || k0=$2
  [ "${2:-0}" = "${k0:-0}" ] || oom=1
fi
untouched() { [ "$(stat -c %X "$Q" 2>/dev/null)" = 1 ]; }
unread=0 # known only where a look of ours does change that time
if [ $rc = 0 ] && untouched && head -c 1 "$Q" >/dev/null && ! untouched; then unread=1; fi
[ -z "$P" ] || [ "$KEEP" = 1 ] || rm -f "$P"
[ -z "$A" ] || rm -f "$A"
# A mark behind all that the command wrote. Its readers end now, unless a daemon
# holds the streams open: then wait only until the mark is in the spool.
printf '\001\nEND%s\n' "$T" >&6; printf '\001\nEND%s\n' "$T" >&7; exec 6<&- 7<&-
seen() {
  z=$(($(stat -L -c %s /proc/self/fd/$1) / 65536)); [ $z = 0 ] || z=$((z - 1))
  { dd bs=65536 skip=$z </proc/self/fd/$1 || cat <&$1; } 2>/dev/null | grep -qF "END$T"; }
tick() { { sleep $1 2>/dev/null || sleep 1; echo t >&9; } & }
full=0 n=0 i=0; tick .1
while [ $n -lt 2 ] && read -r x <&9; do
  case $x in
  f) full=1;;                                                      # no more fits on the disk
  t)
    if [ $full = 1 ] || { seen 4 && seen 5; }; then break; fi
    i=$((i + 1)); [ $i -lt 1500 ] || { full=1; break; }
    tick .02;;
  *) n=$((n + 1));;
  esac
done
[ $n = 2 ] || [ $full = 1 ] || kill $co $ce 2>/dev/null              # leftover daemons write to a drain from now on
# Where the name does not lead here any more, this goes on to hold the files.
[ "$D/st" -ef /proc/$$/fd/3 ] && [ -O "$D/st" ] && [ -O "$D" ] && hold= || hold=1
printf '%s\n' "$rc $sig $oom $full $unread ." >&3
exec 6</dev/null                                                   # says that it is over
[ -z "$hold" ] || while read -r z <&9; do :; done

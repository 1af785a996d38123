# Runs on one exec channel: starts, follows, cancels or forgets a run. The caller
# puts assignments before this text:
#   T token, OP what to do ("again" starts what may have been started before), LS length of the script, P where it must lie, KEEP,
#   PTY, BECOME, BASE, cmd a function that prints the command, with Q as the script's path,
#   BOOT the boot id's file, GRACE seconds between TERM and KILL, LATE seconds that
#   a runner may take to begin, OFFO OFFE where the streams go on, R the runner.
M=$(umask); umask 077; A=
say() { printf '%s\n' "$*" || exit 99; }
nap() { sleep "$1" 2>/dev/null || sleep 1; }
b=; read -r b 2>/dev/null <"$BOOT"
say; say "IMGF1 $T ${b:-none}"             # whatever rc files print before this line is skipped
[ -n "$b" ] && [ -r /proc/$$/stat ] || { say "L needs /proc"; exit 1; }
miss=; for t in dd mkdir rm chmod head stat mkfifo cat grep sleep; do command -v $t >/dev/null || miss="$miss $t"; done
[ -z "$miss" ] || { say "L needs$miss"; exit 1; }

# Where the run lives: a directory that survives a reboot, if there is one. Scripts
# empty, move, hide and give away directories of temporary files; then what the
# runner has open is the run: H is the runner's directory in /proc. It stays when the
# command has ended and the directory's name does not lead to its files any more.
holder() {
  for H in $(grep -lszx -e "$T" /proc/[0-9]*/cmdline); do
    H=${H%/cmdline}; [ -O "$H" ] && [ -f "$H/fd/3" ] && [ -d "$H/fd/8" ] && grep -qszx -e "$b" "$H/cmdline" && return
  done; H=; return 1; }
into() { D=$1/.imgf-$T; [ -d "$D" ] && [ -O "$D" ] || return; cd "$D" 2>/dev/null || { chmod 711 "$D" && cd "$D"; }; }
H=; D=; if [ -n "$BASE" ]; then set -- "$BASE"; else set -- /var/tmp "$HOME" /tmp; fi
for d; do into "$d" && break; D=; done
if [ -z "$D" ] && [ $OP != start ] && holder; then cd "$H/cwd" 2>/dev/null
elif [ -z "$D" ] && case $OP in start|again) ;; *) false;; esac; then
  for d; do
    case $d in *[!A-Za-z0-9/._-]*) continue;; /*) ;; *) continue;; esac   # templates put it in quotes or not
    mkdir -m 711 "$d/.imgf-$T" 2>/dev/null; into "$d" && break; D=
  done
  [ -n "$D" ] || { say "L nodir $*"; exit 1; }
elif [ -z "$D" ]; then say "L gone"; exit 1
fi
if [ -n "$H" ]; then exec 6<"$H/fd/8"; else exec 6<..; fi   # the directory that it was made in
root() { if [ -n "$BECOME" ]; then eval "$BECOME"' "$@"'; else command -v sudo >/dev/null && sudo -n "$@"; fi; } </dev/null >/dev/null 2>&1
forget() {
  set -- "$D"
  if ! { [ "$D" -ef . ] && [ -O . ] && [ -O st ]; }; then
    w=$(pwd -P 2>/dev/null); case $w in */.imgf-$T) ;; *) w=; esac
    set -- ${D:+"$D"} ${w:+"$w"} "/proc/self/fd/6/.imgf-$T"
    while holder; do kill -s KILL "${H#/proc/}"; done
  fi
  cd /
  rm -rf "$@" 2>/dev/null || { chmod -R u+rwX "$@" 2>/dev/null; rm -rf "$@" 2>/dev/null; } || root rm -rf "$@" || { say "L stays $*"; exit 1; }
  say A; exit 0; }
[ $OP != forget ] || forget

K='[ -z "$2" ] || kill -s $1 -- -$2; for p in $(grep -lsz "^IMGFLOW_RUN=$3\$" /proc/[0-9]*/environ); do p=${p#/proc/}; kill -s $1 ${p%/environ}; done'
sig() { # the process group, then all that still carry the cookie; BECOME reaches what another user's processes are
  sh -c "$K" k "$1" "$m" "$T" 2>/dev/null; [ -z "$BECOME" ] || eval "$BECOME"' sh -c "$K" k "$1" "$m" "$T"' 2>/dev/null; }
proc() { { read -r q <"/proc/$1/stat"; } 2>/dev/null && q=${q##*) }; }
alive() { proc "$1" && set -- "$2" $q && [ "$1" = "${21}" ] && [ "$2" != Z ]; }
over() { ! alive "$rp" "$rs" || [ -c "/proc/$rp/fd/6" ]; }
claimed() { [ -d "claim.$b" ] || [ -e run ]; }   # one of an earlier boot that never began is nobody's any more
isrun() { read -r rp rs rb z 2>/dev/null <run && [ "$z" = . ]; }
pump() { # letter fd offset size: frames of what is new; sets at
  at=$3
  while [ "$at" -lt "$4" ]; do
    n=$(($4 - at)); [ $n -le 1048576 ] || n=1048576
    say "$1 $at $n"; dd bs=$n count=1 <&"$2" 2>/dev/null || exit 99
    at=$((at + n)); idle=0
  done; }
up() { read -r now z </proc/uptime; now=${now%%.*}; }
await() { # until the runner has begun; else 1, and why
  up; began=$now beat=$now
  until [ -n "$H" ] || isrun || holder; do
    if ! [ -d "claim.$b" ]; then
      [ -e run ] || { why=gone; return 1; }
      rp=0 rs=0 rb=; return 0 # it began before a reboot that has cost its record
    fi
    [ ! -s "fail.$b" ] || { read -r z <"fail.$b"; why="failed $z"; return 1; }
    up; [ $((now - began)) -lt "$LATE" ] || { why=late; return 1; }
    [ $((now - beat)) -lt 2 ] || { say P; beat=$now; } # the caller takes silence for a dead link
    nap .02
  done
  if [ -n "$H" ]; then rp=${H#/proc/} rb=$b
    if proc $rp; then set -- $q; rs=${20}; else H=; isrun || :; fi # it ended since it was found: then its files tell
  elif [ "$rb" = "$b" ] && alive "$rp" "$rs"; then H=/proc/$rp; fi; }
ackd() { while read -r a; do [ "$a" != "ack $T" ] || forget; done; exit 0; }
grip() { # opens the streams and the state; what was taken from us is taken back
  if [ -n "$H" ]; then set -- "$H/fd/4" "$H/fd/5" "$H/fd/3"; else set -- out err st; fi
  { [ -r "$1" ] && [ -r "$3" ]; } || chmod u+rw "$@" 2>/dev/null || { root chown "$(id -u)" "$@" && chmod u+rw "$@"; }
  z=; [ -r "$1" ] && [ -r "$2" ] && exec 3<"$1" 4<"$2" || return
  [ ! -r "$3" ] || { exec 5<"$3"; read -r c s o f u z <"$3"; }
  return 0; }
follow() {
  [ -n "$H" ] || claimed || holder || { say "L gone"; ackd; }
  await || { say "L $why"; ackd; }
  grip || { H=; await && grip; } || { say "L gone"; ackd; }
  [ "$OFFO" = 0 ] || dd bs=1 skip=$OFFO count=0 <&3 2>/dev/null
  [ "$OFFE" = 0 ] || dd bs=1 skip=$OFFE count=0 <&4 2>/dev/null
  idle=0; quiet=0
  while :; do
    why=
    if [ "$rb" != "$b" ]; then why=rebooted
    elif [ "$z" != . ] && over; then read -r c s o f u z <&5; why=lost; fi
    end=$z                                            # before the sizes
    set -- $(stat -L -c %s /proc/self/fd/3 /proc/self/fd/4 2>/dev/null); [ $# = 2 ] || { say "L gone"; exit 1; }
    pump O 3 "$OFFO" "$1"; OFFO=$at; pump E 4 "$OFFE" "$2"; OFFE=$at
    if [ "$end" = . ]; then [ "$rb" = "$b" ] && z=0 || z=1; say "S $c $s $o $f $u $z"; ackd; fi
    [ -z "$why" ] || { say "L $why"; ackd; }
    idle=$((idle + 1))
    if [ $idle -gt 120 ]; then n=.1; quiet=$((quiet + 10)); elif [ $idle -gt 40 ]; then n=.02; quiet=$((quiet + 2)); else n=.005; quiet=$((quiet + 1)); fi
    [ $quiet -lt 200 ] || { say H; quiet=0; }        # about every 2 s; EPIPE ends a follower without caller
    nap $n
  done; }

case $OP in
attach) follow;;
cancel)
  [ -n "$H" ] || claimed || holder || { say "C none"; exit 0; }
  await || case $why in late) say "L late"; exit 1;; *) say "C done"; exit 0;; esac
  [ "$rb" = "$b" ] || { say "C done"; exit 0; }       # its process ids are others' now
  m=; i=0
  until over || { read -r m y 2>/dev/null <main && [ "$y" = . ]; } || [ ! -e run ]; do
    i=$((i + 1)); [ $i -lt 50 ] || { say "L lost"; exit 1; }; nap .02
  done
  over || { sig TERM; i=0; until over || [ $i -ge $((GRACE * 20)) ]; do i=$((i + 1)); nap .05; done; sig KILL; }
  say "C done";;
start|again)
  if claimed; then [ "$LS" -le 0 ] || head -c "$LS" >/dev/null; follow; exit; fi
  [ "$PTY" != 1 ] || command -v script >/dev/null || say "W nopty"
  S=script.$$ Q=$P
  if [ "$LS" -ge 0 ]; then
    z=$(head -c "$LS" 2>&1 >"$S") && chmod 755 "$S" && [ "$(stat -c %s "$S")" = "$LS" ] || { rm -f "$S"; say "L upload $z"; exit 1; }
    if [ -z "$P" ]; then
      Q=$D/$S
      if ! [ -x "$S" ]; then # the file system forbids programs
        for d in "$HOME" /tmp; do
          case $d in *[!A-Za-z0-9/._-]*) continue;; esac
          cat "$S" >"$d/.imgf-$T.sh" && chmod 755 "$d/.imgf-$T.sh" && [ -x "$d/.imgf-$T.sh" ] && { rm -f "$S"; A=$d/.imgf-$T.sh Q=$d/.imgf-$T.sh; break; }
          rm -f "$d/.imgf-$T.sh"
        done 2>/dev/null
      fi
    fi
  fi
  # The first line leaves the run directory for the streams, as a login would find things.
  { printf 'echo $$ . >main; exec >o 2>e; umask %s; cd "$HOME" 2>/dev/null || cd /\n' "$M" && cmd && echo; } >cmd.$$ && printf %s "$R" >run.$$ || { say "L upload no space"; exit 1; }
  if command -v setsid >/dev/null; then S=setsid; else S=; trap '' HUP; fi
  # A pipe, not "&": sh makes what it starts in the background deaf to INT. The
  # runner closes its end when it has begun, or found that another one has.
  { $S sh ./run.$$ "$T" $$ "$P" "$KEEP" "$PTY" "$b" "$A" </dev/null 2>>log 5<&- | { read -r z; [ -z "$z" ] || H=/proc/$z; exec <&5 5<&-; follow; }; } 5<&0;;
esac

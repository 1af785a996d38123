# Runs on one exec channel: starts, follows, cancels or forgets a run. The caller
# puts assignments before this text:
#   T token, OP what to do, LS length of the script, P where it must lie, C the
#   command, X what stands for the script's path in it, KEEP, PTY, BECOME, BASE,
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

# Where the run lives: a directory that survives a reboot, if there is one.
D=; if [ -n "$BASE" ]; then set -- "$BASE"; else set -- /var/tmp "$HOME" /tmp; fi
for d; do [ ! -d "$d/.imgf-$T" ] || { D=$d/.imgf-$T; break; }; done
if [ -z "$D" ] && [ $OP = start ]; then
  for d; do
    case $d in *[!A-Za-z0-9/._-]*) continue;; /*) ;; *) continue;; esac   # templates put it in quotes or not
    if mkdir -m 711 "$d/.imgf-$T" 2>/dev/null || [ -d "$d/.imgf-$T" ]; then D=$d/.imgf-$T; break; fi
  done
  [ -n "$D" ] || { say "L nodir $*"; exit 1; }
fi
[ -n "$D" ] && cd "$D" 2>/dev/null && [ -O . ] || { say "L gone"; exit 1; }
forget() { cd /; rm -rf "$D"; say A; exit 0; }
[ $OP != forget ] || forget

K='kill -s $1 -- -$2; for p in $(grep -lsz "^IMGFLOW_RUN=$3\$" /proc/[0-9]*/environ); do p=${p#/proc/}; kill -s $1 ${p%/environ}; done'
sig() { # the process group, then all that still carry the cookie; BECOME reaches what another user's processes are
  sh -c "$K" k "$1" "$m" "$T" 2>/dev/null; [ -z "$BECOME" ] || eval "$BECOME"' sh -c "$K" k "$1" "$m" "$T"' 2>/dev/null; }
alive() { [ -r "/proc/$1/stat" ] && read -r z <"/proc/$1/stat" && z=${z##*) } && set -- "$2" $z && [ "$1" = "${21}" ]; } 2>/dev/null
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
  until isrun; do
    [ -d "claim.$b" ] || { rp=0 rs=0 rb=; return 0; } # it began before a reboot that has cost its record
    [ ! -s "fail.$b" ] || { read -r z <"fail.$b"; why="failed $z"; return 1; }
    up; [ $((now - began)) -lt "$LATE" ] || { why=late; return 1; }
    [ $((now - beat)) -lt 2 ] || { say P; beat=$now; } # the caller takes silence for a dead link
    nap .02
  done; }
ackd() { while read -r a; do [ "$a" != "ack $T" ] || forget; done; exit 0; }
follow() {
  claimed || { say "L gone"; ackd; }
  await || { say "L $why"; ackd; }
  exec 3<out 4<err
  [ "$OFFO" = 0 ] || dd bs=1 skip=$OFFO count=0 <&3 2>/dev/null
  [ "$OFFE" = 0 ] || dd bs=1 skip=$OFFE count=0 <&4 2>/dev/null
  idle=0; quiet=0
  while :; do
    why=; [ "$rb" = "$b" ] || why=rebooted
    [ -n "$why" ] || [ $((idle % 8)) != 0 ] || alive "$rp" "$rs" || why=lost
    z=; read -r c s o f k z 2>/dev/null <st          # after the liveness check, before the sizes
    set -- $(stat -c %s out err 2>/dev/null); [ $# = 2 ] || { say "L gone"; exit 1; }
    pump O 3 "$OFFO" "$1"; OFFO=$at; pump E 4 "$OFFE" "$2"; OFFE=$at
    if [ "$z" = . ]; then [ "$rb" = "$b" ] && z=0 || z=1; say "S $c $s $o $f $k $z"; ackd; fi
    [ -z "$why" ] || { say "L $why"; ackd; }
    idle=$((idle + 1))
    if [ $idle -gt 120 ]; then n=.1; quiet=$((quiet + 10)); elif [ $idle -gt 40 ]; then n=.02; quiet=$((quiet + 2)); else n=.005; quiet=$((quiet + 1)); fi
    [ $quiet -lt 200 ] || { say H; quiet=0; }        # about every 2 s; EPIPE ends a follower without caller
    nap $n
  done; }

case $OP in
attach) follow;;
cancel)
  claimed || { say "C none"; exit 0; }
  await || case $why in late) say "L late"; exit 1;; *) say "C done"; exit 0;; esac
  [ "$rb" = "$b" ] || { say "C done"; exit 0; }       # its process ids are others' now
  i=0; until read -r m z 2>/dev/null <main && [ "$z" = . ]; do
    read -r c s o f k z 2>/dev/null <st; [ "$z" != . ] || { say "C done"; exit 0; }
    i=$((i + 1)); [ $i -lt 50 ] || { say "L lost"; exit 1; }; nap .02
  done
  ended() { read -r c s o f k z 2>/dev/null <st; [ "$z" = . ] || [ ! -e run ]; }
  ended || { : >cancelled; sig TERM; i=0; until ended || [ $i -ge $((GRACE * 20)) ]; do i=$((i + 1)); nap .05; done; }
  sig KILL; say "C done";;
start)
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
  c=; while :; do case $C in *"$X"*) c=$c${C%%"$X"*}$Q; C=${C#*"$X"};; *) break;; esac; done
  # The first line leaves the run directory for the streams, as a login would find things.
  printf 'echo $$ . >main; exec >o 2>e; umask %s; cd "$HOME" 2>/dev/null || cd /\n%s%s\n' "$M" "$c" "$C" >cmd.$$ && printf %s "$R" >run.$$ || { say "L upload no space"; exit 1; }
  if command -v setsid >/dev/null; then S=setsid; else S=; trap '' HUP; fi
  # A pipe, not "&": sh makes what it starts in the background deaf to INT. The
  # runner closes its end when it has begun, or found that another one has.
  { $S sh ./run.$$ "$T" $$ "$P" "$KEEP" "$PTY" "$b" "$A" </dev/null 2>>log 5<&- | { read -r z; exec <&5 5<&-; follow; }; } 5<&0;;
esac

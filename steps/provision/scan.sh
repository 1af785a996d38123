find /dev/null -cmin -1 >/dev/null 2>&1 && echo x | grep -lF x >/dev/null 2>&1 || exit 9
echo "uid $(id -u)"
export LC_ALL=C n="$(cat)"
for d in /* /.[!.]*; do
	case $d in /proc | /sys | /dev | /run) continue ;; esac
	[ -e "$d" ] && ! [ -L "$d" ] && [ "$(stat -f -c %T "$d" 2>/dev/null)" != tmpfs ] || continue
	find "$d" -type f -cmin "-$1" -exec sh -c 'printf "%s\n" "$n" | grep -lFs -f - -- "$@"' sh {} + 2>/dev/null
done
exit 0

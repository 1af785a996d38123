sed -n '/^ID=/p;/^VERSION_ID=/p' /etc/os-release 2>/dev/null
if command -v dpkg-query >/dev/null 2>&1; then
	printf 'format=deb\n\n'
	dpkg-query -W -f '${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\n'
elif command -v rpm >/dev/null 2>&1; then
	printf 'format=rpm\n\n'
	rpm -qa --qf '%{EPOCH}\t%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\n'
elif [ -r /lib/apk/db/installed ]; then
	printf 'format=apk\n\n'
	sed -n '/^[PVA]:/p;/^$/p' /lib/apk/db/installed
fi

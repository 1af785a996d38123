#!/bin/sh
# Notes in the image what it was made of, and has its second volume mounted at the first boot.
set -eu
printf 'BASE=%s\nCOMMIT=%s\n' "$BASE" "$COMMIT" > /etc/image-release
mkdir -p /var/lib/cloud/scripts/per-once
cat > /var/lib/cloud/scripts/per-once/data.sh <<'END'
#!/bin/sh
data=$(readlink -f /dev/disk/by-id/nvme-*_Elastic_Block_Store_*-ns-1 | grep -v "$(findmnt -no SOURCE / | sed 's/p[0-9]*$//')" | head -n 1)
mkfs.ext4 -L data "$data" && mkdir -p /srv && echo 'LABEL=data /srv ext4 nofail 0 2' >> /etc/fstab && mount /srv
END
chmod 755 /var/lib/cloud/scripts/per-once/data.sh

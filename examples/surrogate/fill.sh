# Fills the volume that becomes the root of the image: a partition, a file system, Debian, a boot loader.
set -eu
disk=/dev/xvdf
[ -b "$disk" ] || disk=/dev/nvme1n1 # as Nitro shows it
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq mmdebstrap dosfstools gdisk
sgdisk --zap-all --new=1:0:+1M --typecode=1:ef02 --new=2:0:0 --typecode=2:8300 "$disk"
partprobe "$disk"
udevadm settle
root=$(lsblk --noheadings --paths --list --output NAME "$disk" | tail -n 1)
mkfs.ext4 -q -L root "$root"
mkdir -p /mnt/root
mount "$root" /mnt/root
mmdebstrap --include=linux-image-cloud-amd64,grub-pc,cloud-init,openssh-server,sudo "$RELEASE" /mnt/root
echo 'LABEL=root / ext4 defaults 0 1' > /mnt/root/etc/fstab
for d in dev proc sys; do mount --rbind "/$d" "/mnt/root/$d"; done
chroot /mnt/root grub-install --target=i386-pc "$disk"
chroot /mnt/root update-grub
rm -f /mnt/root/etc/ssh/ssh_host_*
for d in dev proc sys; do umount --recursive --lazy "/mnt/root/$d"; done
umount /mnt/root
sync

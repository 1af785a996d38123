#!/bin/sh
# The driver for the kernel that runs now, and NVIDIA's runtime for containers.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq "linux-headers-$(uname -r)" "nvidia-driver-$DRIVER" curl gpg

repo=https://nvidia.github.io/libnvidia-container
key=/usr/share/keyrings/nvidia-container-toolkit.gpg
curl -fsSL "$repo/gpgkey" | gpg --batch --yes --dearmor -o "$key"
echo "deb [signed-by=$key] $repo/stable/deb/amd64 /" > /etc/apt/sources.list.d/nvidia-container-toolkit.list
apt-get update -qq
apt-get install -y -qq nvidia-container-toolkit

# A kernel that comes by itself would have no driver.
apt-mark hold linux-aws linux-image-aws linux-headers-aws

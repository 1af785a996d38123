# A Debian that was never installed on a machine: it is unpacked onto an empty
# volume, of which the image is made.
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2.8"
      source  = "github.com/hashicorp/amazon"
    }
  }
}

variable "region" {
  type    = string
  default = "us-east-1"
}

variable "release" {
  type    = string
  default = "bookworm"
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebssurrogate" "scratch" {
  region                  = var.region
  instance_type           = "t3.small"
  ssh_username            = "admin"
  ami_name                = "scratch-${var.release}-${local.stamp}"
  ami_virtualization_type = "hvm"
  ena_support             = true
  tags = {
    Name    = "scratch"
    Release = var.release
  }

  source_ami_filter {
    filters = {
      name                = "debian-12-amd64-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["136693071363"]
    most_recent = true
  }

  launch_block_device_mappings {
    device_name           = "/dev/xvdf"
    volume_size           = 8
    volume_type           = "gp3"
    delete_on_termination = true
  }

  ami_root_device {
    source_device_name    = "/dev/xvdf"
    device_name           = "/dev/xvda"
    volume_size           = 8
    volume_type           = "gp3"
    delete_on_termination = true
  }
}

build {
  sources = ["source.amazon-ebssurrogate.scratch"]

  provisioner "shell" {
    execute_command  = "{{ .Vars }} sudo -E sh '{{ .Path }}'"
    environment_vars = ["RELEASE=${var.release}"]
    script           = "fill.sh"
  }
}

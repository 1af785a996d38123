# One image in three regions, shared with the accounts of staging and production. What
# a machine does at its first boot depends on where it is.
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

variable "staging" {
  type    = string
  default = "111122223333"
}

variable "production" {
  type    = string
  default = "444455556666"
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "regions" {
  region         = var.region
  instance_type  = "t3.small"
  ssh_username   = "admin"
  ami_name       = "everywhere-${local.stamp}"
  ami_regions    = ["eu-central-1", "ap-southeast-2"]
  ami_users      = [var.staging, var.production]
  snapshot_users = [var.production]
  tags = {
    Name   = "everywhere"
    MadeIn = "{{ .BuildRegion }}"
    Base   = "{{ .SourceAMI }}"
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
}

build {
  sources = ["source.amazon-ebs.regions"]

  provisioner "file" {
    source      = "per-boot.sh"
    destination = "/tmp/region.sh"
  }

  provisioner "shell" {
    inline = [
      "sudo install -D -m 755 /tmp/region.sh /var/lib/cloud/scripts/per-boot/region.sh",
      "rm /tmp/region.sh",
    ]
  }
}

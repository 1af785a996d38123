# What a pipeline builds each night: an image of today's name, which takes the place
# of one that was made today before, and a file that says which it is. Who deploys
# reads that.
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

variable "commit" {
  type    = string
  default = "unknown"
}

locals {
  today = formatdate("YYYY-MM-DD", timestamp())
}

source "amazon-ebs" "nightly" {
  region                = var.region
  instance_type         = "t3.small"
  ssh_username          = "admin"
  ami_name              = "nightly-${local.today}"
  ami_description       = "of ${var.commit}, made at {{timestamp}}"
  force_deregister      = true
  force_delete_snapshot = true
  tags = {
    Name   = "nightly"
    Commit = var.commit
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
  sources = ["source.amazon-ebs.nightly"]

  provisioner "shell" {
    inline = ["echo '${var.commit} ${local.today}' | sudo tee /etc/release-id"]
  }

  post-processor "manifest" {
    output     = "nightly.json"
    strip_path = true
    custom_data = {
      commit = var.commit
      source = build.SourceAMI
    }
  }

  post-processor "shell-local" {
    inline = ["sed -n 's/.*\"artifact_id\": \"[^:]*:\\(ami-[0-9a-f]*\\)\".*/\\1/p' nightly.json | tail -n 1 > nightly.txt"]
  }
}

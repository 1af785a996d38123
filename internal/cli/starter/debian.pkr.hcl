# An image of Debian 12. Look at it with `imgflow plan`, try it with
# `imgflow run --local`, and build it on AWS with `imgflow run`.
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2.8"
      source  = "github.com/hashicorp/amazon"
    }
  }
}

variable "region" {
  type        = string
  default     = "us-east-1"
  description = "Where the image is made."
}

variable "name" {
  type        = string
  default     = "debian"
  description = "What the name of the image begins with."
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "debian" {
  region        = var.region
  instance_type = "t3.micro"
  ami_name      = "${var.name}-${local.stamp}"
  ssh_username  = "admin"

  source_ami_filter {
    filters = {
      name                = "debian-12-amd64-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["136693071363"]
    most_recent = true
  }

  metadata_options {
    http_tokens = "required"
  }

  tags = {
    Name = var.name
    Base = "{{ .SourceAMIName }}"
  }
}

build {
  sources = ["source.amazon-ebs.debian"]

  # The machine has started, but its first start may still be at work.
  provisioner "shell" {
    inline = ["if command -v cloud-init >/dev/null; then sudo cloud-init status --wait || true; fi"]
  }

  provisioner "shell" {
    inline = ["echo \"made from ${source.name}\" | sudo tee /etc/image-release"]
  }
}

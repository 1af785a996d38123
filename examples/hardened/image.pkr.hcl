# A base image after the CIS benchmark: kernel parameters, modules, sshd, passwords,
# banners. A script then checks all of it, as an auditor would.
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

variable "level" {
  type    = string
  default = "1"
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "hardened" {
  region        = var.region
  instance_type = "t3.small"
  ssh_username  = "ubuntu"
  ami_name      = "hardened-${local.stamp}"
  imds_support  = "v2.0"
  tags = {
    Name     = "hardened"
    CISLevel = var.level
    Base     = "{{ .SourceAMI }}"
  }

  source_ami_filter {
    filters = {
      name                = "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["099720109477"]
    most_recent = true
  }

  metadata_options {
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
}

build {
  sources = ["source.amazon-ebs.hardened"]

  provisioner "file" {
    source      = "etc"
    destination = "/tmp/"
  }

  provisioner "shell" {
    execute_command  = "{{ .Vars }} sudo -E sh '{{ .Path }}'"
    environment_vars = ["LEVEL=${var.level}"]
    scripts          = ["harden.sh", "audit.sh"]
  }
}

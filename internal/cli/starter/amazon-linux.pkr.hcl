# An image of Amazon Linux 2023. Look at it with `imgflow plan`, try it with
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
  default     = "amazon-linux"
  description = "What the name of the image begins with."
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "amazon-linux" {
  region        = var.region
  instance_type = "t3.micro"
  ami_name      = "${var.name}-${local.stamp}"
  ssh_username  = "ec2-user"

  source_ami_filter {
    filters = {
      name                = "al2023-ami-2023.*-kernel-6.1-x86_64"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["amazon"]
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
  sources = ["source.amazon-ebs.amazon-linux"]

  # The machine has started, but its first start may still be at work.
  provisioner "shell" {
    inline = ["if command -v cloud-init >/dev/null; then sudo cloud-init status --wait || true; fi"]
  }

  provisioner "shell" {
    inline = ["echo \"made from ${source.name}\" | sudo tee /etc/image-release"]
  }
}

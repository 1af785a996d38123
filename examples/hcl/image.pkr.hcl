# An image from an HCL2 template: variables, locals, a dynamic block, and what is
# known only when the build runs.
packer {
  required_version = ">= 1.7.0"
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

variable "motd" {
  type      = string
  default   = "Built from HCL2."
  sensitive = true

  validation {
    condition     = length(var.motd) < 80
    error_message = "The greeting must fit on one line."
  }
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
  tags = {
    Team = "web"
    Base = "{{ .SourceAMIName }}"
  }
}

source "amazon-ebs" "ubuntu" {
  region        = var.region
  instance_type = "t3.micro"
  ami_name      = "imgflow-hcl-${local.stamp}"
  ssh_username  = "ubuntu"

  source_ami_filter {
    filters = {
      name                = "ubuntu/images/*ubuntu-jammy-22.04-amd64-server-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["099720109477"]
    most_recent = true
  }

  dynamic "tag" {
    for_each = local.tags
    content {
      key   = tag.key
      value = tag.value
    }
  }
}

build {
  name    = "web"
  sources = ["source.amazon-ebs.ubuntu"]

  provisioner "shell" {
    environment_vars = ["MOTD=${var.motd}"]
    inline           = ["echo made on ${build.ID} from ${source.name}", "echo \"$MOTD\" | sudo tee /etc/motd"]
  }
}

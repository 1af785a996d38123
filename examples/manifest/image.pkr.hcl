# An image, and a file that says which one it is: packer-manifest.json, for the
# scripts that come after.
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2.8"
      source  = "github.com/hashicorp/amazon"
    }
  }
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "web" {
  region        = "us-east-1"
  instance_type = "t3.micro"
  ami_name      = "imgflow-manifest-${local.stamp}"
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
}

build {
  sources = ["source.amazon-ebs.web"]

  provisioner "shell" {
    inline = ["echo web | sudo tee /etc/role"]
  }

  post-processor "manifest" {
    strip_path = true
    custom_data = {
      source = build.SourceAMI
    }
  }

  post-processor "shell-local" {
    inline = ["grep artifact_id packer-manifest.json"]
  }
}

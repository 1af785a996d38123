# One set of scripts, two architectures: an image for Graviton, and one for x86_64.
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

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "arm64" {
  region        = var.region
  instance_type = "t4g.small"
  ssh_username  = "ec2-user"
  ami_name      = "worker-arm64-${local.stamp}"

  source_ami_filter {
    filters = {
      name         = "al2023-ami-2023.*-kernel-6.1-arm64"
      architecture = "arm64"
    }
    owners      = ["amazon"]
    most_recent = true
  }
}

source "amazon-ebs" "x86" {
  region        = var.region
  instance_type = "t3.small"
  ssh_username  = "ec2-user"
  ami_name      = "worker-x86-${local.stamp}"

  source_ami_filter {
    filters = {
      name         = "al2023-ami-2023.*-kernel-6.1-x86_64"
      architecture = "x86_64"
    }
    owners      = ["amazon"]
    most_recent = true
  }
}

build {
  sources = ["source.amazon-ebs.arm64", "source.amazon-ebs.x86"]

  provisioner "file" {
    source      = "worker.service"
    destination = "/tmp/worker.service"
  }

  provisioner "shell" {
    inline = [
      "sudo install -m 644 /tmp/worker.service /etc/systemd/system/worker.service",
      "echo \"WORKER_THREADS=$THREADS\" | sudo tee /etc/default/worker",
    ]
    environment_vars = ["THREADS=2"]
    override = {
      "arm64" = {
        environment_vars = ["THREADS=4"]
      }
    }
  }
}

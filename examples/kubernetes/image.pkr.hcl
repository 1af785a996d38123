# A node of Kubernetes: Ansible sets it up, and Goss tests it before the image is
# made.
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2.8"
      source  = "github.com/hashicorp/amazon"
    }
    ansible = {
      version = ">= 1.1.0"
      source  = "github.com/hashicorp/ansible"
    }
    goss = {
      version = ">= 3.0.0"
      source  = "github.com/YaleUniversity/goss"
    }
  }
}

variable "region" {
  type    = string
  default = "us-east-1"
}

variable "kubernetes" {
  type    = string
  default = "1.33"
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "node" {
  region        = var.region
  instance_type = "t3.medium"
  ssh_username  = "ubuntu"
  ami_name      = "kubernetes-${var.kubernetes}-${local.stamp}"
  tags = {
    Name       = "kubernetes"
    Kubernetes = var.kubernetes
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

  launch_block_device_mappings {
    device_name           = "/dev/sda1"
    volume_size           = 40
    volume_type           = "gp3"
    delete_on_termination = true
  }
}

build {
  sources = ["source.amazon-ebs.node"]

  provisioner "ansible" {
    playbook_file    = "node.yml"
    extra_arguments  = ["--extra-vars", "kubernetes=${var.kubernetes}"]
    ansible_env_vars = ["ANSIBLE_PIPELINING=1"]
  }

  provisioner "goss" {
    tests = ["tests/goss.yaml"]
    vars_inline = {
      kubernetes = var.kubernetes
    }
    use_sudo      = true
    retry_timeout = "60s"
    sleep         = "5s"
  }

  provisioner "shell" {
    inline = ["sudo cloud-init clean --logs --machine-id"]
  }
}

# A web server: nginx with a site of its own, which answers before the image is made.
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

variable "site" {
  type    = string
  default = "www.example.com"
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "web" {
  region        = var.region
  instance_type = "t3.small"
  ssh_username  = "ubuntu"
  ami_name      = "web-${local.stamp}"
  imds_support  = "v2.0"
  tags = {
    Name = "web"
    Site = var.site
    Base = "{{ .SourceAMIName }}"
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
}

build {
  sources = ["source.amazon-ebs.web"]

  provisioner "file" {
    sources     = ["site.conf", "index.html"]
    destination = "/tmp/"
  }

  provisioner "shell" {
    execute_command  = "{{ .Vars }} sudo -E sh '{{ .Path }}'"
    environment_vars = ["DEBIAN_FRONTEND=noninteractive", "SITE=${var.site}"]
    script           = "install.sh"
  }

  provisioner "shell" {
    inline       = ["curl --fail --silent --show-error -H 'Host: ${var.site}' http://127.0.0.1/ | grep Welcome"]
    max_retries  = 3
    pause_before = "2s"
  }
}

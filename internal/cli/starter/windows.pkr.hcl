# An image of Windows Server 2022. Look at it with `imgflow plan`, try it with
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
  default     = "windows"
  description = "What the name of the image begins with."
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "windows" {
  region         = var.region
  instance_type  = "t3.medium"
  ami_name       = "${var.name}-${local.stamp}"
  communicator   = "winrm"
  winrm_username = "Administrator"
  winrm_use_ntlm = true

  source_ami_filter {
    filters = {
      name                = "Windows_Server-2022-English-Full-Base-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["amazon"]
    most_recent = true
  }

  # WinRM is on in Amazon's images, and its firewall rule lets in the neighbours only.
  # The security group of the build admits nobody but the builder.
  user_data = <<-EOT
    <powershell>
    Set-NetFirewallRule -Name 'WINRM-HTTP-In-TCP*' -RemoteAddress Any
    </powershell>
  EOT

  tags = {
    Name = var.name
    Base = "{{ .SourceAMIName }}"
  }
}

build {
  sources = ["source.amazon-ebs.windows"]

  provisioner "powershell" {
    inline = ["New-Item -ItemType Directory -Path C:\\Image | Out-Null"]
  }

  provisioner "file" {
    content     = "made from ${source.name}"
    destination = "C:\\Image\\release.txt"
  }

  provisioner "windows-restart" {}
}

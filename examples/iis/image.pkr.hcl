# Windows Server with IIS and this month's updates. Sysprep is the last word: it shuts
# the machine down, and machines of the image get names and passwords of their own.
packer {
  required_plugins {
    amazon = {
      version = ">= 1.2.8"
      source  = "github.com/hashicorp/amazon"
    }
    windows-update = {
      version = ">= 0.16.0"
      source  = "github.com/rgl/windows-update"
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

source "amazon-ebs" "iis" {
  region                = var.region
  instance_type         = "m5.large"
  ami_name              = "iis-${local.stamp}"
  communicator          = "winrm"
  winrm_username        = "Administrator"
  winrm_use_ntlm        = true
  winrm_timeout         = "20m"
  user_data_file        = "winrm.txt"
  disable_stop_instance = true
  tags = {
    Name = "iis"
    Base = "{{ .SourceAMIName }}"
  }

  source_ami_filter {
    filters = {
      name                = "Windows_Server-2022-English-Full-Base-*"
      root-device-type    = "ebs"
      virtualization-type = "hvm"
    }
    owners      = ["amazon"]
    most_recent = true
  }
}

build {
  sources = ["source.amazon-ebs.iis"]

  provisioner "windows-update" {
    search_criteria = "IsInstalled=0"
    filters = [
      "exclude:$_.Title -like '*Preview*'",
      "exclude:$_.InstallationBehavior.CanRequestUserInput",
      "include:$true",
    ]
    update_limit = 25
  }

  provisioner "powershell" {
    script = "iis.ps1"
  }

  provisioner "windows-restart" {}

  provisioner "file" {
    source      = "site/"
    destination = "C:\\inetpub\\wwwroot\\"
  }

  provisioner "powershell" {
    inline       = ["if ((Invoke-WebRequest -UseBasicParsing http://localhost/).Content -notmatch 'Welcome') { throw 'the site does not answer' }"]
    max_retries  = 3
    pause_before = "5s"
  }

  provisioner "powershell" {
    script = "sysprep.ps1"
  }
}

# The golden base and the app upon it, in one run: the app is made of the image that
# this run has made, not of the newest that there is.
variable "version" {
  type    = string
  default = "1.4.2"
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
  root  = "{{ .Vars }} sudo -E sh '{{ .Path }}'"
}

source "amazon-ebs" "small" {
  region        = "us-east-1"
  instance_type = "t3.small"
  ssh_username  = "admin"
}

build {
  name = "base"

  source "amazon-ebs.small" {
    ami_name = "golden-base-${local.stamp}"
    tags = {
      Role = "golden-base"
      From = "{{ .SourceAMIName }}"
    }

    source_ami_filter {
      filters = {
        name                = "debian-12-amd64-*"
        root-device-type    = "ebs"
        virtualization-type = "hvm"
      }
      owners      = ["136693071363"]
      most_recent = true
    }
  }

  provisioner "shell" {
    execute_command = local.root
    script          = "base.sh"
  }
}

build {
  name = "app"

  source "amazon-ebs.small" {
    ami_name   = "app-${var.version}-${local.stamp}"
    source_ami = build.base.id
    tags = {
      Role    = "app"
      Version = var.version
      From    = "{{ .SourceAMI }}"
    }
  }

  provisioner "shell" {
    execute_command  = local.root
    environment_vars = ["VERSION=${var.version}"]
    script           = "app.sh"
  }
}

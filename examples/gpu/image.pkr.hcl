# NVIDIA's driver and the container toolkit. The machine is restarted so that the
# driver of the new kernel is loaded, and the driver has to see the GPU.
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

variable "driver" {
  type    = string
  default = "570-server"
}

locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "gpu" {
  region        = var.region
  instance_type = "g4dn.xlarge"
  ssh_username  = "ubuntu"
  ssh_timeout   = "10m"
  ami_name      = "gpu-${var.driver}-${local.stamp}"
  run_tags = {
    Purpose = "image build"
  }
  skip_ami_run_tags = true
  tags = {
    Name   = "gpu"
    Driver = var.driver
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
    volume_size           = 100
    volume_type           = "gp3"
    throughput            = 250
    iops                  = 4000
    delete_on_termination = true
  }
}

build {
  sources = ["source.amazon-ebs.gpu"]

  provisioner "shell" {
    execute_command = "{{ .Vars }} sudo -E sh '{{ .Path }}'"
    inline = [
      "cloud-init status --wait || test $? = 2",
      "apt-get update -qq",
      "DEBIAN_FRONTEND=noninteractive apt-get dist-upgrade -y -qq",
      "reboot",
    ]
    expect_disconnect = true
  }

  provisioner "shell" {
    execute_command  = "{{ .Vars }} sudo -E sh '{{ .Path }}'"
    environment_vars = ["DRIVER=${var.driver}"]
    script           = "driver.sh"
    timeout          = "40m"
  }

  provisioner "shell" {
    inline            = ["sudo reboot"]
    expect_disconnect = true
  }

  provisioner "shell" {
    inline = [
      "nvidia-smi --query-gpu=name,driver_version --format=csv",
      "nvidia-ctk --version",
    ]
    max_retries  = 2
    pause_before = "10s"
  }
}

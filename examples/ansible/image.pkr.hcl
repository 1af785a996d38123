# A role of Ansible is played on the machine, from this computer.
variable "region" {
  type    = string
  default = "us-east-1"
}

variable "greeting" {
  type    = string
  default = "hello"
}

source "amazon-ebs" "ubuntu" {
  region        = var.region
  instance_type = "t3.micro"
  ami_name      = "imgflow-ansible-${formatdate("YYYYMMDD-hhmmss", timestamp())}"
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
  sources = ["source.amazon-ebs.ubuntu"]

  provisioner "ansible" {
    playbook_file   = "./site.yml"
    groups          = ["web"]
    extra_arguments = ["--extra-vars", "greeting=${var.greeting}"]
  }
}

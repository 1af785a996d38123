# An image of a web page that is tested before anybody gets it: a machine is started
# of it, and a script looks at what is there. Only then is the image marked as finished.
locals {
  stamp = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "web" {
  region        = "us-east-1"
  instance_type = "t3.micro"
  ami_name      = "imgflow-tested-${local.stamp}"
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
    inline = ["sudo mkdir -p /srv/web", "echo '<h1>Hello</h1>' | sudo tee /srv/web/index.html"]
  }

  test "page" {
    instance_type = "t3.small"

    provisioner "shell" {
      script           = "${path.root}/check.sh"
      environment_vars = ["IMAGE=${build.SourceAMI}"]
    }
  }
}

# The base image of an organisation: baked on a spot instance, encrypted with a key of
# each region, open to the organisation, and published where launch templates look for it.
packer {
  required_plugins {
    amazon = {
      version = ">= 1.3.0"
      source  = "github.com/hashicorp/amazon"
    }
  }
}

variable "commit" {
  type    = string
  default = "none"
}

variable "cost_center" {
  type    = string
  default = "platform"
}

variable "deprecate_at" {
  type    = string
  default = "2028-12-31T00:00:00Z"
}

variable "organization" {
  type    = string
  default = "arn:aws:organizations::123456789012:organization/o-exampleorgid"
}

variable "publisher" {
  type    = string
  default = "arn:aws:iam::210987654321:role/image-publisher"
}

locals {
  copies = ["ap-southeast-2", "eu-central-1", "eu-west-1"]
  stamp  = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "production" {
  region                  = "us-east-1"
  spot_price              = "auto"
  spot_instance_types     = ["m6i.large", "m5.large", "c5.xlarge"]
  spot_on_demand_fallback = true
  ssh_username            = "admin"
  ami_name                = "production-${local.stamp}"
  ami_description         = "Made of {{ .SourceAMIName }}"
  encrypt_boot            = true
  kms_key_id              = "alias/images"
  ami_regions             = local.copies
  region_kms_key_ids      = { for region in local.copies : region => "alias/images" }
  ami_org_arns            = [var.organization]
  imds_support            = "v2.0"
  deprecate_at            = var.deprecate_at
  run_tags                = { CostCenter = var.cost_center }
  run_volume_tags         = { CostCenter = var.cost_center }
  snapshot_tags           = { Retention = "with the image" }
  tags = {
    Name   = "production"
    Base   = "{{ .SourceAMI }}"
    Commit = var.commit
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

  subnet_filter {
    filters = {
      default-for-az    = "true"
      availability-zone = "us-east-1a,us-east-1b"
    }
    most_free = true
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = 20
    delete_on_termination = true
  }

  launch_block_device_mappings {
    device_name           = "/dev/sdf"
    volume_type           = "gp3"
    volume_size           = 50
    throughput            = 250
    delete_on_termination = true
  }

  publish {
    ssm_parameter = "/images/production"
    ssm_labels    = ["current"]
  }

  publish {
    ssm_parameter = "/images/production"
    assume_role {
      role_arn = var.publisher
    }
  }
}

build {
  sources = ["source.amazon-ebs.production"]

  provisioner "shell" {
    script = "release.sh"
    environment_vars = [
      "BASE=${build.SourceAMIName}",
      "COMMIT=${var.commit}",
    ]
    execute_command = "sudo env {{.Vars}} sh {{.Path}}"
  }
}

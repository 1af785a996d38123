package cli

// optionSeed is what is there before the templates are built.
const optionSeed = `{"kms_keys": ["alias/mine", "alias/other"], "buckets": {"disks": "us-east-1"},
	"parameters": {"/base": "ami-1"}, "secure_parameters": {"/password": "p"}, "secrets": {"app": {"user": "u"}}}`

// sshOptions are those of a build that is reached by SSH.
const sshOptions = `"communicator": "ssh", "ssh_username": "u"`

// winrmOptions are those of a build of Windows.
const winrmOptions = `"communicator": "winrm", "winrm_username": "Administrator", "instance_type": "t3.large",
	"source_ami_filter": {"filters": {"name": "Windows_Server-2022-English-Full-Base-*"}, "owners": ["amazon"], "most_recent": true}`

// refusedAll are options of a component that is refused as a whole.
func refusedAll(component, why string, options ...string) optionGroup {
	g := optionGroup{name: component, component: component}
	for _, o := range options {
		g.rows = append(g.rows, row(o, "", "refused: "+why))
	}
	return g
}

var userKey, userCert = userKeys()

var optionTable = []optionGroup{
	// Access.
	{name: "keys", component: "amazon-ebs", env: []string{"AWS_ACCESS_KEY_ID=AKIDOTHER", "AWS_SECRET_ACCESS_KEY=other"}, rows: []optionRow{
		row("access_key", `"access_key": "AKIDUSUAL"`, "RunInstances @key=AKIDUSUAL"),
		row("secret_key", `"secret_key": "secret-of-usual"`, "RunInstances @key=AKIDUSUAL"), // the endpoint verifies signatures
		row("skip_credential_validation", `"skip_credential_validation": true`, "never: GetCallerIdentity"),
		row("custom_endpoint_ec2", `"custom_endpoint_ec2": "ENDPOINT"`, "RunInstances @host=HOST"),
	}},
	{name: "token", component: "amazon-ebs", fails: true, base: `"access_key": "ASIAUSUAL", "secret_key": "s"`, rows: []optionRow{
		row("token", `"token": "the-token"`, "DescribeSecurityGroups @token=the-token"),
	}},
	{name: "profile", component: "amazon-ebs", env: []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="},
		files: map[string]string{"keys": "[work]\naws_access_key_id = AKIDUSUAL\naws_secret_access_key = secret-of-usual\n"}, rows: []optionRow{
			row("profile", `"profile": "work"`, "RunInstances @key=AKIDUSUAL"),
			row("shared_credentials_file", `"shared_credentials_file": "DIRECTORY/keys"`, "RunInstances @key=AKIDUSUAL"),
			row("region", `"region": "eu-west-3"`, "RunInstances @region=eu-west-3"),
		}},
	{name: "role", component: "amazon-ebs", rows: []optionRow{
		row("assume_role", `"assume_role": {}`, "AssumeRole @key=AKIDUSUAL"),
		row("assume_role.role_arn", `"assume_role": {"role_arn": "arn:aws:iam::123456789012:role/images"}`, "AssumeRole RoleArn=arn:aws:iam::123456789012:role/images"),
		row("assume_role.duration_seconds", `"assume_role": {"duration_seconds": 1800}`, "AssumeRole DurationSeconds=1800"),
		row("assume_role.external_id", `"assume_role": {"external_id": "ext"}`, "AssumeRole ExternalId=ext"),
		row("assume_role.policy", `"assume_role": {"policy": "{}"}`, "AssumeRole Policy={}"),
		row("assume_role.policy_arns", `"assume_role": {"policy_arns": ["arn:aws:iam::aws:policy/AmazonEC2FullAccess"]}`, "AssumeRole PolicyArns.member.1.arn=arn:aws:iam::aws:policy/AmazonEC2FullAccess"),
		row("assume_role.session_name", `"assume_role": {"session_name": "baking"}`, "AssumeRole RoleSessionName=baking"),
		row("assume_role.tags", `"assume_role": {"tags": {"team": "images"}}`, "AssumeRole Tags.member.1.Key=team; Tags.member.1.Value=images"),
		row("assume_role.transitive_tag_keys", `"assume_role": {"transitive_tag_keys": ["team"]}`, "AssumeRole TransitiveTagKeys.member.1=team"),
	}},
	{name: "certificate", component: "amazon-ebs", tls: true, rows: []optionRow{
		row("insecure_skip_tls_verify", `"insecure_skip_tls_verify": true`, "RunInstances InstanceType=t3.micro"),
	}},
	{name: "retries", component: "amazon-ebs", fails: true, busy: "DescribeSecurityGroups", rows: []optionRow{
		row("max_retries", `"max_retries": 2`, "DescribeSecurityGroups @attempt=2 of 2"),
	}},
	{name: "refusals", component: "amazon-ebs", fails: true, deny: "RunInstances", rows: []optionRow{
		row("decode_authorization_messages", `"decode_authorization_messages": true`, "DecodeAuthorizationMessage EncodedMessage=sealed"),
	}},
	{name: "metadata", component: "amazon-ebs", fails: true, env: []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_EC2_METADATA_DISABLED=", "AWS_EC2_METADATA_SERVICE_ENDPOINT=ENDPOINT"}, rows: []optionRow{
		row("skip_metadata_api_check", `"skip_metadata_api_check": true`, "never: IMDS"),
	}},
	{name: "access without effect", component: "amazon-ebs", rows: []optionRow{
		row("aws_polling", `"aws_polling": {"delay_seconds": 30}`, "warned: aws_polling has no effect"),
		row("aws_polling.delay_seconds", `"aws_polling": {"delay_seconds": 30}`, "warned: aws_polling has no effect"),
		row("aws_polling.max_attempts", `"aws_polling": {"max_attempts": 30}`, "warned: aws_polling has no effect"),
	}},
	{name: "one-time code", component: "amazon-ebs", env: []string{"AWS_CONFIG_FILE=DIRECTORY/config", "AWS_PROFILE=device"}, fails: true,
		files: map[string]string{"config": "[profile device]\nmfa_serial = arn:aws:iam::123456789012:mfa/dev\n"}, rows: []optionRow{
			row("mfa_code", `"mfa_code": "123456", "assume_role": {"role_arn": "arn:aws:iam::123456789012:role/images"}`, "AssumeRole TokenCode=123456; SerialNumber=arn:aws:iam::123456789012:mfa/dev"),
		}},
	{name: "vault", component: "amazon-ebs", fails: true, env: []string{"VAULT_ADDR=ENDPOINT", "VAULT_TOKEN=token"}, rows: []optionRow{
		row("vault_aws_engine", `"vault_aws_engine": {"name": "images"}`, "Vault @x-vault-token=token"),
		row("vault_aws_engine.name", `"vault_aws_engine": {"name": "images"}`, "Vault @path=/v1/clouds/sts/images"),
		row("vault_aws_engine.engine_name", `"vault_aws_engine": {"engine_name": "clouds"}`, "Vault @path=/v1/clouds/sts/images"),
		row("vault_aws_engine.role_arn", `"vault_aws_engine": {"role_arn": "arn:aws:iam::123456789012:role/images"}`, "Vault role_arn=arn:aws:iam::123456789012:role/images"),
		row("vault_aws_engine.ttl", `"vault_aws_engine": {"ttl": "1h"}`, "Vault ttl=1h"),
	}},
	// Image.
	{name: "image", component: "amazon-ebs", rows: []optionRow{
		row("ami_name", `"ami_name": "probe 1"`, "CreateImage Name=probe 1"),
		row("ami_description", `"ami_description": "from {{ .SourceAMIOwner }}"`, "CreateImage Description=from 099720109477"),
		row("ami_users", `"ami_users": ["210987654321"]`, "ModifyImageAttribute LaunchPermission.Add.*.UserId=210987654321"),
		row("ami_groups", `"ami_groups": ["all"]`, "ModifyImageAttribute LaunchPermission.Add.*.Group=all"),
		row("ami_org_arns", `"ami_org_arns": ["arn:aws:organizations::123456789012:organization/o-0123456789"]`, "ModifyImageAttribute LaunchPermission.Add.*.OrganizationArn=arn:aws:organizations::123456789012:organization/o-0123456789"),
		row("ami_ou_arns", `"ami_ou_arns": ["arn:aws:organizations::123456789012:ou/o-0123456789/ou-0123-01234567"]`, "ModifyImageAttribute LaunchPermission.Add.*.OrganizationalUnitArn=arn:aws:organizations::123456789012:ou/o-0123456789/ou-0123-01234567"),
		row("ami_product_codes", `"ami_product_codes": ["774F4FF8"]`, "ModifyImageAttribute ProductCode.1=774F4FF8"),
		row("ami_regions", `"ami_regions": ["eu-west-1", "us-east-1"]`, "CopyImage @region=eu-west-1; SourceRegion=us-east-1; Name=probe 1"),
		row("skip_region_validation", `"skip_region_validation": true`, "never: DescribeRegions"),
		row("snapshot_copy_duration_minutes", `"snapshot_copy_duration_minutes": 30`, "CopyImage SnapshotCopyCompletionDurationMinutes=30"),
		row("tags", `"tags": {"base": "{{ .SourceAMIOwner }}"}`, "CreateImage TagSpecification.*.Tag.*.Key=base; TagSpecification.*.Tag.*.Value=099720109477", "CopyImage TagSpecification.*.Tag.*.Key=base"),
		row("tag", `"tag": [{"key": "block", "value": "of the image"}]`, "CreateImage TagSpecification.*.Tag.*.Key=block; TagSpecification.*.Tag.*.Value=of the image"),
		row("snapshot_tags", `"snapshot_tags": {"on": "snapshots"}`, "CreateImage TagSpecification.*.Tag.*.Value=snapshots"),
		row("snapshot_tag", `"snapshot_tag": [{"key": "block2", "value": "of the snapshots"}]`, "CreateImage TagSpecification.*.Tag.*.Value=of the snapshots"),
		row("snapshot_users", `"snapshot_users": ["210987654321"]`, "ModifySnapshotAttribute CreateVolumePermission.Add.*.UserId=210987654321"),
		row("snapshot_groups", `"snapshot_groups": ["all"]`, "ModifySnapshotAttribute CreateVolumePermission.Add.*.Group=all"),
		row("ena_support", `"ena_support": true`, "ModifyInstanceAttribute EnaSupport.Value=true"),
		row("sriov_support", `"sriov_support": true`, "ModifyInstanceAttribute SriovNetSupport.Value=simple"),
		row("imds_support", `"imds_support": "v2.0"`, "ModifyImageAttribute ImdsSupport.Value=v2.0"),
		row("deprecate_at", `"deprecate_at": "2028-01-31T00:00:00Z"`, "EnableImageDeprecation DeprecateAt=2028-01-31T00:00:00Z; @region=eu-west-1"),
		row("deregistration_protection.enabled", `"deregistration_protection": {"enabled": true}`, "EnableImageDeregistrationProtection @region=us-east-1"),
		row("deregistration_protection.with_cooldown", `"deregistration_protection": {"with_cooldown": true}`, "EnableImageDeregistrationProtection WithCooldown=true"),
	}},
	{name: "tags of the run", component: "amazon-ebs", rows: []optionRow{
		row("run_tags", `"run_tags": {"team": "{{ .SourceAMIOwner }}"}`, "RunInstances TagSpecification.*.Tag.*.Key=team; TagSpecification.*.Tag.*.Value=099720109477"),
		row("run_tag", `"run_tag": [{"key": "cost", "value": "center"}]`, "RunInstances TagSpecification.*.Tag.*.Value=center"),
		row("run_volume_tags", `"run_volume_tags": {"kind": "volume"}`, "RunInstances TagSpecification.*.Tag.*.Value=volume"),
		row("run_volume_tag", `"run_volume_tag": [{"name": "name-or-key", "value": "as a block"}]`, "RunInstances TagSpecification.*.Tag.*.Key=name-or-key"),
		row("skip_ami_run_tags", `"skip_ami_run_tags": true`, "never: CreateImage TagSpecification.*.Tag.*.Value=center"),
	}},
	{name: "encryption", component: "amazon-ebs", rows: []optionRow{
		row("encrypt_boot", `"encrypt_boot": true`, "RunInstances BlockDeviceMapping.1.Ebs.Encrypted=true"),
		row("kms_key_id", `"kms_key_id": "alias/mine"`, "RunInstances BlockDeviceMapping.1.Ebs.KmsKeyId=alias/mine", "DescribeKey KeyId=alias/mine"),
		row("region_kms_key_ids", `"ami_regions": ["eu-west-1"], "region_kms_key_ids": {"eu-west-1": "alias/other"}`, "CopyImage Encrypted=true; KmsKeyId=alias/other; @region=eu-west-1"),
		row("skip_save_build_region", `"skip_save_build_region": true`, "DeregisterImage @region=us-east-1"),
	}},
	{name: "virtualization", component: "amazon-ebs", rows: []optionRow{
		row("ami_virtualization_type", `"ami_virtualization_type": "paravirtual", "ena_support": true`, "refused: hvm"),
	}},
	{name: "an older image", component: "amazon-ebs", rows: []optionRow{
		row("force_deregister", `"force_deregister": true`, "step aws.deregister: \"name\":\"probe\""),
		row("force_delete_snapshot", `"force_delete_snapshot": true`, "step aws.drop-snapshots: \"old\""),
	}},
	{name: "no image", component: "amazon-ebs", rows: []optionRow{
		row("skip_create_ami", `"skip_create_ami": true`, "never: CreateImage"),
	}},
	{name: "of the source image", component: "amazon-ebs", rows: []optionRow{
		row("boot_mode", `"boot_mode": "uefi"`, `refused: has no such option`),
		row("uefi_data", `"uefi_data": "x"`, `refused: has no such option`),
		row("tpm_support", `"tpm_support": "v2.0"`, `refused: has no such option`),
		row("ami_architecture", `"ami_architecture": "arm64"`, `refused: has no such option`),
	}},

	// Source and instance.
	{name: "source", component: "amazon-ebs", rows: []optionRow{
		row("source_ami_filter.filters", `"source_ami_filter": {"filters": {"architecture": "x86_64,arm64", "name": "ubuntu/images/*jammy-22.04-amd64-server-*"}}`, "DescribeImages Filter.*.Name=architecture; Filter.*.Value.1=x86_64; Filter.*.Value.2=arm64"),
		row("source_ami_filter.owners", `"source_ami_filter": {"owners": ["099720109477"]}`, "DescribeImages Owner.1=099720109477"),
		row("source_ami_filter.most_recent", `"source_ami_filter": {"most_recent": true}`, "RunInstances InstanceType=t3.micro"), // there are three
		row("source_ami_filter.include_deprecated", `"source_ami_filter": {"include_deprecated": true}`, "DescribeImages IncludeDeprecated=true; Owner.1=099720109477"),
	}},
	{name: "source by id", component: "amazon-ebs", fails: true, base: `"source_ami_filter": null`, rows: []optionRow{
		row("source_ami", `"source_ami": "ami-0123456789abcdef0"`, "DescribeImages ImageId.1=ami-0123456789abcdef0"),
	}},
	{name: "instance", component: "amazon-ebs", base: `"launch_block_device_mappings": [
		{"device_name": "/dev/sda1", "volume_type": "gp3", "iops": 4000, "throughput": 250, "volume_size": 30, "delete_on_termination": true},
		{"device_name": "/dev/sdf", "volume_size": 2, "encrypted": true, "kms_key_id": "alias/mine"},
		{"device_name": "/dev/sdb", "virtual_name": "ephemeral0"}, {"device_name": "/dev/sdc", "no_device": true}]`, rows: []optionRow{
		row("instance_type", `"instance_type": "t3.micro"`, "RunInstances InstanceType=t3.micro"),
		row("associate_public_ip_address", `"associate_public_ip_address": true`, "RunInstances NetworkInterface.1.AssociatePublicIpAddress=true"),
		row("availability_zone", `"availability_zone": "us-east-1b"`, "DescribeSubnets Filter.*.Value.*=us-east-1b"),
		row("ebs_optimized", `"ebs_optimized": true`, "RunInstances EbsOptimized=true"),
		row("enable_unlimited_credits", `"enable_unlimited_credits": true`, "RunInstances CreditSpecification.CpuCredits=unlimited"),
		row("shutdown_behavior", `"shutdown_behavior": "terminate"`, "RunInstances InstanceInitiatedShutdownBehavior=terminate"),
		row("user_data", `"user_data": "echo hello"`, "RunInstances UserData=ZWNobyBoZWxsbw=="),
		row("no_ephemeral", `"no_ephemeral": true`, "RunInstances BlockDeviceMapping.*.DeviceName=xvdca"),
		row("metadata_options.http_endpoint", `"metadata_options": {"http_endpoint": "enabled"}`, "RunInstances MetadataOptions.HttpEndpoint=enabled"),
		row("metadata_options.http_tokens", `"metadata_options": {"http_tokens": "required"}`, "RunInstances MetadataOptions.HttpTokens=required"),
		row("metadata_options.http_put_response_hop_limit", `"metadata_options": {"http_put_response_hop_limit": 2}`, "RunInstances MetadataOptions.HttpPutResponseHopLimit=2"),
		row("metadata_options.instance_metadata_tags", `"metadata_options": {"instance_metadata_tags": "enabled"}`, "RunInstances MetadataOptions.InstanceMetadataTags=enabled"),
		row("capacity_reservation_preference", `"capacity_reservation_preference": "none"`, "RunInstances CapacityReservationSpecification.CapacityReservationPreference=none"),
		row("placement.tenancy", `"placement": {"tenancy": "default"}`, "RunInstances Placement.Tenancy=default"),
		row("launch_block_device_mappings.device_name", "", "RunInstances BlockDeviceMapping.1.DeviceName=/dev/sda1"),
		row("launch_block_device_mappings.delete_on_termination", "", "RunInstances BlockDeviceMapping.1.Ebs.DeleteOnTermination=true"),
		row("launch_block_device_mappings.encrypted", "", "RunInstances BlockDeviceMapping.2.Ebs.Encrypted=true"),
		row("launch_block_device_mappings.kms_key_id", "", "RunInstances BlockDeviceMapping.2.Ebs.KmsKeyId=alias/mine"),
		row("launch_block_device_mappings.iops", "", "RunInstances BlockDeviceMapping.1.Ebs.Iops=4000"),
		row("launch_block_device_mappings.throughput", "", "RunInstances BlockDeviceMapping.1.Ebs.Throughput=250"),
		row("launch_block_device_mappings.volume_type", "", "RunInstances BlockDeviceMapping.1.Ebs.VolumeType=gp3"),
		row("launch_block_device_mappings.volume_size", "", "RunInstances BlockDeviceMapping.1.Ebs.VolumeSize=30"),
		row("launch_block_device_mappings.virtual_name", "", "RunInstances BlockDeviceMapping.3.VirtualName=ephemeral0"),
		row("launch_block_device_mappings.no_device", "", "RunInstances BlockDeviceMapping.4.DeviceName=/dev/sdc; BlockDeviceMapping.4.NoDevice="),
	}},
	{name: "image's volumes", component: "amazon-ebs", base: `"ami_block_device_mappings": [
		{"device_name": "/dev/sda1", "volume_type": "gp3", "iops": 4000, "throughput": 250, "delete_on_termination": true},
		{"device_name": "/dev/sdg", "volume_size": 3, "encrypted": true},
		{"device_name": "/dev/sdb", "virtual_name": "ephemeral0"}, {"device_name": "/dev/sdh", "no_device": true}]`, rows: []optionRow{
		row("ami_block_device_mappings.device_name", "", "CreateImage BlockDeviceMapping.1.DeviceName=/dev/sda1"),
		row("ami_block_device_mappings.delete_on_termination", "", "CreateImage BlockDeviceMapping.1.Ebs.DeleteOnTermination=true"),
		row("ami_block_device_mappings.encrypted", "", "CreateImage BlockDeviceMapping.2.Ebs.Encrypted=true"),
		row("ami_block_device_mappings.iops", "", "CreateImage BlockDeviceMapping.1.Ebs.Iops=4000"),
		row("ami_block_device_mappings.throughput", "", "CreateImage BlockDeviceMapping.1.Ebs.Throughput=250"),
		row("ami_block_device_mappings.volume_type", "", "CreateImage BlockDeviceMapping.1.Ebs.VolumeType=gp3"),
		row("ami_block_device_mappings.volume_size", "", "CreateImage BlockDeviceMapping.2.Ebs.VolumeSize=3"),
		row("ami_block_device_mappings.virtual_name", "", "CreateImage BlockDeviceMapping.3.VirtualName=ephemeral0"),
		row("ami_block_device_mappings.no_device", "", "CreateImage BlockDeviceMapping.4.NoDevice="),
	}},
	{name: "another instance", component: "amazon-ebs", files: map[string]string{"data": "echo file"}, rows: []optionRow{
		row("enable_t2_unlimited", `"enable_t2_unlimited": true`, "RunInstances CreditSpecification.CpuCredits=unlimited"),
		row("user_data_file", `"user_data_file": "data"`, "RunInstances UserData=ZWNobyBmaWxl"),
		row("tenancy", `"tenancy": "dedicated"`, "RunInstances Placement.Tenancy=dedicated"),
		row("disable_stop_instance", `"disable_stop_instance": true`, `step aws.stop: "itself":true`),
		row("license_specifications.license_configuration_request.license_configuration_arn",
			`"license_specifications": [{"license_configuration_request": {"license_configuration_arn": "arn:aws:license-manager:us-east-1:123456789012:license-configuration:lic-0123456789abcdef0123456789abcdef"}}]`,
			"RunInstances LicenseSpecification.1.LicenseConfigurationArn=arn:aws:license-manager:us-east-1:123456789012:license-configuration:lic-0123456789abcdef0123456789abcdef"),
	}, until: "stop"},
	{name: "enclave", component: "amazon-ebs", base: `"instance_type": "m5.xlarge"`, rows: []optionRow{
		row("enable_nitro_enclave", `"enable_nitro_enclave": true`, "RunInstances EnclaveOptions.Enabled=true"),
	}},
	{name: "what is not there", component: "amazon-ebs", fails: true, rows: []optionRow{
		row("iam_instance_profile", `"iam_instance_profile": "builder"`, "RunInstances IamInstanceProfile.Name=builder"),
		row("skip_profile_validation", `"skip_profile_validation": true`, "never: GetInstanceProfile"),
		row("capacity_reservation_id", `"capacity_reservation_id": "cr-0123456789abcdef0"`, "RunInstances CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationId=cr-0123456789abcdef0"),
		row("placement.host_id", `"placement": {"host_id": "h-0123456789abcdef0"}`, "RunInstances Placement.HostId=h-0123456789abcdef0"),
		row("launch_block_device_mappings.snapshot_id", `"launch_block_device_mappings": [{"device_name": "/dev/sdf", "snapshot_id": "snap-0123456789abcdef0"}]`, "RunInstances BlockDeviceMapping.1.Ebs.SnapshotId=snap-0123456789abcdef0"),
	}},
	{name: "what is not there either", component: "amazon-ebs", fails: true, rows: []optionRow{
		row("capacity_reservation_group_arn", `"capacity_reservation_group_arn": "arn:aws:resource-groups:us-east-1:123456789012:group/g"`, "RunInstances CapacityReservationSpecification.CapacityReservationTarget.CapacityReservationResourceGroupArn=arn:aws:resource-groups:us-east-1:123456789012:group/g"),
		row("placement.host_resource_group_arn", `"placement": {"host_resource_group_arn": "arn:aws:resource-groups:us-east-1:123456789012:group/h"}`, "RunInstances Placement.HostResourceGroupArn=arn:aws:resource-groups:us-east-1:123456789012:group/h"),
	}},
	{name: "image's key", component: "amazon-ebs", rows: []optionRow{
		row("ami_block_device_mappings.kms_key_id", `"ami_block_device_mappings": [{"device_name": "/dev/sdg", "volume_size": 3, "encrypted": true, "kms_key_id": "alias/mine"}]`, "refused: is for launch_block_device_mappings only"),
	}},
	{name: "image's snapshot", component: "amazon-ebs", fails: true, rows: []optionRow{
		row("ami_block_device_mappings.snapshot_id", `"ami_block_device_mappings": [{"device_name": "/dev/sdf", "snapshot_id": "snap-0123456789abcdef0"}]`, "CreateImage BlockDeviceMapping.1.Ebs.SnapshotId=snap-0123456789abcdef0"),
	}},
	{name: "policy", component: "amazon-ebs", rows: []optionRow{
		row("temporary_iam_instance_profile_policy_document", policyOption, "CreateRole Path=/imgflow/us-east-1/"),
		row("temporary_iam_instance_profile_policy_document.Version", policyOption, theOptionsPolicy),
		row("temporary_iam_instance_profile_policy_document.Statement", policyOption, theOptionsPolicy),
		row("temporary_iam_instance_profile_policy_document.Statement.Effect", policyOption, theOptionsPolicy),
		row("temporary_iam_instance_profile_policy_document.Statement.Action", policyOption, theOptionsPolicy),
		row("temporary_iam_instance_profile_policy_document.Statement.Resource", policyOption, theOptionsPolicy),
	}},

	// Spot.
	{name: "spot", component: "amazon-ebs", base: `"instance_type": null`, rows: []optionRow{
		row("spot_price", `"spot_price": "0.04"`, "RunInstances InstanceMarketOptions.MarketType=spot; InstanceMarketOptions.SpotOptions.MaxPrice=0.04"),
		row("spot_instance_types", `"spot_instance_types": ["t3.small", "t3.medium"]`, "DescribeSpotPriceHistory InstanceType.1=t3.small; InstanceType.2=t3.medium"),
		row("spot_allocation_strategy", `"spot_allocation_strategy": "lowest-price"`, "DescribeSpotPriceHistory InstanceType.1=t3.small"),
		row("spot_tags", `"spot_tags": {"spot": "request"}`, "RunInstances TagSpecification.*.ResourceType=spot-instances-request; TagSpecification.*.Tag.*.Value=request"),
		row("spot_tag", `"spot_tag": [{"key": "spot2", "value": "block"}]`, "RunInstances TagSpecification.*.Tag.*.Key=spot2"),
	}},
	{name: "spot without effect", component: "amazon-ebs", rows: []optionRow{
		row("fleet_tags", `"fleet_tags": {"a": "b"}`, "warned: fleet_tags has no effect"),
		row("fleet_tag", `"fleet_tag": [{"key": "a", "value": "b"}]`, "warned: fleet_tags has no effect"),
		row("block_duration_minutes", `"block_duration_minutes": 60`, "warned: block_duration_minutes has no effect"),
		row("spot_price_auto_product", `"spot_price_auto_product": "Linux/UNIX"`, "warned: spot_price_auto_product has no effect"),
	}},

	// Network and connection.
	{name: "network", component: "amazon-ebs", rows: []optionRow{
		row("vpc_id", `"vpc_id": "THE-VPC"`, `step aws.network: "vpc_id":"THE-VPC"`),
		row("subnet_id", `"subnet_id": "THE-SUBNET"`, "RunInstances SubnetId=THE-SUBNET"),
		row("security_group_id", `"security_group_id": "THE-GROUP"`, "RunInstances SecurityGroupId.1=THE-GROUP"),
	}},
	{name: "filters", component: "amazon-ebs", rows: []optionRow{
		row("vpc_filter.filters", `"vpc_filter": {"filters": {"isDefault": "true"}}`, "DescribeVpcs Filter.*.Name=isDefault; Filter.*.Value.*=true"),
		row("vpc_filter.filter", `"vpc_filter": {"filter": [{"name": "cidr", "value": "172.31.0.0/16"}]}`, "DescribeVpcs Filter.*.Name=cidr"),
		row("subnet_filter.filters", `"subnet_filter": {"filters": {"default-for-az": "true"}}`, "DescribeSubnets Filter.*.Name=default-for-az"),
		row("subnet_filter.filter", `"subnet_filter": {"filter": [{"name": "state", "value": "available"}]}`, "DescribeSubnets Filter.*.Name=state"),
		row("subnet_filter.most_free", `"subnet_filter": {"most_free": true}`, "RunInstances InstanceType=t3.micro"), // there are several
		row("security_group_filter.filters", `"security_group_filter": {"filters": {"group-name": "default"}}`, "DescribeSecurityGroups Filter.*.Name=group-name; Filter.*.Value.*=default"),
		row("security_group_filter.filter", `"security_group_filter": {"filter": [{"name": "description", "value": "default*"}]}`, "DescribeSecurityGroups Filter.*.Name=description"),
	}},
	{name: "any subnet", component: "amazon-ebs", rows: []optionRow{
		row("subnet_filter.random", `"subnet_filter": {"filters": {"default-for-az": "true"}, "random": true}`, "RunInstances InstanceType=t3.micro"),
		row("security_group_ids", `"security_group_ids": ["THE-GROUP"]`, "RunInstances SecurityGroupId.1=THE-GROUP"),
	}},
	{name: "door", component: "amazon-ebs", base: sshOptions, until: "wait", rows: []optionRow{
		row("temporary_security_group_source_cidrs", `"temporary_security_group_source_cidrs": ["192.0.2.0/24"]`, "AuthorizeSecurityGroupIngress IpPermissions.1.IpRanges.1.CidrIp=192.0.2.0/24"),
		row("temporary_key_pair_name", `"temporary_key_pair_name": "mine"`, "ImportKeyPair KeyName=mine"),
		row("temporary_key_pair_type", `"temporary_key_pair_type": "rsa"`, `step comm.key: "type":"rsa"`),
		row("temporary_key_pair_bits", `"temporary_key_pair_bits": 4096`, `step comm.key: "bits":4096`),
		row("ssh_port", `"ssh_port": 2222`, "AuthorizeSecurityGroupIngress IpPermissions.1.FromPort=2222"),
	}},
	{name: "reach", component: "amazon-ebs", base: sshOptions, rows: []optionRow{
		row("temporary_security_group_source_public_ip", `"temporary_security_group_source_public_ip": true`, `step aws.admit: "insist":true`),
		row("ssh_interface", `"ssh_interface": "private_ip"`, `step aws.wait: "interface":"private_ip"`),
		row("communicator", `"communicator": "ssh"`, `step aws.wait: "protocol":"ssh"`),
		row("ssh_username", `"ssh_username": "admin"`, `step comm.connect: "ssh_username":"admin"`),
		row("pause_before_connecting", `"pause_before_connecting": "7s"`, `step comm.connect: "pause":7000000000`),
		row("ssh_host", `"ssh_host": "192.0.2.7"`, `step comm.connect: "ssh_host":"192.0.2.7"`),
		row("ssh_ciphers", `"ssh_ciphers": ["aes256-ctr"]`, `step comm.connect: "ssh_ciphers":["aes256-ctr"]`),
		row("ssh_key_exchange_algorithms", `"ssh_key_exchange_algorithms": ["curve25519-sha256"]`, `step comm.connect: "ssh_key_exchange_algorithms":["curve25519-sha256"]`),
		row("ssh_clear_authorized_keys", `"ssh_clear_authorized_keys": true`, `step comm.clear: "key"`),
		row("ssh_pty", `"ssh_pty": true`, `step comm.connect: "ssh_pty":true`),
		row("ssh_timeout", `"ssh_timeout": "9m"`, `step comm.connect: "ssh_timeout":540000000000`),
		row("ssh_handshake_attempts", `"ssh_handshake_attempts": 20`, `step comm.connect: "ssh_handshake_attempts":20`),
		row("ssh_disable_agent_forwarding", `"ssh_disable_agent_forwarding": true`, `step comm.connect: "ssh_disable_agent_forwarding":true`),
		row("ssh_file_transfer_method", `"ssh_file_transfer_method": "sftp"`, `step comm.connect: "ssh_file_transfer_method":"sftp"`),
		row("ssh_keep_alive_interval", `"ssh_keep_alive_interval": "7s"`, `step comm.connect: "ssh_keep_alive_interval":7000000000`),
		row("ssh_read_write_timeout", `"ssh_read_write_timeout": "8m"`, `step comm.connect: "ssh_read_write_timeout":480000000000`),
		row("ssh_bastion_host", `"ssh_bastion_host": "bastion"`, `step comm.connect: "ssh_bastion_host":"bastion"`),
		row("ssh_bastion_port", `"ssh_bastion_port": 2022`, `step comm.connect: "ssh_bastion_port":2022`),
		row("ssh_bastion_username", `"ssh_bastion_username": "jump"`, `step comm.connect: "ssh_bastion_username":"jump"`),
		row("ssh_bastion_password", `"ssh_bastion_password": "p"`, `step comm.connect: "ssh_bastion_password":`),
		row("ssh_bastion_agent_auth", `"ssh_bastion_agent_auth": true`, `step comm.connect: "ssh_bastion_agent_auth":true`),
	}},
	{name: "keys of the user", component: "amazon-ebs", base: sshOptions, files: map[string]string{"key": userKey, "cert": userCert}, rows: []optionRow{
		row("ssh_keypair_name", `"ssh_keypair_name": "mine"`, `step aws.launch: "key_name":"mine"`),
		row("ssh_private_key_file", `"ssh_private_key_file": "DIRECTORY/key"`, `step comm.connect: "ssh_private_key_file":`),
		row("ssh_certificate_file", `"ssh_certificate_file": "DIRECTORY/cert"`, `step comm.connect: "ssh_certificate_file":`),
		row("ssh_bastion_private_key_file", `"ssh_bastion_host": "bastion", "ssh_bastion_username": "jump", "ssh_bastion_private_key_file": "DIRECTORY/key"`, `step comm.connect: "ssh_bastion_private_key_file":`),
		row("ssh_bastion_certificate_file", `"ssh_bastion_certificate_file": "DIRECTORY/cert"`, `step comm.connect: "ssh_bastion_certificate_file":`),
	}},
	{name: "password and proxy", component: "amazon-ebs", base: sshOptions, rows: []optionRow{
		row("ssh_password", `"ssh_password": "p"`, `step comm.connect: "ssh_password":`),
		row("ssh_proxy_host", `"ssh_proxy_host": "proxy"`, `step comm.connect: "ssh_proxy_host":"proxy"`),
		row("ssh_proxy_port", `"ssh_proxy_port": 1081`, `step comm.connect: "ssh_proxy_port":1081`),
		row("ssh_proxy_username", `"ssh_proxy_username": "u"`, `step comm.connect: "ssh_proxy_username":"u"`),
		row("ssh_proxy_password", `"ssh_proxy_password": "p"`, `step comm.connect: "ssh_proxy_password":`),
	}},
	{name: "agent", component: "amazon-ebs", base: sshOptions, env: []string{"SSH_AUTH_SOCK=/nowhere"}, rows: []optionRow{
		row("ssh_agent_auth", `"ssh_agent_auth": true`, `step comm.connect: "ssh_agent_auth":true`),
	}},
	{name: "session manager", component: "amazon-ebs", base: sshOptions + `, "ssh_interface": "session_manager", "iam_instance_profile": "p"`, fails: true, rows: []optionRow{
		row("session_manager_port", `"session_manager_port": 8022`, `step aws.session: "listen":8022`),
		row("pause_before_ssm", `"pause_before_ssm": "10s"`, `step aws.session: "pause":10000000000`),
	}},
	{name: "other ways", component: "amazon-ebs", base: sshOptions, rows: []optionRow{
		row("ssh_bastion_interactive", `"ssh_bastion_host": "bastion", "ssh_bastion_username": "jump", "ssh_bastion_interactive": true`, `step comm.connect: "ssh_bastion_interactive":true`),
		row("ssh_remote_tunnels", `"ssh_remote_tunnels": ["8080:localhost:8080"]`, `step comm.connect: "ssh_remote_tunnels":["8080:localhost:8080"]`),
		row("ssh_local_tunnels", `"ssh_local_tunnels": ["8081:localhost:8081"]`, `step comm.connect: "ssh_local_tunnels":["8081:localhost:8081"]`),
		row("ssh_wait_timeout", `"ssh_wait_timeout": "5m"`, "refused: ssh_timeout"),
		row("ssh_public_key", `"ssh_public_key": "x"`, `refused: has no such option`),
		row("ssh_private_key", `"ssh_private_key": "x"`, `refused: has no such option`),
	}},
	{name: "windows", component: "amazon-ebs", base: winrmOptions, rows: []optionRow{
		row("winrm_username", "", `step comm.connect: "winrm_username":"Administrator"`),
		row("winrm_password", `"winrm_password": "p"`, `step comm.connect: "winrm_password":`),
		row("winrm_host", `"winrm_host": "192.0.2.8"`, `step comm.connect: "winrm_host":"192.0.2.8"`),
		row("winrm_no_proxy", `"winrm_no_proxy": true`, `step comm.connect: "winrm_no_proxy":true`),
		row("winrm_port", `"winrm_port": 5987`, `step comm.connect: "winrm_port":5987`),
		row("winrm_timeout", `"winrm_timeout": "20m"`, `step comm.connect: "winrm_timeout":1200000000000`),
		row("winrm_use_ssl", `"winrm_use_ssl": true`, `step comm.connect: "winrm_use_ssl":true`),
		row("winrm_insecure", `"winrm_insecure": true`, `step comm.connect: "winrm_insecure":true`),
		row("winrm_use_ntlm", `"winrm_use_ntlm": true`, `step comm.connect: "winrm_use_ntlm":true`),
	}},
	{name: "password of windows", component: "amazon-ebs", base: winrmOptions, rows: []optionRow{
		row("windows_password_timeout", `"windows_password_timeout": "15m"`, `step aws.password: "windows_password_timeout":900000000000`),
	}},

	// Fast launch.
	{name: "fast launch", component: "amazon-ebs", base: `"communicator": "none", "ami_regions": ["eu-west-1"], ` + fromWindowsOption, fails: true, rows: []optionRow{
		row("fast_launch.enable_fast_launch", `"fast_launch": {"enable_fast_launch": true}`, `step aws.fast-launch: "of"`),
		row("fast_launch.template_id", `"fast_launch": {"template_id": "lt-0123456789abcdef0"}`, "DescribeLaunchTemplates LaunchTemplateId.1=lt-0123456789abcdef0"),
		row("fast_launch.template_version", `"fast_launch": {"template_version": 3}`, `step aws.fast-launch-template: "version":3`),
		row("fast_launch.max_parallel_launches", `"fast_launch": {"max_parallel_launches": 7}`, `step aws.fast-launch: "parallel":7`),
		row("fast_launch.target_resource_count", `"fast_launch": {"target_resource_count": 2}`, `step aws.fast-launch: "target":2`),
		row("fast_launch.region_launch_templates", `"fast_launch": {"region_launch_templates": [{"region": "eu-west-1", "enable_fast_launch": true, "template_id": "lt-0123456789abcdef1", "template_version": 4}]}`, `step aws.fast-launch-template: "region":"eu-west-1"`),
		row("fast_launch.region_launch_templates.region", "", `step aws.fast-launch-template: "region":"eu-west-1"`),
		row("fast_launch.region_launch_templates.enable_fast_launch", "", `step aws.fast-launch: "of"`),
		row("fast_launch.region_launch_templates.template_id", "", `step aws.fast-launch-template: "id":"lt-0123456789abcdef1"`),
		row("fast_launch.region_launch_templates.template_version", "", `step aws.fast-launch-template: "version":4`),
	}},
	{name: "fast launch by name", component: "amazon-ebs", base: `"communicator": "none", "ami_regions": ["eu-west-1"], ` + fromWindowsOption, fails: true, rows: []optionRow{
		row("fast_launch.template_name", `"fast_launch": {"template_name": "fast"}`, "DescribeLaunchTemplates LaunchTemplateName.1=fast"),
		row("fast_launch.region_launch_templates.template_name", `"fast_launch": {"region_launch_templates": [{"region": "eu-west-1", "template_name": "far"}]}`, `step aws.fast-launch-template: "name":"far"`),
	}},

	// Other components.
	{name: "image of volumes", component: "amazon-ebssurrogate", base: `"run_tags": {"team": "a"}`, rows: []optionRow{
		row("ami_root_device.source_device_name", "", "RunInstances BlockDeviceMapping.1.DeviceName=/dev/xvdf", "CreateSnapshot TagSpecification.1.ResourceType=snapshot"),
		row("ami_root_device.device_name", "", "RegisterImage RootDeviceName=/dev/xvda; BlockDeviceMapping.1.DeviceName=/dev/xvda"),
		row("ami_root_device.delete_on_termination", `"ami_root_device": {"delete_on_termination": false, "volume_type": "gp3", "iops": 4000, "volume_size": 8}`, "RegisterImage BlockDeviceMapping.1.Ebs.DeleteOnTermination=false"),
		row("ami_root_device.iops", "", "RegisterImage BlockDeviceMapping.1.Ebs.Iops=4000"),
		row("ami_root_device.volume_type", "", "RegisterImage BlockDeviceMapping.1.Ebs.VolumeType=gp3"),
		row("ami_root_device.volume_size", "", "RegisterImage BlockDeviceMapping.1.Ebs.VolumeSize=8"),
		row("ami_virtualization_type", "", "RegisterImage VirtualizationType=hvm"),
		row("ami_architecture", `"ami_architecture": "arm64"`, "RegisterImage Architecture=arm64"),
		row("boot_mode", `"boot_mode": "uefi"`, "RegisterImage BootMode=uefi"),
		row("uefi_data", `"uefi_data": "AAAA"`, "RegisterImage UefiData=AAAA"),
		row("tpm_support", `"tpm_support": "v2.0"`, "RegisterImage TpmSupport=v2.0"),
		row("snapshot_description", `"snapshot_description": "of {{ .SourceAMIOwner }}"`, "CreateSnapshot Description=of 099720109477"),
		row("launch_block_device_mappings.omit_from_artifact", `"launch_block_device_mappings": [{"device_name": "/dev/xvdf", "volume_size": 1}, {"device_name": "/dev/xvdg", "volume_size": 1, "omit_from_artifact": true}]`,
			"RunInstances BlockDeviceMapping.2.DeviceName=/dev/xvdg", "never: RegisterImage BlockDeviceMapping.*.DeviceName=/dev/xvdg"),
		row("skip_ami_run_tags", `"skip_ami_run_tags": true`, "never: RegisterImage TagSpecification.*.Tag.*.Key=team"),
		row("run_volume_tags", `"run_volume_tags": {"kind": "volume"}`, "RunInstances TagSpecification.*.Tag.*.Value=volume"),
		row("run_volume_tag", `"run_volume_tag": [{"name": "block", "value": "as a block"}]`, "RunInstances TagSpecification.*.Tag.*.Key=block"),
		row("ami_block_device_mappings", `"ami_block_device_mappings": [{"device_name": "/dev/xvdi", "volume_size": 3}]`, "RegisterImage BlockDeviceMapping.*.DeviceName=/dev/xvdi; BlockDeviceMapping.*.Ebs.VolumeSize=3"),
	}},
	{name: "image of swapped volumes", component: "amazon-ebssurrogate", base: `"ami_root_device": {"device_name": "/dev/sda1"}`, rows: []optionRow{
		row("use_create_image", `"use_create_image": true`, "AttachVolume Device=/dev/sda1", "CreateImage BlockDeviceMapping.1.DeviceName=/dev/sda1", "never: RegisterImage"),
	}},
	{name: "volumes", component: "amazon-ebsvolume", rows: []optionRow{
		row("ebs_volumes", `"ebs_volumes": [{"device_name": "/dev/sdf", "volume_size": 1}, {"device_name": "/dev/sdg", "volume_size": 2}]`,
			"RunInstances BlockDeviceMapping.*.DeviceName=/dev/sdf; BlockDeviceMapping.*.Ebs.VolumeSize=1; BlockDeviceMapping.*.Ebs.DeleteOnTermination=false"),
	}},
	{name: "what becomes of a volume", component: "amazon-ebsvolume", rows: []optionRow{
		row("ebs_volumes.tags", `"ebs_volumes": [{"device_name": "/dev/sdf", "volume_size": 1, "tags": {"holds": "data"}, "tag": {"key": "for", "value": "all"}, "snapshot_volume": true,
			"snapshot_description": "the data", "snapshot_tags": {"from": "sdf"}, "snapshot_tag": {"key": "by", "value": "us"}, "snapshot_users": ["210987654321"], "snapshot_groups": ["all"]}]`,
			"CreateTags Tag.*.Key=holds; Tag.*.Value=data"),
		row("ebs_volumes.tag", "", "CreateTags Tag.*.Key=for; Tag.*.Value=all"),
		row("ebs_volumes.snapshot_volume", "", "CreateSnapshot TagSpecification.1.ResourceType=snapshot"),
		row("ebs_volumes.snapshot_description", "", "CreateSnapshot Description=the data"),
		row("ebs_volumes.snapshot_tags", "", "CreateSnapshot TagSpecification.1.Tag.*.Key=from; TagSpecification.1.Tag.*.Value=sdf"),
		row("ebs_volumes.snapshot_tag", "", "CreateSnapshot TagSpecification.1.Tag.*.Key=by; TagSpecification.1.Tag.*.Value=us"),
		row("ebs_volumes.snapshot_users", "", "ModifySnapshotAttribute CreateVolumePermission.Add.*.UserId=210987654321"),
		row("ebs_volumes.snapshot_groups", "", "ModifySnapshotAttribute CreateVolumePermission.Add.*.Group=all"),
		row("run_volume_tags", `"run_volume_tags": {"state": "unfinished"}`, "RunInstances TagSpecification.*.Tag.*.Key=state", "DeleteTags Tag.*.Key=state"),
		row("run_volume_tag", `"run_volume_tag": {"key": "being", "value": "made"}`, "RunInstances TagSpecification.*.Tag.*.Key=being", "DeleteTags Tag.*.Key=being"),
	}},
	refusedAll("amazon-chroot", "use amazon-ebssurrogate", "source_ami", "source_ami_filter", "from_scratch", "ami_block_device_mappings", "root_device_name", "root_volume_size",
		"root_volume_type", "root_volume_tags", "root_volume_tag", "root_volume_encrypt_boot", "root_volume_kms_key_id", "chroot_mounts", "command_wrapper", "copy_files", "device_path",
		"nvme_device_path", "mount_path", "mount_partition", "mount_options", "pre_mount_commands", "post_mount_commands", "ami_architecture", "boot_mode", "uefi_data", "tpm_support"),
	refusedAll("amazon-instance", "use amazon-ebs, whose images are on volumes", "account_id", "s3_bucket", "x509_cert_path", "x509_key_path", "x509_upload_path", "bundle_destination", "bundle_prefix",
		"bundle_vol_command", "bundle_upload_command", "tpm_support"),

	{name: "image of a data source", component: "data amazon-ami", rows: []optionRow{
		row("filters", `"filters": {"name": "ubuntu/images/*ubuntu-jammy-22.04-amd64-server-*"}`, "DescribeImages Filter.1.Name=name"),
		row("owners", `"owners": ["099720109477"]`, "DescribeImages Owner.1=099720109477"),
		row("most_recent", `"most_recent": true`, `step aws.data-ami: "most_recent":true`),
		row("include_deprecated", `"include_deprecated": true`, "DescribeImages IncludeDeprecated=true"),
	}},
	{name: "parameter", component: "data amazon-parameterstore", rows: []optionRow{
		row("name", `"name": "/password"`, "GetParameter Name=/password"),
		row("with_decryption", `"with_decryption": true`, "GetParameter WithDecryption=true"),
	}},
	{name: "secret", component: "data amazon-secretsmanager", rows: []optionRow{
		row("name", `"name": "app"`, "GetSecretValue SecretId=app"),
		row("key", `"key": "user"`, `step aws.data-secret: "key":"user"`),
		row("version_stage", `"version_stage": "AWSCURRENT"`, "GetSecretValue VersionStage=AWSCURRENT"),
	}},
	{name: "version of a secret", component: "data amazon-secretsmanager", fails: true, rows: []optionRow{
		row("version_id", `"name": "app", "version_id": "0123456789abcdef0123456789abcdef"`, "GetSecretValue VersionId=0123456789abcdef0123456789abcdef"),
	}},
	{name: "import", component: "post amazon-import", rows: []optionRow{
		row("s3_bucket_name", `"s3_bucket_name": "disks"`, "ImportImage DiskContainer.1.UserBucket.S3Bucket=disks"),
		row("s3_key_name", `"s3_key_name": "probe.raw"`, "ImportImage DiskContainer.1.UserBucket.S3Key=probe.raw"),
		row("s3_encryption", `"s3_encryption": "aws:kms"`, "S3POST @x-amz-server-side-encryption=aws:kms"),
		row("s3_encryption_key", `"s3_encryption_key": "alias/mine"`, "S3POST @x-amz-server-side-encryption-aws-kms-key-id=alias/mine"),
		row("skip_clean", `"skip_clean": true`, "never: S3DELETE @query="),
		row("format", `"format": "raw"`, "ImportImage DiskContainer.1.Format=raw"),
		row("architecture", `"architecture": "arm64"`, "ImportImage Architecture=arm64"),
		row("boot_mode", `"boot_mode": "uefi"`, "ImportImage BootMode=uefi"),
		row("platform", `"platform": "linux"`, "ImportImage Platform=linux"),
		row("ami_name", `"ami_name": "imported"`, "CopyImage Name=imported"),
		row("ami_description", `"ami_description": "a disk"`, "CopyImage Description=a disk"),
		row("tags", `"tags": {"from": "disk"}`, "CopyImage TagSpecification.*.Tag.*.Value=disk"),
		row("ami_users", `"ami_users": ["210987654321"]`, "ModifyImageAttribute LaunchPermission.Add.*.UserId=210987654321"),
		row("ami_org_arns", `"ami_org_arns": ["arn:aws:organizations::123456789012:organization/o-0123456789"]`, "ModifyImageAttribute LaunchPermission.Add.*.OrganizationArn=arn:aws:organizations::123456789012:organization/o-0123456789"),
		row("ami_ou_arns", `"ami_ou_arns": ["arn:aws:organizations::123456789012:ou/o-0123456789/ou-0123-01234567"]`, "ModifyImageAttribute LaunchPermission.Add.*.OrganizationalUnitArn=arn:aws:organizations::123456789012:ou/o-0123456789/ou-0123-01234567"),
		row("ami_encrypt", `"ami_encrypt": true`, "ImportImage Encrypted=true"),
		row("ami_kms_key", `"ami_kms_key": "alias/mine"`, "ImportImage KmsKeyId=alias/mine"),
		row("imds_support", `"imds_support": "v2.0"`, "ModifyImageAttribute ImdsSupport.Value=v2.0"),
		row("license_type", `"license_type": "BYOL"`, "ImportImage LicenseType=BYOL"),
		row("role_name", `"role_name": "importer"`, "ImportImage RoleName=importer"),
	}},
	{name: "public import", component: "post amazon-import", rows: []optionRow{
		row("ami_groups", `"ami_groups": ["all"]`, "ModifyImageAttribute LaunchPermission.Add.*.Group=all"),
	}},
}

const fromWindowsOption = `"instance_type": "t3.large",
	"source_ami_filter": {"filters": {"name": "Windows_Server-2022-English-Full-Base-*"}, "owners": ["amazon"], "most_recent": true}`

const policyOption = `"temporary_iam_instance_profile_policy_document": {"Version": "2012-10-17",
	"Statement": [{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["*"]}]}`

const theOptionsPolicy = `PutRolePolicy PolicyDocument={"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["*"]}]}`

package aws

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/imgflow/imgflow/dag"
	"github.com/imgflow/imgflow/steps/comm"
)

func TestCheckFindsEveryFault(t *testing.T) {
	no, yes := false, true
	for _, c := range []struct {
		field string
		spoil func(*EBS)
	}{
		{"ami_name", func(b *EBS) { b.AMIName = "" }},
		{"ami_name", func(b *EBS) { b.AMIName = "ab" }},
		{"ami_name", func(b *EBS) { b.AMIName = strings.Repeat("a", 129) }},
		{"ami_name", func(b *EBS) { b.AMIName = "image:1" }},
		{"secret_key", func(b *EBS) { b.SecretKey = "x" }},
		{"access_key", func(b *EBS) { b.AccessKey = "x" }},
		{"token", func(b *EBS) { b.Token = "x" }},
		{"assume_role.role_arn", func(b *EBS) { b.AssumeRole.RoleARN = "builder" }},
		{"vault_aws_engine.name", func(b *EBS) { b.VaultAWSEngine.EngineName = "aws" }},
		{"vault_aws_engine", func(b *EBS) { b.VaultAWSEngine.Name, b.AccessKey, b.SecretKey = "builder", "a", "b" }},
		{"vault_aws_engine.ttl", func(b *EBS) { b.VaultAWSEngine.Name, b.VaultAWSEngine.TTL = "builder", "1h" }},
		{"assume_role.duration_seconds", func(b *EBS) { b.AssumeRole.DurationSeconds = 60 }},
		{"availability_zone", func(b *EBS) { b.AvailabilityZone = "us-west-2a" }},
		{"region", func(b *EBS) { b.Access.Region = "us-east" }},
		{"ami_regions[0]", func(b *EBS) { b.AMIRegions = []string{"us-west2"} }},
		{"ami_groups", func(b *EBS) {
			b.Groups, b.LaunchMappings = []string{"all"}, []BlockDevice{{DeviceName: "/dev/sda1", Encrypted: &yes}}
		}},
		{"snapshot_groups", func(b *EBS) {
			b.SnapshotGroups, b.LaunchMappings = []string{"all"}, []BlockDevice{{DeviceName: "/dev/sda1", Encrypted: &yes}}
		}},
		{"launch_block_device_mappings[0].kms_key_id", func(b *EBS) {
			b.Users, b.LaunchMappings = []string{"210987654321"}, []BlockDevice{{DeviceName: "/dev/sda1", Encrypted: &yes, KMSKeyID: "alias/aws/ebs"}}
		}},
		{"ami_block_device_mappings[0].encrypted", func(b *EBS) { attached(b).Encrypted, b.LaunchMappings[0].Encrypted = &no, &yes }},
		{"license_specifications[0].license_configuration_request.license_configuration_arn", func(b *EBS) { b.Licenses = []License{{LicenseRequest{"x"}}} }},
		{"capacity_reservation_id", func(b *EBS) { b.CapacityID = "mine" }},
		{"placement.host_id", func(b *EBS) { b.Placement.HostID = "mine" }},
		{"max_lifetime", func(b *EBS) { b.MaxLifetime, b.UserData = time.Hour, "#cloud-config" }},
		{"user_data", func(b *EBS) { b.MaxLifetime, b.UserData = time.Hour, "#!"+strings.Repeat("x", 12300) }},
		{"user_data_file", func(b *EBS) { b.UserDataFile.Path = t.TempDir() }},
		{"custom_endpoint_ec2", func(b *EBS) { b.CustomEndpointEC2 = "example.com" }},
		{"source_ami", func(b *EBS) { b.SourceOptions = SourceOptions{} }},
		{"source_ami_filter.owners", func(b *EBS) { b.Filter.Owners = nil }},
		{"instance_type", func(b *EBS) { b.InstanceType = "" }},
		{"imds_support", func(b *EBS) { b.IMDSSupport = "v1" }},
		{"deprecate_at", func(b *EBS) { b.DeprecateAt = "tomorrow" }},
		{"snapshot_copy_duration_minutes", func(b *EBS) { b.SnapshotCopyMinutes = 20 }},
		{"tag[0].key", func(b *EBS) { b.Tag = []KeyValue{{Value: "x"}} }},
		{"run_volume_tag[0].name", func(b *EBS) { b.RunVolumeTag = []VolumeTag{{Value: "x"}} }},
		{"enable_nitro_enclave", func(b *EBS) { b.NitroEnclave = true }},
		{"enable_unlimited_credits", func(b *EBS) { b.InstanceType, b.UnlimitedCredits = "m5.large", true }},
		{"shutdown_behavior", func(b *EBS) { b.ShutdownBehavior = "explode" }},
		{"user_data_file", func(b *EBS) { b.UserData, b.UserDataFile.Path = "x", "check_test.go" }},
		{"metadata_options.http_tokens", func(b *EBS) { b.Metadata.HTTPTokens = "v2" }},
		{"metadata_options.http_put_response_hop_limit", func(b *EBS) { b.Metadata.HopLimit = 65 }},
		{"capacity_reservation_preference", func(b *EBS) { b.CapacityPreference = "closed" }},
		{"capacity_reservation_group_arn", func(b *EBS) {
			b.CapacityID, b.CapacityGroupARN = "cr-0123456789abcdef0", "arn:aws:resource-groups:us-east-1:123456789012:group/g"
		}},
		{"placement.tenancy", func(b *EBS) { b.Placement = Placement{Tenancy: "dedicated", HostID: "h-0123456789abcdef0"} }},
		{"tenancy", func(b *EBS) { b.Tenancy, b.Placement.Tenancy = "default", "default" }},
		{"max_lifetime", func(b *EBS) { b.MaxLifetime, b.DisableStop = time.Hour, true }},
		{"launch_block_device_mappings[0].device_name", func(b *EBS) { b.LaunchMappings = []BlockDevice{{}} }},
		{"launch_block_device_mappings[0].kms_key_id", func(b *EBS) {
			b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", KMSKeyID: "alias/x", Encrypted: &no}}
		}},
		{"launch_block_device_mappings[0].iops", func(b *EBS) {
			b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeType: "io1", VolumeSize: 10, IOPS: 600}}
		}},
		{"launch_block_device_mappings[0].throughput", func(b *EBS) {
			b.LaunchMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeType: "gp2", Throughput: 200}}
		}},
		{"ami_block_device_mappings[0].volume_type", func(b *EBS) {
			b.AMIMappings = []BlockDevice{{DeviceName: "/dev/sdf", VolumeType: "ssd", VolumeSize: 1}}
		}},
		{"security_group_id", func(b *EBS) { b.GroupID, b.GroupIDs = "sg-0123456789abcdef1", []string{"sg-0123456789abcdef0"} }},
		{"temporary_security_group_source_cidrs[0]", func(b *EBS) { b.SourceCIDRs = []string{"10.0.0.1"} }},
		{"communicator", func(b *EBS) { b.Communicator = "telnet" }},
		{"ssh_interface", func(b *EBS) { b.Interface = "eth0" }},
		{"ssh_username", func(b *EBS) { b.Communicator = "" }},
		{"winrm_username", func(b *EBS) { b.Communicator = "winrm" }},
		{"ssh_keypair_name", func(b *EBS) { b.Communicator, b.SSH.Username, b.KeyPairName = "ssh", "u", "k" }},
		{"temporary_key_pair_type", func(b *EBS) { b.TemporaryKeyType = "dsa" }},
	} {
		b := template()
		if fs := b.Check(); len(fs) > 0 {
			t.Fatalf("the sound template: %v", fs)
		}
		c.spoil(b)
		fs := b.Check()
		if len(fs) != 1 || fs[0].Field != c.field || fs[0].Text == "" {
			t.Errorf("%s: found %v", c.field, fs)
		}
	}
}

func TestWhatHasNoEffectIsHarmless(t *testing.T) {
	b := template()
	b.ForceDeleteSnapshot = true
	if fs := b.Check(); len(fs) != 1 || fs[0].Field != "force_delete_snapshot" || !fs[0].Harmless {
		t.Error(fs)
	}
}

// EC2 imports keys of few sizes only. The type is what a template says, or what
// Windows needs.
func TestKeySizes(t *testing.T) {
	for _, c := range []struct {
		words string // of the fault; "-" stands for none, "idle" for a harmless one
		made  int
		set   func(*EBS)
	}{
		{"-", 0, func(b *EBS) {}},
		{"-", 2048, func(b *EBS) { b.TemporaryKeyType = "rsa" }},
		{"-", 4096, func(b *EBS) { b.TemporaryKeyType, b.TemporaryKeyBits = "rsa", 4096 }},
		{"2048 or 4096", 3072, func(b *EBS) { b.TemporaryKeyType, b.TemporaryKeyBits = "rsa", 3072 }},
		{"2048 or 4096", 1024, func(b *EBS) { b.TemporaryKeyType, b.TemporaryKeyBits = "rsa", 1024 }},
		{"2048 or 4096", 8192, func(b *EBS) { b.TemporaryKeyType, b.TemporaryKeyBits = "rsa", 8192 }},
		{"idle", 0, func(b *EBS) { b.TemporaryKeyBits = 3072 }},
		{"idle", 0, func(b *EBS) { b.TemporaryKeyType, b.TemporaryKeyBits = "ed25519", 521 }},
		{"idle", 0, func(b *EBS) { b.SSH.Password, b.TemporaryKeyBits = "x", 3072 }},
		{"-", 2048, func(b *EBS) { b.Communicator, b.SSH.Username, b.WinRM.Username = "winrm", "", "u" }},
		{"2048 or 4096", 3072, func(b *EBS) {
			b.Communicator, b.SSH.Username, b.WinRM.Username, b.TemporaryKeyBits = "winrm", "", "u", 3072
		}},
	} {
		b := template()
		b.Communicator, b.SSH.Username = "ssh", "u"
		c.set(b)
		got := "-"
		if fs := b.Check(); len(fs) == 1 && fs[0].Field == "temporary_key_pair_bits" {
			if got = fs[0].Text; fs[0].Harmless {
				got = "idle"
			}
		} else if len(fs) > 0 {
			t.Fatal(fs)
		}
		if !strings.Contains(got, c.words) || b.keyBits() != c.made {
			t.Errorf("%q bits of %q: %s, made with %d bits, want %s and %d", b.TemporaryKeyType, b.Communicator, got, b.keyBits(), c.words, c.made)
		}
	}
}

// A template fills options from environment variables that may be empty.
func TestEmptyKeysAreNoKeys(t *testing.T) {
	var b EBS
	if err := json.Unmarshal([]byte(`{"access_key": "", "secret_key": "", "region": ""}`), &b); err != nil {
		t.Fatal(err)
	}
	if fs := b.Access.optionErrors(); len(fs) > 0 || b.Access.name() != "" {
		t.Errorf("faults %v, account %q", fs, b.Access.name())
	}
}

// Every option has one home, so that a decoder can find it by its name.
func TestOptionNamesAreUnique(t *testing.T) {
	seen := map[string]string{}
	var walk func(reflect.Type)
	walk = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			switch {
			case f.Anonymous && name == "":
				walk(f.Type)
			case !f.IsExported():
			case name == "":
				t.Errorf("%s.%s has no name", typ.Name(), f.Name)
			case seen[name] != "":
				t.Errorf("%s is in %s and in %s", name, seen[name], typ.Name())
			default:
				seen[name] = typ.Name()
			}
		}
	}
	walk(reflect.TypeFor[EBS]())
	for _, name := range documented {
		if seen[name] == "" {
			t.Errorf("the option %s is missing", name)
		}
	}
}

// documented are the options of amazon-ebs that users know.
var documented = strings.Fields(`
access_key secret_key token profile shared_credentials_file region assume_role custom_endpoint_ec2 decode_authorization_messages
insecure_skip_tls_verify max_retries mfa_code skip_metadata_api_check skip_credential_validation vault_aws_engine aws_polling
ami_name ami_description ami_virtualization_type ami_users ami_groups ami_org_arns ami_ou_arns ami_product_codes ami_regions
skip_region_validation snapshot_copy_duration_minutes tags tag snapshot_tags snapshot_tag snapshot_users snapshot_groups ena_support
publish sriov_support force_deregister force_delete_snapshot encrypt_boot kms_key_id region_kms_key_ids skip_save_build_region imds_support
deprecate_at deregistration_protection skip_create_ami skip_ami_run_tags
source_ami source_ami_filter instance_type associate_public_ip_address availability_zone ebs_optimized enable_nitro_enclave
enable_unlimited_credits enable_t2_unlimited disable_stop_instance shutdown_behavior iam_instance_profile skip_profile_validation
temporary_iam_instance_profile_policy_document user_data user_data_file run_tags run_tag run_volume_tags run_volume_tag no_ephemeral
metadata_options license_specifications capacity_reservation_preference capacity_reservation_id capacity_reservation_group_arn placement
tenancy windows_password_timeout
instance_types cpu_options spot_on_demand_fallback spot_price spot_instance_types spot_allocation_strategy spot_tags spot_tag fleet_tags fleet_tag block_duration_minutes spot_price_auto_product
vpc_id vpc_filter subnet_id subnet_filter security_group_id security_group_ids security_group_filter temporary_security_group_source_cidrs
temporary_security_group_source_public_ip ssh_interface session_manager_port pause_before_ssm ssh_keypair_name temporary_key_pair_name
temporary_key_pair_type temporary_key_pair_bits launch_block_device_mappings ami_block_device_mappings fast_launch
communicator pause_before_connecting ssh_host ssh_port ssh_username ssh_password ssh_ciphers ssh_key_exchange_algorithms
ssh_clear_authorized_keys ssh_private_key_file ssh_certificate_file ssh_pty ssh_timeout ssh_handshake_attempts ssh_agent_auth
ssh_disable_agent_forwarding ssh_bastion_host ssh_bastion_port ssh_bastion_username ssh_bastion_password ssh_bastion_agent_auth
ssh_bastion_interactive ssh_bastion_private_key_file ssh_bastion_certificate_file ssh_file_transfer_method ssh_proxy_host ssh_proxy_port
ssh_proxy_username ssh_proxy_password ssh_keep_alive_interval ssh_read_write_timeout ssh_remote_tunnels ssh_local_tunnels
winrm_username winrm_password winrm_host winrm_no_proxy winrm_port winrm_timeout winrm_use_ssl winrm_insecure winrm_use_ntlm
max_lifetime`)

func TestPrepare(t *testing.T) {
	b := template()
	b.cloud = NewCloud(CloudOptions{})
	if err := b.Prepare(t.Context()); err != nil || b.place != here {
		t.Error(err, b.place)
	}
}

func TestGraphOfADefaultBuild(t *testing.T) {
	b := whole()
	b.place = here
	g := dag.NewGraph(nil)
	bd := dag.Build{Name: "b"}
	b.Wire(g, bd, unprovisioned)
	if err := g.Err(); err != nil {
		t.Fatal(err)
	}
	at := map[string]dag.Node{}
	var names []string
	for _, n := range g.Nodes {
		at[n.Name] = n
		names = append(names, n.Name)
	}
	slices.Sort(names)
	want := "access admit connect group host-key image image-ready key keypair launch name-check network regroup source stop wait"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("steps: %s, want %s", got, want)
	}
	needs := func(n, of string) bool { return slices.Contains(at[n].Needs, at[of].Key) }
	for _, edge := range [][2]string{{"source", "access"}, {"name-check", "access"}, {"network", "access"}, {"keypair", "access"}, {"group", "access"}, {"launch", "name-check"}, {"launch", "source"}, {"launch", "keypair"}, {"launch", "group"}, {"launch", "admit"},
		{"wait", "launch"}, {"regroup", "connect"}, {"stop", "connect"}, {"image", "stop"}, {"image", "regroup"}, {"image-ready", "image"}} {
		if !needs(edge[0], edge[1]) {
			t.Errorf("%s does not wait for %s", edge[0], edge[1])
		}
	}
	if needs("keypair", "group") || needs("group", "keypair") || needs("group", "source") || needs("stop", "regroup") {
		t.Error("steps wait for what they do not need")
	}
	for _, thing := range []string{"keypair", "group", "launch", "image"} {
		if !at[thing].Thing {
			t.Errorf("%s is not a thing", thing)
		}
	}
	if !slices.Contains(at["launch"].Attaches, at["group"].Key) || !slices.Contains(at["image"].Attaches, at["stop"].Key) {
		t.Error("what a thing stands on is not held")
	}
}

// What a plan shows twice is done in two places, and says in which.
func TestTitlesNameTheRegion(t *testing.T) {
	b := whole()
	b.place, b.AMIRegions = here, []string{"us-west-2"}
	g := dag.NewGraph(nil)
	bd := dag.Build{Name: "b"}
	b.Wire(g, bd, unprovisioned)
	seen := map[string]string{}
	for _, n := range g.Nodes {
		if n.Kind == (ImageReady{}).Kind() {
			continue // its image says where it is
		}
		if other, twice := seen[n.Title]; twice {
			t.Errorf("%s and %s are both called %q", n.Name, other, n.Title)
		}
		seen[n.Title] = n.Name
	}
}

// The image's name is not part of the machine: a new one does not rebuild it.
func TestNameIsNotPartOfTheMachine(t *testing.T) {
	key := func(name string) string {
		b := whole()
		b.place, b.AMIName = here, name
		g := dag.NewGraph(nil)
		var machine dag.Key
		b.Wire(g, dag.Build{Name: "b"}, func(m dag.Out[comm.Machine]) dag.Out[comm.Machine] {
			machine = m.Key()
			return m
		})
		return machine.String()
	}
	if key("one") != key("two") {
		t.Error("another ami_name is another machine")
	}
}
